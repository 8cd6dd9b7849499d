"""The lake held against every rule: which rule concerns which table, and what it is given to read.

Events and states are looked at month by month, so memory does not grow with history; a run over some months looks at
those. A rule that crashes is a failure that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from functools import cached_property

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline import tables
from aquamind_pipeline.farm.volume import constant_volume, monthly_volume, total_volume
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.quality import event_rules, expectations, farm_rules, table_rules, truth
from aquamind_pipeline.quality.catalogue import DEATHS, FEEDINGS, OF_FARM, READINGS, SAMPLES, rules_of
from aquamind_pipeline.quality.check_result import Finding, attempted, merged
from aquamind_pipeline.quality.event_rules import STAYS
from aquamind_pipeline.quality.expectations import Validated
from aquamind_pipeline.quality.grouping import grouped
from aquamind_pipeline.simulation.biology import oxygen_saturation_mg_l
from aquamind_pipeline.simulation.life import hazard_bounds
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import READING_HOURS, Plan, schedule

Rules = dict[str, Callable[[], Finding]]
MONTHS_AT_ONCE = 2
"""Rules run mostly on one core, so two months are looked at side by side."""
_MONTH = "%Y-%m"
_WHOLE = "all"
_SLACK_DAYS = {SAMPLES: 7, DEATHS: 7}
"""How long a table may be silent: samples are taken twice a week, and not every day brings a death."""


class Proof:
    """The rules on one farm's lake.

    Attributes:
        lake: Where the tables are.
        farm: The farm that they should be, up to the lake's as_of.
        months: Months to look at; None for all that there are.
        skip: Rules that are not looked at.
        since: Month from whose batches on the farm is looked at as a whole, since earlier ones cannot have changed;
            None for all batches.
        without: Rules that are not even mentioned.
        validated: Great Expectations' results of the tables looked at so far, by table.
    """

    def __init__(
        self,
        lake: Lake,
        farm: Profile,
        months: Sequence[str] | None = None,
        *,
        skip: Collection[str] = (),
        since: str | None = None,
        without: Collection[str] = (),
    ) -> None:
        self.lake, self.farm, self.months, self.skip = lake, farm, months, frozenset(skip)
        self.since, self.without = since, frozenset(without)
        self.validated: dict[str, Validated] = {}

    def of_table(self, name: str) -> Iterator[Finding]:
        """The rules on a table's own rows."""
        table = tables.TABLES[name]
        monthly = name in tables.MONTHLY_TABLES
        built = (
            [m for m in self.lake.partitions(name) if self.months is None or m in self.months] if monthly else [_WHOLE]
        )
        parts: dict[str, list[tuple[str, Finding]]] = {}
        profiles: list[pl.DataFrame] = []
        with ThreadPoolExecutor(MONTHS_AT_ONCE, thread_name_prefix="proof") as pool:
            for month, (found, profile) in zip(built, pool.map(lambda m: self._of_part(table, m), built), strict=True):
                profiles += profile
                for finding in found:
                    parts.setdefault(finding.rule, []).append((month, finding))
        yield from (merged(found) for found in parts.values())
        readable = not monthly or all(one.passed for _, one in parts.get("schema", ()))
        rules: Rules = {
            "volume": lambda: self._volume(name),
            "expectations": lambda: self._expectations(table, profiles),
            "fresh": lambda: self._fresh(table),
        }
        for rule, work in rules.items():
            if rule not in rules_of(name) or rule in self.without or rule in parts:
                continue
            if readable or rule == "volume":
                yield self._attempted(rule, work)
            else:
                yield _unseen(rule)
        for rule in rules_of(name):
            if rule not in parts and rule not in rules:
                yield Finding(rule, passed=True, detail="no month to look at")

    def _of_part(self, table: sa.Table, month: str) -> tuple[list[Finding], list[pl.DataFrame]]:
        """The rules on one month's rows, or on a table without months; and their profile, if the table is profiled."""
        name, partition = table.name, None if month == _WHOLE else month
        own = [rule for rule in rules_of(name) if rule not in ("schema", "volume", "expectations", "fresh")]
        read: list[pl.DataFrame] = []

        def readable() -> Finding:
            read.append(self.lake.read(name, partition))
            return table_rules.schema(table, read[0].schema)

        schema = attempted("schema", readable)
        if not schema.passed:
            return [schema, *map(_unseen, own)], []
        rules = self._rules(table, read[0], month)
        found = [schema, *(self._attempted(rule, rules[rule]) for rule in own)]
        profiles: list[pl.DataFrame] = []

        def profiled() -> Finding:
            profiles.append(expectations.profile(table, read[0].lazy(), month))
            return Finding("expectations", passed=True)

        if "expectations" not in self.skip | self.without and expectations.is_profiled(table, read[0].height):
            made = attempted("expectations", profiled)
            found += [] if made.passed else [made]
        return found, profiles

    def _rules(self, table: sa.Table, every: pl.DataFrame, month: str) -> Rules:
        name, until, rows = table.name, self.farm.as_of, every.lazy()
        summed: list[pl.DataFrame] = []

        def days() -> pl.DataFrame:
            """The rows by day, summed once for all rules that need no more."""
            if not summed:
                summed.append(_by_day(table, every))
            return summed[0]

        rules: Rules = {
            "keys": lambda: table_rules.keys(table, every),
            "values": lambda: table_rules.values(table, rows),
            "foreign_keys": lambda: table_rules.foreign_keys(table, days().lazy(), self._parents(table)),
            "in_month": lambda: event_rules.in_month(table, rows, month),
            "of_its_stay": lambda: event_rules.of_its_stay(table, days(), self._stays, until),
            "gaps": lambda: self._gaps(table, days(), month),
            "plausible": lambda: self._plausible_weights(name, rows),
        }
        if name == READINGS:
            rules |= {
                "plausible": lambda: event_rules.plausible_readings(days(), self._parameters),
                "stuck": lambda: event_rules.stuck(days()),
                "agreement": lambda: event_rules.agreement(days(), self._parameters, self._sites),
                "oxygen": lambda: event_rules.oxygen(days(), self._parameters, _saturation_mg_l),
            }
        return rules

    def _gaps(self, table: sa.Table, days: pl.DataFrame, month: str) -> Finding:
        stay = event_rules.stay_column(table)
        assert stay is not None
        off_schedule = pl.col("off_schedule") if "off_schedule" in days.columns else pl.lit(0, pl.Int64)
        keys = {"assignment_id": pl.col(stay), "date": pl.col("date")}
        found = grouped(days, keys, pl.col("rows").sum(), off_schedule.sum().alias("off_schedule"))
        return event_rules.gaps(found.lazy(), self._due(table.name, month))

    def _due(self, name: str, month: str) -> pl.LazyFrame:
        """assignment_id, date, due: how many rows each stay should have on each of its days."""
        days = event_rules.stay_days(self._stays, None if month == _WHOLE else month, self.farm.as_of)
        if name == READINGS:
            sensors = self.lake.scan("infrastructure_sensor").group_by("container_id").agg(sensors=pl.len())
            due = days.join(sensors, on="container_id").with_columns(due=pl.col("sensors") * len(READING_HOURS))
        elif name == FEEDINGS:
            meals = dict(enumerate(self.farm.meals_per_day, 1))
            due = days.with_columns(due=pl.col("stage").replace_strict(meals)).filter(pl.col("due") > 0)
        else:
            due = days.with_columns(due=pl.lit(1))
        return due.select("assignment_id", "date", pl.col("due").cast(pl.Int64))

    def _plausible_weights(self, name: str, rows: pl.LazyFrame) -> Finding:
        stages = self.lake.scan("batch_lifecyclestage")
        if name == SAMPLES:
            stage_of = self._stays.select("lifecycle_stage_id", assignment_id="id")
            rows = rows.join(stage_of, on="assignment_id")
        shown = rows.select("id", "avg_weight_g", stage="lifecycle_stage_id")
        return event_rules.plausible_weights(shown, stages)

    def _attempted(self, rule: str, work: Callable[[], Finding]) -> Finding:
        if rule in self.skip:
            return Finding(rule, passed=False, detail="not looked at: this run skips it")
        return attempted(rule, work)

    def _volume(self, name: str) -> Finding:
        built = self.lake.partitions(name) if name in tables.MONTHLY_TABLES else [_WHOLE]
        chosen = [month for month in built if self.months is None or month in self.months or month == _WHOLE]
        counts = [(month, self.lake.rows(name, None if month == _WHOLE else month)) for month in chosen]
        return table_rules.volume(self.expected[name], pl.DataFrame(counts, schema=_COUNTS, orient="row"))

    def _expectations(self, table: sa.Table, profiles: list[pl.DataFrame]) -> Finding:
        if not profiles and table.name in tables.MONTHLY_TABLES:
            return Finding("expectations", passed=True, detail="no month to look at")
        frame = pl.concat(profiles) if profiles else self.lake.read(table.name)
        done = expectations.validate(table, frame, profiled=bool(profiles))
        self.validated[table.name] = done
        return done.finding

    def _fresh(self, table: sa.Table) -> Finding:
        """The last row against the last day on which any fish lived that the table is about."""
        name, until = table.name, self.farm.as_of
        if self.months is not None and until.strftime(_MONTH) not in self.months:
            return Finding("fresh", passed=True, detail="the farm's last month is not of this run")
        fed = name in (FEEDINGS, SAMPLES)
        days = event_rules.stay_days(self._stays.filter(pl.col("lifecycle_stage_id") > (1 if fed else 0)), None, until)
        lived = days.select(pl.col("date").max(), days=pl.col("date").n_unique()).collect().row(0, named=True)
        slack = _SLACK_DAYS.get(name, 0)
        if lived["days"] <= slack:
            return Finding("fresh", passed=True, detail="nothing is due yet")
        due = _before(lived["date"], slack)
        months = self.lake.partitions(name)[-2:]
        if self.months is not None and due.strftime(_MONTH) not in {*months, *self.months}:
            return Finding("fresh", passed=True, detail=f"the month of {due} is not built, and not of this run")
        time = pl.col(event_rules.time_column(table)).max().cast(pl.Date)
        last: date | None = self.lake.scan(name, months).select(time).collect().item() if months else None
        return event_rules.fresh(last, due, until)

    def of_farm(self) -> Iterator[Finding]:
        """Conservation, no doubling, capacity, survival, growth and bands, from AquaMind's own tables."""
        scan = self._of_living
        rules: Rules = {
            "no_doubling": lambda: farm_rules.no_doubling(self._states),
            "ledger": lambda: farm_rules.ledger(
                self._states, scan("batch_creationaction"), scan(DEATHS), scan("batch_transferaction"), scan(STAYS)
            ),
            "harvested": lambda: farm_rules.harvested(
                scan("harvest_harvestlot"), scan("harvest_harvestevent"), self._states
            ),
            "double_booking": lambda: farm_rules.double_booking(self._states),
            "capacity": lambda: farm_rules.capacity(self._states, scan("infrastructure_container")),
            "one_site": lambda: farm_rules.one_site(
                scan(STAYS),
                scan("infrastructure_container"),
                scan("infrastructure_hall"),
                scan("infrastructure_area"),
                scan("infrastructure_freshwaterstation"),
            ),
            "weight_continuity": lambda: farm_rules.weight_continuity(self._states, self.farm.speed),
            "survival": lambda: farm_rules.survival(self._lived, self._daily_rates, hazard_bounds),
            "feed_conversion": lambda: farm_rules.feed_conversion(self._lived, self.farm.speed),
            "growth_rate": lambda: farm_rules.growth_rate(self._lived, self.farm.speed),
            "bands": self._bands,
        }
        assert tuple(rules) == OF_FARM
        looked_at = {rule: work for rule, work in rules.items() if rule not in self.without}
        yield from (self._said_of(self._attempted(rule, work)) for rule, work in looked_at.items())

    def of_stores(self) -> Iterator[Finding]:
        """No store gave out more than it had."""
        names = (
            "inventory_feedpurchase",
            "inventory_feedcontainerstock",
            FEEDINGS,
            "infrastructure_container",
            "infrastructure_feedcontainer",
        )
        yield self._attempted("feed_stock", lambda: farm_rules.feed_stock(*(self.lake.scan(name) for name in names)))

    def of_truth(self) -> Iterator[Finding]:
        """States against the lives that were lived."""
        found = self._attempted("recovers_life", lambda: truth.recovers_life(self.errors))
        yield found if self.since is None else replace(found, detail=f"months since {self.since}: {found.detail}")

    def _of_living(self, name: str) -> pl.LazyFrame:
        """A table, or its rows of the batches that have fish since `since`, however long these have lived."""
        if self.since is None:
            return self.lake.scan(name)
        living = self._living
        born = living.select(pl.col("assignment_date").min().dt.strftime(_MONTH).fill_null(self.since)).item()
        months = [month for month in self.lake.partitions(name) if month >= born]
        rows = self.lake.scan(name, months or None)
        if "batch_id" in rows.collect_schema():
            return rows.filter(pl.col("batch_id").is_in(living["batch_id"].unique().to_list()))
        if name == "harvest_harvestlot":
            return rows.join(self._of_living("harvest_harvestevent").select(event_id="id"), on="event_id", how="semi")
        return rows

    @cached_property
    def _states(self) -> pl.LazyFrame:
        """The states that the rules on the farm look at: at night few enough to read them once for all."""
        states = self._of_living(tables.STATE_TABLE)
        if self.since is None:
            return states
        return states.drop(pl.selectors.string(), pl.selectors.nested()).collect().lazy()

    @cached_property
    def _living(self) -> pl.DataFrame:
        """Stays of the batches that have fish since `since`."""
        left = pl.col("departure_date").fill_null(date.max)
        stays = self._stays.with_columns(lives=(left > date.fromisoformat(f"{self.since}-01")).any().over("batch_id"))
        return stays.filter("lives").collect()

    def _said_of(self, found: Finding) -> Finding:
        """The finding, which says what it was about when that is not the whole farm."""
        if self.since is None or found.rule == "bands":
            return found
        return replace(found, detail=f"batches with fish since {self.since}: {found.detail}")

    def everything(self) -> Iterator[tuple[str, Finding]]:
        """Every rule that the lake alone can be held to, with the table that it is about."""
        for name in tables.TABLES:
            yield from ((name, finding) for finding in self.of_table(name))
        yield from ((FEEDINGS, finding) for finding in self.of_stores())
        for finding in (*self.of_farm(), *self.of_truth()):
            yield tables.STATE_TABLE, finding

    @cached_property
    def errors(self) -> pl.DataFrame:
        """How far each state is from life (`truth.errors`); with `since`, each state of that month and later ones."""
        if self.since is None:
            return truth.errors(self.lake.scan(tables.STATE_TABLE), self.lake.scan("life_day"))
        first = date.fromisoformat(f"{self.since}-01")
        near = f"{_before(first, 1):%Y-%m}"  # where the last weighing is found

        def later(name: str) -> pl.LazyFrame:
            return self.lake.scan(name, [month for month in self.lake.partitions(name) if month >= near])

        return truth.errors(later(tables.STATE_TABLE), later("life_day")).filter(pl.col("date") >= first)

    @cached_property
    def expected(self) -> dict[str, pl.DataFrame]:
        """month, rows of each table: from the plan by formula, from life where chance decides (invariant I7).

        Monthly tables: only of the months looked at (a backfill has not built the others yet).
        """
        lake = self.lake
        planned = lake.has("plan_assignment")  # not yet, when infrastructure is looked at
        plan = Plan(lake.read("plan_batch"), lake.read("plan_assignment")) if planned else schedule(self.farm)
        totals = constant_volume(self.farm) | total_volume(self.farm, plan)
        expected = {name: pl.DataFrame({"month": [_WHOLE], "rows": [rows]}) for name, rows in totals.items()}
        monthly = monthly_volume(self.farm, plan)
        for name in set(monthly["table"]):
            expected[name] = monthly.filter(pl.col("table") == name).select("month", pl.col("rows").cast(pl.Int64))
        lived = [month for month in lake.partitions("life_day") if self.months is None or month in self.months]
        if lived:
            died = lake.scan("life_day", lived).filter(pl.col("deaths") > 0)
            expected[DEATHS] = (
                died.group_by(month=pl.col("date").dt.strftime(_MONTH))
                .agg(rows=pl.len().cast(pl.Int64))
                .sort("month")
                .collect()
            )
        if lake.has("life_move"):
            expected["batch_transferaction"] = pl.DataFrame({"month": [_WHOLE], "rows": [lake.rows("life_move")]})
        if self.months is not None:
            for name in set(expected) & set(tables.MONTHLY_TABLES):
                expected[name] = expected[name].filter(pl.col("month").is_in(list(self.months)))
        return expected

    def _bands(self) -> Finding:
        farm = self.farm
        if farm.as_of != farm.default_as_of:
            return Finding("bands", passed=True, detail=f"the profile's bands hold on {farm.default_as_of} only")
        status = self.lake.scan("batch_batch").select("status").collect()["status"]
        counts = {name: self.lake.rows(name) for name in tables.EVENT_TABLES}
        counts |= {"batches": status.len(), "completed": int((status == "COMPLETED").sum())}
        return farm_rules.bands(farm.bands, counts)

    def _parents(self, table: sa.Table) -> dict[str, pl.LazyFrame]:
        return {p: self.lake.scan(p) for p, _ in tables.references(table).values() if self.lake.has(p)}

    @cached_property
    def _stays(self) -> pl.LazyFrame:
        return self.lake.read(STAYS).lazy()

    @cached_property
    def _parameters(self) -> pl.DataFrame:
        return self.lake.read("environmental_environmentalparameter")

    @cached_property
    def _sites(self) -> pl.DataFrame:
        """container_id, site (a station or an area, as text)."""
        halls = self.lake.read("infrastructure_hall").select("freshwater_station_id", hall_id="id")
        return (
            self.lake.read("infrastructure_container")
            .join(halls, on="hall_id", how="left")
            .select(
                container_id="id",
                site=pl.coalesce(pl.format("area {}", "area_id"), pl.format("station {}", "freshwater_station_id")),
            )
        )

    @cached_property
    def _lived(self) -> pl.DataFrame:
        return farm_rules.stages_lived(self._states)

    @cached_property
    def _daily_rates(self) -> pl.DataFrame:
        stages = self.lake.read("batch_lifecyclestage").select("name", stage="id")
        rates = self.lake.read("scenario_mortality_model_stage")
        return rates.join(stages, left_on="lifecycle_stage", right_on="name").select(
            "stage", daily_rate=pl.col("daily_rate_percent").cast(pl.Float64) / 100
        )


def _by_day(table: sa.Table, rows: pl.DataFrame) -> pl.DataFrame:
    if table.name == READINGS:
        return event_rules.by_day(table, rows, *event_rules.of_sensor(READING_HOURS))
    if table.name == FEEDINGS:
        return event_rules.by_day(table, rows)
    # Of other tables hardly two rows share what they refer to and their day.
    alone = rows.with_columns(rows=pl.lit(1, pl.Int64))
    return alone.with_columns(date=event_rules.time_column(table)) if table.name in tables.MONTHLY_TABLES else alone


_COUNTS = pl.Schema({"month": pl.String, "rows": pl.Int64})


def _unseen(rule: str) -> Finding:
    return Finding(rule, passed=False, detail="not looked at: the table cannot be read as declared")


def _before(day: date, days: int) -> date:
    return date.fromordinal(day.toordinal() - days)


def _saturation_mg_l(temp_c: pl.Series, salinity_ppt: pl.Series) -> pl.Series:
    return pl.Series(oxygen_saturation_mg_l(temp_c.to_numpy(), salinity_ppt.to_numpy()))


__all__ = ["Proof"]
