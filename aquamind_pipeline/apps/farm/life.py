"""The simulated truth: what really happened to the fish. Growth assimilation never reads it."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.schema.columns import bigint, date, double
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition, Unpredictable
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.biology import ADULT
from aquamind_pipeline.simulation.conditions import farm_episodes
from aquamind_pipeline.simulation.life import Life, live
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan, rows_by_month

STEP = "life"


def lives(inputs: Inputs) -> Life:
    """The lives of these batches, computed once for all tables of life.

    Mixed batches are simulated with those that they are made of, also where these are made in another part.
    """

    def make() -> Life:
        if inputs.batches is None:
            return live(inputs.farm, inputs.plan)
        every = inputs.plan_of_farm
        simulated = every.with_sources(inputs.batches)
        life = live(inputs.farm, every.of_batches(simulated))
        return life if simulated == sorted(inputs.batches) else life.of_batches(inputs.batches)

    return inputs.once("lives", make)


LIFE_DAYS = TableDefinition(
    name="life_day",
    part="life",
    kind=Kind.LEDGER,
    lake_only=True,
    batch_slices=True,
    step=STEP,
    meaning="The simulated truth of one assignment on one day. Growth assimilation never reads it.",
    how="Fish grow with temperature and appetite; they die of background, handling, treatments and episodes.",
    columns=(
        bigint("assignment_id"),
        bigint("batch_id"),
        bigint("container_id"),
        bigint("site"),
        bigint("stage"),
        bigint("state_id"),
        date("date"),
        bigint("batch_day"),
        double("temp_c"),
        bigint("population"),
        double("weight_g"),
        bigint("deaths"),
        bigint("reason", comment="Reason of most of the day's deaths: index into `simulation.deaths.REASONS`"),
        bigint("second_deaths", comment="Those of the day's deaths that have the second reason"),
        bigint("second_reason", comment="Second reason of death, or the first if there is one only"),
        double("appetite", comment="Feed and growth relative to the mean; 0 without feed"),
        double("gill", comment="Mean gill score of the fish, from 0 (good) to 3"),
        double("wound", comment="Mean score of skin and fins, from 0 (good) to 3"),
        bigint("fasting", comment="Why there is no feed: 0 fed, 1 before a move, 2 for a treatment, 3 in a storm"),
        bigint("feed_dg"),
        bigint("meals", comment="Meals of the day; 0 without feed"),
        bigint("fish_weighed", comment="Fish that are weighed and measured for growth that day; 0 on other days"),
        bigint("fish_examined", comment="Fish that are weighed, measured and scored that day; 0 on other days"),
    ),
    time="date",
    reads=PLAN,
    generate=lambda inputs: lives(inputs).days,
    expected=ByFormula(lambda farm, plan: rows_by_month(farm, plan, pl.col("until") - pl.col("since"))),
    lineage={
        "state_id": "plan_assignment.first_state_id",
        "assignment_id": "plan_assignment.assignment_id",
        "batch_id": "plan_assignment.batch_id",
        "container_id": "plan_assignment.container_id",
        "site": "plan_assignment.site",
        "stage": "plan_assignment.stage",
        "date": "plan_assignment.assignment_date plan_assignment.departure_date",
        "population": "plan_batch.eggs",
    },
    rules=(),
    bytes_per_row=(27, 0),
    figure="lives",
)

_OF_DAYS = {
    "assignment_id": "plan_assignment.assignment_id",
    "batch_id": "plan_assignment.batch_id",
    "container_id": "plan_assignment.container_id",
    "date": "plan_assignment.assignment_date plan_assignment.departure_date",
}


def _ring_days(farm: Profile, plan: Plan) -> pl.DataFrame:
    """Days of rings by month."""
    at_sea = pl.col("stage") == ADULT.order
    return rows_by_month(farm, plan, pl.when(at_sea).then(pl.col("until") - pl.col("since")).otherwise(0)).filter(
        pl.col("rows") > 0
    )


LIFE_LICE = TableDefinition(
    name="life_lice",
    part="life",
    kind=Kind.LEDGER,
    lake_only=True,
    batch_slices=True,
    step=STEP,
    meaning="The simulated truth about the lice in one ring on one day, and how many fish are examined for lice.",
    how="Lice attach, develop by temperature, multiply and die, and treatments remove them.",
    columns=(
        bigint("assignment_id"),
        bigint("batch_id"),
        bigint("container_id"),
        date("date"),
        double("sessile", comment="Sessile lice per fish (copepodids and chalimus)"),
        double("preadult", comment="Pre-adult lice per fish"),
        double("adult_male", comment="Adult males per fish"),
        double("adult_female", comment="Adult females per fish"),
        double("caligus", comment="Caligus elongatus per fish"),
        bigint("fish_counted", comment="Fish on which lice are counted that day; 0 on other days"),
    ),
    time="date",
    reads=PLAN,
    generate=lambda inputs: lives(inputs).lice,
    expected=ByFormula(_ring_days),
    lineage=_OF_DAYS,
    rules=(),
    bytes_per_row=(20, 0),
)

LIFE_TREATMENTS = TableDefinition(
    name="life_treatment",
    part="life",
    kind=Kind.LEDGER,
    lake_only=True,
    batch_slices=True,
    step=STEP,
    meaning="The simulated truth about one treatment of one container.",
    how="People treat what they see: lice above the trigger, ill gills, wounds, fungus; smolts are vaccinated once.",
    columns=(
        bigint("assignment_id"),
        bigint("batch_id"),
        bigint("container_id"),
        date("date"),
        bigint("method", comment="Index into `simulation.treatments.METHODS`"),
        bigint("reason", comment="Index into `simulation.treatments.REASONS`"),
        double("seen", comment="What led to it: lice counted per fish, chance of death, score, or weight [g]"),
        double("sessile_removed", comment="Share of the sessile lice that it removes"),
        double("preadult_removed", comment="Share of the pre-adults that it removes"),
        double("adult_male_removed", comment="Share of the adult males that it removes"),
        double("adult_female_removed", comment="Share of the adult females that it removes"),
        double("loss", comment="Share of the fish that die of it in the days after"),
        bigint("fasting_days", comment="Days without feed, with the day itself"),
        bigint("withholding_days", comment="Days after it on which the fish may not be harvested"),
        bigint("days", comment="Length of the treatment [days]"),
        bigint("population", comment="Fish in the container before it"),
        double("weight_g", comment="Mean weight of a fish before it [g]"),
    ),
    time="date",
    reads=PLAN,
    generate=lambda inputs: lives(inputs).treatments,
    expected=Unpredictable("Treatments follow from what people see; tests compare them with lice, deaths and feed."),
    lineage=_OF_DAYS,
    rules=(),
    bytes_per_row=(40, 0),
)

LIFE_EPISODES = TableDefinition(
    name="life_episode",
    part="life",
    kind=Kind.LEDGER,
    lake_only=True,
    step="episodes",
    meaning="An episode of illness, bad water or storm at one site.",
    how="A function of the site and the date; how much a container feels depends on its fish.",
    columns=(
        bigint("site"),
        bigint("reason", comment="Index into `simulation.deaths.REASONS`"),
        date("date", comment="First day"),
        bigint("days", comment="Length [days]"),
        double("loss", comment="Share of susceptible fish that die of it in all"),
    ),
    reads=(),
    generate=lambda inputs: farm_episodes(inputs.farm),
    expected=ByFormula(lambda farm, plan: farm_episodes(farm).height),
    lineage={},
    rules=(),
)

LIFE_MOVES = TableDefinition(
    name="life_move",
    part="life",
    kind=Kind.LEDGER,
    lake_only=True,
    batch_slices=True,
    step=STEP,
    meaning="The simulated truth of fish that moved from one container to another.",
    how="At the end of a stage all fish of a batch move to the containers of the next; a few die. Smolts are graded.",
    columns=(
        bigint("batch_id"),
        bigint("stage"),
        bigint("source_assignment_id"),
        bigint("dest_assignment_id"),
        bigint("count"),
        bigint("deaths"),
        bigint("source_population_before"),
        double("weight_g", comment="Mean weight of the moved fish [g]"),
        bigint("picked", comment="Which fish were picked: index into `simulation.grading.SELECTIONS`"),
        date("date"),
    ),
    reads=PLAN,
    generate=lambda inputs: lives(inputs).moves,
    expected=Unpredictable("Containers overlap as their fish do; the ledger is checked to the fish."),
    lineage={
        "batch_id": "plan_assignment.batch_id",
        "source_assignment_id": "plan_assignment.assignment_id",
        "dest_assignment_id": "plan_assignment.assignment_id",
        "date": "plan_assignment.assignment_date",
    },
    rules=(),
)

__all__ = ["LIFE_DAYS", "LIFE_EPISODES", "LIFE_LICE", "LIFE_MOVES", "LIFE_TREATMENTS"]
