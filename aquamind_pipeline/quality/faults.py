"""Faults on demand: mistakes of farms and their systems, put into a farm's tables and labelled.

A fault is a pure function from a table's correct rows to faulty rows. A fault hits some of its units: sensors,
assignments, batches, rows or months. Units are chosen by counting: at a rate of 0.7, seven of ten successive units are
hit, evenly spread, beginning at a unit that the seed draws. So the rate is exact, and even a small farm has some units
hit. Labels are the difference between the rows before and after, so they always say what was really changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

import polars as pl

from aquamind_pipeline.apps.batch import (
    assignments,
    creation,
    daily_states,
    forecasts,
    growth_samples,
    mixing,
    mortality,
    transfers,
)
from aquamind_pipeline.apps.environmental import photoperiod, readings
from aquamind_pipeline.apps.harvest import harvests
from aquamind_pipeline.apps.health import (
    journal,
    lab_samples,
    lice_counts,
    mortality_records,
    sampling,
    scores,
    treatments,
)
from aquamind_pipeline.apps.inventory import feeding, feeding_summaries
from aquamind_pipeline.apps.planning import activities
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.mistakes import no_such
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import STAGES
from aquamind_pipeline.simulation.grading import GRADED_STAGE

READINGS, FEEDINGS = readings.READINGS.name, feeding.FEEDINGS.name
PHOTOPERIOD = photoperiod.PHOTOPERIOD.name
SAMPLES, DEATHS = growth_samples.GROWTH_SAMPLES.name, mortality.MORTALITY.name
SAMPLINGS, EXAMINED = sampling.SAMPLINGS.name, sampling.OBSERVATIONS.name
SCORES, LAB_SAMPLES = scores.FISH_SCORES.name, lab_samples.LAB_SAMPLES.name
LICE, TREATMENTS = lice_counts.LICE_COUNTS.name, treatments.TREATMENTS.name
RECORDS, JOURNAL = mortality_records.RECORDS.name, journal.JOURNAL.name
STATES, ASSIGNMENTS = daily_states.STATES.name, assignments.ASSIGNMENTS.name
FORECASTS = forecasts.LIVE_PROJECTIONS.name
FED, FED_BATCHES = feeding_summaries.CONTAINERS.name, feeding_summaries.BATCH_SUMMARIES.name
DELIVERIES = creation.CREATION_ACTIONS.name
ACTIONS, ACTIVITIES = transfers.TRANSFER_ACTIONS.name, activities.PLANNED_ACTIVITIES.name
COMPOSITIONS, COMPONENTS = mixing.COMPOSITIONS.name, mixing.COMPONENTS.name
LOTS, _LOT_WEIGHTS = harvests.HARVEST_LOTS.name, ("live_weight_kg", "gutted_weight_kg", "fillet_weight_kg")
SILENT_DAYS = 3
"""Number of last days without readings in a silent farm."""
_PLANNED_FISH = 300_000
"""Fish that are entered for a tray that waits for eggs."""
_NEW_IDS = 2**40
"""Added to ids, so that they differ from all ids of the farm."""
_PRIME = 1_000_000_007
"""Has no common divisor with a rate's denominator, so that each entity's periods are hit at this rate, too."""
_LARGEST_DENOMINATOR = 1_000_000_000
"""Largest denominator of a rate. It is below the prime, and the product of two denominators fits into 64 bits."""
_TEMPERATURE, _OXYGEN = (1, 9), (2,)  # environmental_environmentalparameter.id


@dataclass(frozen=True)
class Dose:
    """How much of a fault to put into a farm.

    Attributes:
        rate: Share of the units that are hit.
        offset: Where counting begins.
        until: The farm's last day.
    """

    rate: Fraction
    offset: int
    until: date

    def hits(self, *entities: pl.Expr) -> pl.Expr:
        """Whether a row's unit is hit.

        Args:
            entities: Whole numbers that identify the unit, such as a sensor's id and the number of the week.
        """
        number = pl.lit(self.offset)
        for place, entity in enumerate(entities):
            number = number + entity * _PRIME**place
        numerator, denominator = self.rate.as_integer_ratio()
        # Unit n is hit if there is a whole number between n * rate and (n + 1) * rate.
        return number % denominator * numerator % denominator >= denominator - numerator


Spoil = Callable[[pl.DataFrame, Dose], pl.DataFrame]


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: Its name.
        text: What goes wrong, in one sentence.
        tables: Tables that have the fault.
        unit: What is counted, in the plural.
        rate: Share of the units that are hit by default.
        spoil: Changes the rows; None for faults of files.
        whole: Whether the fault always hits all units.
    """

    name: str
    text: str
    tables: tuple[str, ...]
    unit: str
    rate: float
    spoil: Spoil | None = None
    whole: bool = False


def _days(column: str, length: int) -> pl.Expr:
    """Number of the period of `length` days that a row lies in."""
    return pl.col(column).cast(pl.Date).to_physical().cast(pl.Int64) // length


def _set(where: pl.Expr, **values: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A function that sets columns of the rows `where`, in the columns' own types."""
    return lambda frame: frame.with_columns(
        pl.when(where).then(value.cast(frame.schema[name])).otherwise(name).alias(name)
        for name, value in values.items()
    )


def _hung(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    week = _days("reading_time", 7)
    first = pl.col("value").first().over("sensor_id", week)
    return frame.pipe(_set(dose.hits(pl.col("sensor_id"), week), value=first))


def _drifting(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    since = pl.col("reading_time").cast(pl.Date).to_physical().cast(pl.Int64) % 14 + 1
    where = _of(_TEMPERATURE) & dose.hits(pl.col("container_id"))
    return frame.pipe(_set(where, value=pl.col("value").cast(pl.Float64) + 0.25 * since))


def _late(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    delay = pl.duration(minutes=7 + pl.col("id") % 90)
    return frame.pipe(_set(dose.hits(pl.col("id")), reading_time=pl.col("reading_time") + delay))


def _sent_twice(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    again = frame.filter(dose.hits(pl.col("id"))).with_columns(pl.col("id") + _NEW_IDS)
    return pl.concat([frame, again])


def _without_days(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    column = next(name for name in ("reading_time", "feeding_date", "date") if name in frame.columns)
    return frame.filter(~dose.hits(_days(column, 1)))


def _without_lineage(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    column = next(name for name in ("mixed_batch_id", "mix_event_id") if name in frame.columns)  # equal ids
    return frame.filter(~dose.hits(pl.col(column)))


def _silent(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    return frame.filter(pl.col("reading_time").dt.date() <= dose.until - timedelta(days=SILENT_DAYS))


def _wrong_year(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    return frame.pipe(_set(dose.hits(pl.col("id")), feeding_date=pl.col("feeding_date").dt.offset_by("1y")))


def _doubled(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    """AquaMind's engine starts with population_count and adds the transfer that brought these fish (Issue #112)."""
    moved_in = (pl.col("population") + pl.col("mortality_count")).sort_by("date").first().over("assignment_id")
    doubled = pl.col("population") + moved_in
    where = (pl.col("lifecycle_stage_id") > 1) & dose.hits(pl.col("batch_id"))
    biomass = doubled * pl.col("avg_weight_g").cast(pl.Float64) / 1000
    return frame.pipe(_set(where, population=doubled, biomass_kg=biomass))


def _vanished(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    middle = pl.col("date").median().over("assignment_id")
    where = dose.hits(pl.col("assignment_id")) & (pl.col("date") >= middle)
    left = pl.col("population") * 6 // 10
    return frame.pipe(_set(where, population=left, biomass_kg=left * pl.col("avg_weight_g").cast(pl.Float64) / 1000))


def _heavy(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    where = dose.hits(pl.col("batch_id"), _days("date", 10))
    return frame.pipe(_set(where, avg_weight_g=pl.col("avg_weight_g") * 2, biomass_kg=pl.col("biomass_kg") * 2))


def _swapped(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    """Meals of two neighbouring assignments are booked on each other's container."""
    pair = pl.col("batch_assignment_id") // 2
    holders = frame.select(pl.col("batch_assignment_id"), other="container_id").unique(maintain_order=True)
    neighbour = holders.with_columns(pl.col("batch_assignment_id") ^ 1)
    joined = frame.join(neighbour, on="batch_assignment_id", how="left", maintain_order="left")
    return joined.pipe(_set(dose.hits(pair), container_id=pl.coalesce("other", "container_id"))).drop("other")


def _booked_twice(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    """An assignment is booked into the container of the assignment before it."""
    before = frame.select(
        pl.col("id") + 1, other="container_id", other_batch="batch_id", other_stage="lifecycle_stage_id"
    )
    same = (pl.col("other_batch") == pl.col("batch_id")) & (pl.col("other_stage") == pl.col("lifecycle_stage_id"))
    joined = frame.join(before, on="id", how="left", maintain_order="left")
    return joined.pipe(_set(dose.hits(pl.col("id")) & same, container_id=pl.col("other"))).select(frame.columns)


def _split(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    """Assignments are booked into a container in which another batch spends the same stage."""
    homes = frame.group_by(pl.col("lifecycle_stage_id")).agg(
        first_batch=pl.col("batch_id").sort_by("id").first(),
        first=pl.col("container_id").sort_by("id").first(),
        last=pl.col("container_id").sort_by("id").last(),
    )
    other = pl.when(pl.col("batch_id") == pl.col("first_batch")).then("last").otherwise("first")
    joined = frame.join(homes, on="lifecycle_stage_id", how="left", maintain_order="left")
    return joined.pipe(_set(dose.hits(pl.col("id")), container_id=other)).select(frame.columns)


def _as_planned(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    """Completed activities have the day for which they were planned, whenever they were done."""
    where = dose.hits(_ROW) & (pl.col("status") == "COMPLETED")
    return frame.pipe(_set(where, completed_at=pl.col("due_date").cast(pl.Datetime("us", "UTC"))))


def _never_fewer(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    """Treatments do nothing: of no kind of lice fewer are found in a ring than in an earlier count of the month."""
    ring, kind, time = "assignment_id", "lice_type_id", "count_date"
    hit = frame.filter(dose.hits(pl.col(ring))).sort(ring, time, kind)
    counts = hit.unique([ring, time], keep="first", maintain_order=True).drop(kind, "count_value")
    kinds = hit.select(ring, kind).unique(maintain_order=True)
    every = counts.join(kinds, on=ring, maintain_order="left_right").join(
        hit.select(ring, kind, time, "count_value"), on=[ring, kind, time], how="left", maintain_order="left"
    )
    again = every.with_columns(
        pl.col("count_value").fill_null(0).cum_max().over(ring, kind, order_by=time),
        id=pl.col("id") // lice_counts.TYPES * lice_counts.TYPES + pl.col(kind),
    )
    found = pl.col("count_value") > 0
    nothing = (pl.col(kind) == lice_counts.FEMALE) & ~found.any().over(ring, time)
    return pl.concat([frame.filter(~dose.hits(pl.col(ring))), again.filter(found | nothing).select(frame.columns)])


def _vaccinated_again(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    again = frame.filter((pl.col("treatment_type") == "vaccination") & dose.hits(pl.col("batch_assignment_id")))
    return pl.concat([frame, again.with_columns(pl.col("id") + _NEW_IDS)])


def _fed_on(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    """The meals of the last day are given once more on the day after."""
    return _fed_after(frame, _last_fed(frame).filter(dose.hits(pl.col("batch_assignment_id"))))


def _smolts_fed_on(frame: pl.DataFrame, dose: Dose) -> pl.DataFrame:
    """The same for the first days without feed that smolts have in the month: those before their grading come first."""
    smolts = _last_fed(frame.filter(pl.col("feed_id") == STAGES[GRADED_STAGE - 1].feed_id))
    first = smolts.unique("batch_assignment_id", keep="first", maintain_order=True)
    return _fed_after(frame, first.filter(dose.hits(pl.col("batch_assignment_id"))))


def _last_fed(meals: pl.DataFrame) -> pl.DataFrame:
    """batch_assignment_id and feeding_date of each last day with feed before days without it."""
    assignment, day = pl.col("batch_assignment_id"), pl.col("feeding_date")
    days = meals.select(assignment, day).unique().sort("batch_assignment_id", "feeding_date")
    until = day.shift(-1).over("batch_assignment_id")
    return days.filter((until - day).dt.total_days() > 1)


def _fed_after(frame: pl.DataFrame, last: pl.DataFrame) -> pl.DataFrame:
    """The meals of some days are given once more on the days after."""
    day = pl.col("feeding_date")
    again = frame.join(last, on=["batch_assignment_id", "feeding_date"], how="semi", maintain_order="left")
    return pl.concat([frame, again.with_columns(pl.col("id") + _NEW_IDS, day.dt.offset_by("1d"))])


def _float(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Float64)


def _of(parameters: tuple[int, ...]) -> pl.Expr:
    return pl.col("parameter_id").is_in(parameters)


_ROW, _VALUE = pl.col("id"), _float("value")
_EVENT = pl.col("sampling_event_id")
_COUNT = (pl.col("assignment_id"), _days("count_date", 1))
_LONG_WITHHOLDING = 400
"""Days. Longer than fish are at sea."""
_TRIPS = 20
"""Trips that become one load."""
_SENSOR_WEEK = (pl.col("sensor_id"), _days("reading_time", 7))
FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(
            "sensor-dropout", "Sensors send nothing for a week.", (READINGS,), "sensors' weeks", 0.02,
            lambda f, d: f.filter(~d.hits(*_SENSOR_WEEK)),
        ),
        Fault("stuck-sensor", "Sensors repeat one value for a week.", (READINGS,), "sensors' weeks", 0.02, _hung),
        Fault(
            "sensor-drift", "Temperature sensors drift by 0.25 °C a day and are corrected every fortnight.",
            (READINGS,), "containers", 0.1, _drifting,
        ),
        Fault(
            "temperature-in-fahrenheit", "Temperature sensors report °F.", (READINGS,), "containers", 0.34,
            lambda f, d: f.pipe(_set(_of(_TEMPERATURE) & d.hits(pl.col("container_id")), value=_VALUE * 1.8 + 32)),
        ),
        Fault(
            "oxygen-in-mg", "Oxygen sensors report mg/L instead of % of saturation (about a tenth of the number).",
            (READINGS,), "containers", 0.1,
            lambda f, d: f.pipe(_set(_of(_OXYGEN) & d.hits(pl.col("container_id")), value=_VALUE * 0.1)),
        ),
        Fault(
            "weights-in-kilograms", "Weights of samples are in kilograms.", (SAMPLES,), "samples", 0.05,
            lambda f, d: f.pipe(_set(d.hits(_ROW), avg_weight_g=_float("avg_weight_g") / 1e3)),
        ),
        Fault("late-readings", "Readings carry their time of arrival, minutes late.", (READINGS,), "rows", 0.01, _late),
        Fault("duplicated-readings", "Readings are sent twice.", (READINGS,), "rows", 0.01, _sent_twice),
        Fault(
            "repeated-rows", "Rows are stored twice under one key.", (FEEDINGS,), "rows", 0.01,
            lambda f, d: pl.concat([f, f.filter(d.hits(_ROW))]),
        ),
        Fault(
            "missing-days",
            "A day was never recorded.",
            (READINGS, FEEDINGS, PHOTOPERIOD),
            "days",
            0.05,
            _without_days,
        ),
        Fault(
            "silent-farm", "The last days have no readings.", (READINGS,), "last days", 1.0, _silent, whole=True
        ),
        Fault(
            "clock-shift", "Loggers use summer time, which is an hour ahead.", (READINGS,), "containers", 0.1,
            lambda f, d: f.pipe(
                _set(d.hits(pl.col("container_id")), reading_time=pl.col("reading_time") + pl.duration(hours=1))
            ),
        ),
        Fault("wrong-year", "Meals have a date in the next year.", (FEEDINGS,), "rows", 0.01, _wrong_year),
        Fault(
            "orphan-rows", "Meals refer to containers that do not exist.", (FEEDINGS,), "rows", 0.01,
            lambda f, d: f.pipe(_set(d.hits(_ROW), container_id=pl.col("container_id") + _NEW_IDS)),
        ),
        Fault(
            "null-values", "Readings have no value.", (READINGS,), "rows", 0.01,
            lambda f, d: f.pipe(_set(d.hits(_ROW), value=pl.lit(None))),
        ),
        Fault(
            "negative-counts", "Deaths have the wrong sign.", (DEATHS,), "rows", 0.05,
            lambda f, d: f.pipe(_set(d.hits(_ROW), count=-pl.col("count"))),
        ),
        Fault(
            "lost-column", "Files lack a column.", (FEEDINGS,), "files", 1.0,
            lambda f, d: f.drop("feed_cost"), whole=True,
        ),
        Fault(
            "doubled-transfers", "The growth engine counts transferred fish twice (AquaMind's Issue #112).",
            (STATES,), "batches", 1.0, _doubled,
        ),
        Fault("vanished-fish", "Four of ten fish vanish without a record.", (STATES,), "assignments", 0.1, _vanished),
        Fault("misweighed", "A scale shows twice the weight for ten days.", (STATES,), "batches' days", 0.2, _heavy),
        Fault(
            "wrong-stage", "States have the previous stage.", (STATES,), "assignments", 0.1,
            lambda f, d: f.pipe(
                _set(
                    d.hits(pl.col("assignment_id")),
                    lifecycle_stage_id=pl.when(pl.col("lifecycle_stage_id") > 1)
                    .then(pl.col("lifecycle_stage_id") - 1)
                    .otherwise(2),
                )
            ),
        ),
        Fault(
            "swapped-containers", "Meals are booked on the next container.", (FEEDINGS,), "assignments", 0.1, _swapped
        ),
        Fault(
            "double-booking", "Two assignments share a container.", (ASSIGNMENTS,), "assignments", 0.1, _booked_twice
        ),
        Fault("split-batch", "Part of a batch is booked at another site.", (ASSIGNMENTS,), "assignments", 0.1, _split),
        Fault(
            "capacity-in-tonnes", "Capacities of containers are in tonnes.", ("infrastructure_container",),
            "containers", 0.34,
            lambda f, d: f.pipe(_set(d.hits(_ROW), max_biomass_kg=_float("max_biomass_kg") / 1000)),
        ),
        Fault(
            "feed-out-of-stock", "Deliveries bring a tenth of the ordered feed.", ("inventory_feedpurchase",),
            "deliveries", 0.5,
            lambda f, d: f.pipe(_set(d.hits(_ROW), quantity_kg=_float("quantity_kg") / 10)),
        ),
        Fault(
            "overfeeding", "Feeders give three times the planned feed.", (FEEDINGS,), "batches", 0.34,
            lambda f, d: f.pipe(_set(d.hits(pl.col("batch_id")), amount_kg=pl.col("amount_kg") * 3)),
        ),
        Fault(
            "short-harvest", "Harvest lots lack a tenth of their fish.", (LOTS,), "lots", 0.2,
            lambda f, d: f.pipe(_set(d.hits(_ROW), unit_count=pl.col("unit_count") * 9 // 10)),
        ),
        Fault(
            "lengths-in-millimetres", "Lengths of examined fish are in millimetres.", (EXAMINED,), "samplings", 0.1,
            lambda f, d: f.pipe(_set(d.hits(_EVENT), length_cm=_float("length_cm") * 10)),
        ),
        Fault(
            "swapped-measures", "Weight and length of examined fish are in each other's column.", (EXAMINED,),
            "samplings", 0.1,
            lambda f, d: f.pipe(_set(d.hits(_EVENT), length_cm=_float("weight_g"), weight_g=_float("length_cm"))),
        ),
        Fault(
            "old-aggregates", "Weights of fish were corrected by 3 % and their sampling was not computed anew.",
            (EXAMINED,), "samplings", 0.1,
            lambda f, d: f.pipe(_set(d.hits(_EVENT), weight_g=_float("weight_g") * 1.03)),
        ),
        Fault(
            "sampled-in-kilograms", "Mean weights of health samplings are in kilograms.", (SAMPLINGS,), "samplings",
            0.1, lambda f, d: f.pipe(_set(d.hits(_ROW), avg_weight_g=_float("avg_weight_g") / 1e3)),
        ),
        Fault(
            "scores-turned-round", "Examined fish have 3 for the best score.", (SCORES,), "days", 0.2,
            lambda f, d: f.pipe(_set(d.hits(_days("created_at", 1)), score=3 - pl.col("score"))),
        ),
        Fault(
            "unscored-fish", "Scores of examined fish are missing.", (SCORES,), "rows", 0.01,
            lambda f, d: f.filter(~d.hits(_ROW)),
        ),
        Fault(
            "results-before-sample", "Laboratory results are dated before their sample.", (LAB_SAMPLES,), "days",
            0.2,
            lambda f, d: f.pipe(
                _set(
                    d.hits(_days("sample_date", 1)) & pl.col("date_results_received").is_not_null(),
                    date_results_received=pl.col("sample_date") - pl.duration(days=1),
                )
            ),
        ),
        Fault(
            "harvest-in-pounds", "Weights of harvest lots are in pounds.", (LOTS,), "lots", 0.2,
            lambda f, d: f.pipe(_set(d.hits(_ROW), **{name: _float(name) * 2.2046 for name in _LOT_WEIGHTS})),
        ),
        Fault(
            "live-weight-as-gutted", "The live weight of harvest lots is entered as their gutted weight.", (LOTS,),
            "lots", 0.2,
            lambda f, d: f.pipe(_set(d.hits(_ROW), gutted_weight_kg=pl.col("live_weight_kg"))),
        ),
        Fault(
            "lost-batches", "Batches are missing.", ("batch_batch",), "batches", 0.2,
            lambda f, d: f.filter(~d.hits(_ROW)),
        ),
        Fault(
            "lice-per-fish", "Lice counts are entered per fish instead of in all.", (LICE,), "counts", 0.1,
            lambda f, d: f.pipe(_set(d.hits(*_COUNT), count_value=pl.col("count_value") // pl.col("fish_sampled"))),
        ),
        Fault(
            "lice-multiplied", "Lice counts are multiplied by the number of fish.", (LICE,), "counts", 0.1,
            lambda f, d: f.pipe(_set(d.hits(*_COUNT), count_value=pl.col("count_value") * pl.col("fish_sampled"))),
        ),
        Fault(
            "treatment-without-effect", "Treatments leave all lice alive.", (LICE,), "assignments", 1.0, _never_fewer
        ),
        Fault(
            "double-vaccination", "Smolts are vaccinated a second time.", (TREATMENTS,), "assignments", 0.2,
            _vaccinated_again,
        ),
        Fault(
            "harvest-in-withholding", "Fish get medicines whose withholding ends after the harvest.", (TREATMENTS,),
            "treatments", 0.2,
            lambda f, d: f.pipe(_set(d.hits(_ROW), withholding_period_days=pl.lit(_LONG_WITHHOLDING))),
        ),
        Fault("feed-on-fasting-days", "Feeders are not stopped before treatments.", (FEEDINGS,), "assignments", 0.5,
            _fed_on,
        ),
        Fault(
            "feed-before-gradings", "Feeders are not stopped before smolts are graded.", (FEEDINGS,), "tanks", 1.0,
            _smolts_fed_on,
        ),
        Fault(
            "deaths-entered-twice", "Deaths are entered as an event and, with the record, once more.", (DEATHS,),
            "rows", 0.01,
            lambda f, d: pl.concat([f, f.filter(d.hits(_ROW)).with_columns(pl.col("id") + _NEW_IDS)]),
        ),
        Fault(
            "records-counted-twice", "Two people count the dead fish of a mortality record.", (RECORDS,), "records",
            0.2,
            lambda f, d: f.pipe(_set(d.hits(_ROW), count=pl.col("count") * 2)),
        ),
        Fault(
            "transfers-on-paper", "Planned and failed transfers are entered as done.", (ACTIONS,), "workflows", 1.0,
            lambda f, d: f.pipe(_set(d.hits(pl.col("workflow_id")), status=pl.lit("COMPLETED"))),
        ),
        Fault(
            "lost-actions", "Actions of transfers are lost.", (ACTIONS,), "rows", 0.1,
            lambda f, d: f.filter(~d.hits(_ROW)),
        ),
        Fault(
            "mix-without-lineage", "Mixed batches do not say which batches they are made of.",
            (COMPOSITIONS, COMPONENTS),
            "mixed batches", 0.5, _without_lineage,
        ),
        Fault(
            "percentages-off", "Percentages of mixed batches do not add up to 100.", (COMPOSITIONS, COMPONENTS), "rows",
            0.5, lambda f, d: f.pipe(_set(d.hits(_ROW), percentage=pl.col("percentage") / 2)),
        ),
        Fault(
            "mix-loses-fish", "Mix events count a tenth fewer fish than came.", (COMPONENTS,), "rows", 0.5,
            lambda f, d: f.pipe(_set(d.hits(_ROW), population_count=pl.col("population_count") * 9 // 10)),
        ),
        Fault(
            "deaths-on-the-way", "Fish that die in gradings are entered with the transfer only.", (ACTIONS,),
            "workflows", 1.0,
            lambda f, d: f.pipe(
                _set(
                    (pl.col("selection_method") != "AVERAGE") & d.hits(pl.col("workflow_id")),
                    mortality_during_transfer=pl.col("transferred_count") // 10,
                )
            ),
        ),
        Fault(
            "done-as-planned", "Activities are entered as done on the day for which they were planned.", (ACTIVITIES,),
            "activities", 0.5, _as_planned,
        ),
        Fault(
            "journal-without-notes", "Journal entries are closed without notes.", (JOURNAL,), "entries", 0.1,
            lambda f, d: f.pipe(_set(d.hits(_ROW), resolution_notes=pl.lit(""))),
        ),
        Fault(
            "still-receiving", "Batches are left as RECEIVING after their last eggs came.", ("batch_batch",),
            "batches", 0.2,
            lambda f, d: f.pipe(
                _set(pl.col("status").is_in(["ACTIVE", "COMPLETED"]) & d.hits(_ROW), status=pl.lit("RECEIVING"))
            ),
        ),
        Fault(
            "eggs-in-advance", "Deliveries to come are marked as completed.", (DELIVERIES,), "deliveries", 0.5,
            lambda f, d: f.pipe(_set((pl.col("status") == "PENDING") & d.hits(_ROW), status=pl.lit("COMPLETED"))),
        ),
        Fault(
            "planned-with-fish", "The fish that are planned for a tray are entered as if they were there.",
            (ASSIGNMENTS,), "trays", 0.5,
            lambda f, d: f.pipe(
                _set(
                    ~pl.col("is_active") & pl.col("departure_date").is_null() & d.hits(_ROW),
                    population_count=pl.lit(_PLANNED_FISH),
                )
            ),
        ),
        Fault(
            "closed-and-emptied", "Assignments that close are set to 0 fish.", (ASSIGNMENTS,), "assignments", 0.2,
            lambda f, d: f.pipe(
                _set(~pl.col("is_active") & d.hits(_ROW), population_count=pl.lit(0), biomass_kg=pl.lit(0))
            ),
        ),
        Fault(
            "trips-as-one", "All trips of a carrier's tank are entered as one load.", (ASSIGNMENTS,), "assignments",
            0.2,
            lambda f, d: f.pipe(
                _set(
                    (pl.col("departure_date") == pl.col("assignment_date")) & d.hits(_ROW),
                    population_count=pl.col("population_count") * _TRIPS,
                    biomass_kg=_float("biomass_kg") * _TRIPS,
                )
            ),
        ),
        Fault(
            "stale-forecasts", "Forecasts start from fish that are a tenth too heavy.", (FORECASTS,), "assignments",
            0.5,
            lambda f, d: f.pipe(
                _set(d.hits(pl.col("assignment_id")), projected_weight_g=_float("projected_weight_g") * 1.1)
            ),
        ),
        Fault(
            "meals-left-out", "A tenth of the meals is left out of monthly summaries.", (FED,), "summaries", 0.2,
            lambda f, d: f.pipe(_set(d.hits(_ROW), total_feed_kg=_float("total_feed_kg") * 0.9)),
        ),
        Fault(
            "batch-summed-twice", "Containers are added up twice in the summary of their batch.", (FED_BATCHES,),
            "summaries", 0.5,
            lambda f, d: f.pipe(_set(d.hits(_ROW), total_feed_kg=_float("total_feed_kg") * 2)),
        ),
        Fault("missing-partition", "Files of meals are missing.", (FEEDINGS,), "months", 0.25),
        Fault("truncated-partition", "Files of meals are cut off.", (FEEDINGS,), "months", 0.25),
    )
}  # fmt: skip
_FILE_FAULTS = {"missing-partition": 0.0, "truncated-partition": 0.6}
"""Faults of files: share of a file's bytes to keep."""
_LABELS = pl.Schema(
    {
        "fault": pl.String,
        "table": pl.String,
        "partition": pl.String,
        "id": pl.Int64,
        "what": pl.String,
        "column": pl.String,
        "before": pl.String,
        "after": pl.String,
    }
)


def parsed(text: str) -> tuple[Fault, float]:
    """Parse NAME or NAME:RATE into a fault and its rate.

    Raises:
        ConfigError: for an unknown name, for a rate that is not above 0 and at most 1, and for a rate of a fault that
            always hits all units.
    """
    name, _, given = text.partition(":")
    if name not in FAULTS:
        raise ConfigError(no_such("fault", name, FAULTS, "`aquamind faults` lists all"))
    fault = FAULTS[name]
    if given and fault.whole:
        raise ConfigError(f"fault {text!r}: {name} always hits all {fault.unit} and takes no rate: leave the rate out")
    try:
        rate = float(given) if given else fault.rate
    except ValueError:
        rate = 0.0
    if not 0.0 < rate <= 1.0:
        raise ConfigError(f"fault {text!r}: the rate is the share of {fault.unit} to hit, above 0 and at most 1")
    return fault, rate


def fault_mistakes(texts: Sequence[str]) -> list[str]:
    """What is wrong with faults, each NAME or NAME:RATE; empty if all can be parsed."""
    mistakes = []
    for text in texts:
        try:
            parsed(text)
        except ConfigError as error:
            mistakes.append(str(error))
    return mistakes


def inject(
    faults: Sequence[str], seed: int, until: date, table: str, rows: pl.DataFrame, partition: str = ""
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Put a table's faults into its rows.

    Args:
        faults: NAME or NAME:RATE of each fault.
        seed: The farm's seed.
        until: The farm's as_of.
        table: Name of the table.
        rows: Its correct rows, in the lake's columns.
        partition: Month of the rows; empty for a table without months.

    Returns:
        The faulty rows, and labels: fault, table, partition, id, what (removed, added, changed; for a file `missing` or
        `truncated`, without id), column, before, after (as text).
    """
    labels = [pl.DataFrame(schema=_LABELS)]
    for text in faults:
        fault, rate = parsed(text)
        if table not in fault.tables or fault.spoil is None:
            continue
        faulty = fault.spoil(rows, _dose(fault, rate, seed, until))
        marks = [pl.lit(v).alias(n) for n, v in (("fault", fault.name), ("table", table), ("partition", partition))]
        labels.append(_differences(rows, faulty).select(*marks, pl.all()).cast(_LABELS))
        rows = faulty
    return rows, pl.concat(labels)


@dataclass(frozen=True)
class Broken:
    """What a fault does to a file.

    Attributes:
        keep: Share of the bytes to keep; 0 if the file is missing.
        labels: The label of the fault, in one row.
    """

    keep: float
    labels: pl.DataFrame


def broken_file(faults: Sequence[str], seed: int, until: date, table: str, month: str) -> Broken | None:
    """The file fault that hits a month of a table; None if there is none."""
    for text in faults:
        fault, rate = parsed(text)
        if table not in fault.tables or fault.spoil is not None:
            continue
        dose = _dose(fault, rate, seed, until)
        year, number = month.split("-")
        if pl.select(dose.hits(pl.lit(12 * int(year) + int(number)))).item():
            keep = _FILE_FAULTS[fault.name]
            label = {
                "fault": fault.name,
                "table": table,
                "partition": month,
                "what": "truncated" if keep else "missing",
            }
            return Broken(keep, pl.DataFrame([label], schema=_LABELS))
    return None


def _dose(fault: Fault, rate: float, seed: int, until: date) -> Dose:
    share = Fraction(rate).limit_denominator(_LARGEST_DENOMINATOR)
    return Dose(share, draws.stream(seed, "faults", fault.name) % share.denominator, until)


def _differences(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """id, what, column, before and after of every row that differs."""
    shared = [name for name in before.columns if name in after.columns and name != "id"]
    lost = [name for name in before.columns if name not in after.columns]
    # An id may occur twice, so rows are matched by the id and its occurrence.
    old, new = (frame.with_columns(occurrence=pl.int_range(pl.len()).over("id")) for frame in (before, after))
    key = ["id", "occurrence"]
    removed = old.join(new, on=key, how="anti").select("id", what=pl.lit("removed"))
    added = new.join(old, on=key, how="anti").select("id", what=pl.lit("added"))
    both = old.join(new.select(*key, *shared), on=key, suffix=" after", maintain_order="left")
    changed = [
        both.filter(pl.col(name).ne_missing(pl.col(f"{name} after"))).select(
            "id",
            what=pl.lit("changed"),
            column=pl.lit(name),
            before=pl.col(name).cast(pl.String),
            after=pl.col(f"{name} after").cast(pl.String),
        )
        for name in shared
    ]
    dropped = [
        before.select("id", what=pl.lit("removed"), column=pl.lit(name), before=pl.col(name).cast(pl.String))
        for name in lost
    ]
    empty = pl.DataFrame(schema={n: t for n, t in _LABELS.items() if n not in ("fault", "table", "partition")})
    return (
        pl.concat([empty, removed, added, *changed, *dropped], how="diagonal")
        .select(empty.columns)
        .sort("id", "column", maintain_order=True)
    )


__all__ = ["FAULTS", "Broken", "Fault", "broken_file", "inject", "parsed"]
