"""Runs rules on the lake. The runner names no table, because tables and rules declare what applies to them.

Monthly tables are checked month by month, so memory does not grow with history. A rule that crashes is a failed check
with its name and the error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Protocol

import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.quality import expectations
from aquamind_pipeline.quality.common_rules import EXPECTATIONS, KEYS, SCHEMA, VOLUME
from aquamind_pipeline.quality.expectations import Validated
from aquamind_pipeline.quality.farm_rules import FARM_RULES
from aquamind_pipeline.quality.ids_of_months import ids_of_several_months, stretches
from aquamind_pipeline.quality.living import LivingTables
from aquamind_pipeline.quality.rules import rules_of
from aquamind_pipeline.quality.volumes import expected_rows
from aquamind_pipeline.schema.check_result import CheckResult, attempted, check_result, merged, together
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.frames import primary_key
from aquamind_pipeline.schema.inputs import PLAN, Tables
from aquamind_pipeline.schema.rules import WHOLE, Rule, RuleInputs
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan, schedule

MONTHS_AT_ONCE = 2
"""Number of months to check in parallel. A rule uses mostly one core."""
_COUNTS = pl.Schema({"month": pl.String, "rows": pl.Int64})
_NO_MONTH = "there is no month to check"


class Stored(Tables, Protocol):
    """Tables that are stored in files."""

    def rows(self, table: str, partition: str | None = None) -> int:
        """Number of rows of the table, or of the month of it."""

    def read(self, table: str, partition: str | None = None) -> pl.DataFrame:
        """The table, or the month of it."""


@dataclass(frozen=True)
class _Part:
    """The rules of a table on the rows of one month, or of a table without months.

    Attributes:
        results: The result of each rule.
        rows: Number of rows; None if they could not be read.
        profiles: The profile of the rows, if the expectations need one.
        ids: The stretches of a month's ids; None if they are not looked at.
    """

    results: list[CheckResult]
    rows: int | None
    profiles: list[pl.DataFrame] = field(default_factory=list)
    ids: pl.DataFrame | None = None


class CheckRunner:
    """Runs the rules on one farm's lake.

    Attributes:
        lake: The tables.
        farm: The farm that the lake should have, up to the lake's as_of.
        months: Months to check; None for all months of the lake.
        skip: Names of rules to report as skipped.
        since: First month to check. Rules on the farm cover the batches with fish since then; None for all batches.
        only: Names of the rules to run; None for all.
        validated: Great Expectations' results of the tables checked so far, by table.
    """

    def __init__(
        self,
        lake: Stored,
        farm: Profile,
        months: Sequence[str] | None = None,
        *,
        skip: Collection[str] = (),
        since: str | None = None,
        only: Collection[str] | None = None,
    ) -> None:
        self.lake, self.farm, self.months, self.skip = lake, farm, months, frozenset(skip)
        self.since, self.only = since, None if only is None else frozenset(only)
        self.validated: dict[str, Validated] = {}
        self._shared: dict[Any, Any] = {}
        self._shared_by_farm_rules: dict[Any, Any] = {}

    def of_table(self, name: str) -> Iterator[CheckResult]:
        """Run the rules on a table's own rows."""
        definition, rules = REGISTRY[name], rules_of(name)
        months = self._built_months(name) if definition.is_monthly else [WHOLE]
        by_rule: dict[str, list[tuple[str, CheckResult]]] = {}
        with ThreadPoolExecutor(MONTHS_AT_ONCE, thread_name_prefix="checks") as pool:
            parts = dict(zip(months, pool.map(lambda month: self._check_part(definition, month), months), strict=True))
        for month, part in parts.items():
            for result in part.results:
                by_rule.setdefault(result.rule, []).append((month, result))
        for results in by_rule.values():
            result = merged(results)
            yield self._with_ids_of_months(definition, result, parts) if result.rule == KEYS.name else result
        readable = all(result.passed for _, result in by_rule.get(SCHEMA.name, ()))
        for rule in rules.values():
            if rule.name in by_rule or not self._wants(rule):
                continue
            if not rule.once:
                yield CheckResult(rule.name, passed=True, detail=_NO_MONTH)
            elif readable or rule.name == VOLUME.name:
                yield self._run(rule, partial(self._check_all_months, definition, rule, parts))
            else:
                yield _unreadable(rule)

    def _built_months(self, name: str) -> list[str]:
        """Months of a table to check that the lake has."""
        return [month for month in self.lake.partitions(name) if self.months is None or month in self.months]

    def _check_part(self, definition: TableDefinition, month: str) -> _Part:
        """Run the rules on the rows of one month, or on a table without months."""
        partition = None if month == WHOLE else month
        own = [rule for rule in rules_of(definition.name).values() if not rule.once and rule.name != SCHEMA.name]
        own = [rule for rule in own if self._wants(rule)]
        shared_of_part: dict[Any, Any] = {}
        rows: list[pl.DataFrame] = []

        def inputs(rule: Rule) -> RuleInputs:
            return self._inputs(definition, rule, self.lake, self._shared, month, rows[0], shared_of_part)

        def check(rule: Rule) -> CheckResult:
            return rule.check(inputs(rule))

        def readable() -> CheckResult:
            rows.append(self.lake.read(definition.name, partition))
            return check(SCHEMA)

        schema = attempted(SCHEMA.name, readable)
        if not schema.passed:
            return _Part([schema, *map(_unreadable, own)], rows[0].height if rows else None)
        results = [schema, *(self._run(rule, partial(check, rule)) for rule in own)]
        profiles: list[pl.DataFrame] = []

        def profiled() -> CheckResult:
            profiles.append(expectations.profile(definition, rows[0].lazy(), month))
            return CheckResult(EXPECTATIONS.name, passed=True)

        wanted = self._wants(EXPECTATIONS) and EXPECTATIONS.name not in self.skip
        if wanted and expectations.is_profiled(definition, rows[0].height):
            made = attempted(EXPECTATIONS.name, profiled)
            results += [] if made.passed else [made]
        looks_at_ids = definition.is_monthly and self._wants(KEYS) and KEYS.name not in self.skip
        ids = stretches(rows[0][primary_key(definition.table)[0]]) if looks_at_ids else None
        return _Part(results, rows[0].height, profiles, ids)

    def _with_ids_of_months(
        self, definition: TableDefinition, keys: CheckResult, parts: Mapping[str, _Part]
    ) -> CheckResult:
        """The result of `keys` on each month alone, and whether an id occurs in two months."""
        key = primary_key(definition.table)[0]
        months = {month: part.ids for month, part in parts.items() if part.ids is not None}
        if len(months) < 2:
            return keys

        def ids(month: str) -> pl.Series:
            return self.lake.scan(definition.name, [month]).select(key).collect().to_series()

        across = attempted(KEYS.name, partial(ids_of_several_months, KEYS.name, key, months, ids))
        return keys if across.passed else across if keys.passed else together(keys, across)

    def _check_all_months(self, definition: TableDefinition, rule: Rule, parts: Mapping[str, _Part]) -> CheckResult:
        """Run a rule that checks all months together."""
        if rule.name == VOLUME.name:
            return self._volume(definition, parts)
        if rule.name == EXPECTATIONS.name:
            return self._expectations(definition, [profile for part in parts.values() for profile in part.profiles])
        return rule.check(self._inputs(definition, rule, self.lake, self._shared))

    def of_farm(self, about: str | None = None) -> Iterator[tuple[str, CheckResult]]:
        """Run the rules on the farm as a whole.

        Args:
            about: Run only the rules about this table; None for all.

        Yields:
            The table that a rule is about, and the result.
        """
        tables = self.lake if self.since is None else LivingTables(self.lake, self.since)
        for rule in FARM_RULES:
            if (about is None or rule.about == about) and self._wants(rule):
                yield rule.about, self._with_scope(self._run(rule, partial(self._check_farm, rule, tables)))

    def _check_farm(self, rule: Rule, tables: Tables) -> CheckResult:
        if rule.all_batches and self.since is not None:
            return CheckResult(rule.name, passed=True, detail="not looked at: this rule needs all batches")
        return rule.check(self.farm_inputs(rule, tables))

    def farm_inputs(self, rule: Rule, tables: Tables | None = None) -> RuleInputs:
        """The inputs of a rule on the farm. These rules share intermediate results."""
        return self._inputs(REGISTRY[rule.about], rule, tables or self.lake, self._shared_by_farm_rules)

    def everything(self) -> Iterator[tuple[str, CheckResult]]:
        """Run every rule that needs only the lake.

        Yields:
            The table that a rule is about, and the result.
        """
        for name in REGISTRY.aquamind:
            yield from ((name, result) for result in self.of_table(name))
        yield from self.of_farm()

    def _inputs(
        self,
        definition: TableDefinition,
        rule: Rule,
        tables: Tables,
        shared: dict[Any, Any],
        month: str = WHOLE,
        rows: pl.DataFrame | None = None,
        own: dict[Any, Any] | None = None,
    ) -> RuleInputs:
        return RuleInputs(
            definition,
            rule,
            self.farm,
            tables,
            month=month,
            rows=rows,
            chosen=self.months,
            since=self.since,
            shared=shared,
            own={} if own is None else own,
        )

    def _wants(self, rule: Rule) -> bool:
        return self.only is None or rule.name in self.only

    def _run(self, rule: Rule, work: Callable[[], CheckResult]) -> CheckResult:
        if rule.name in self.skip:
            return CheckResult(rule.name, passed=False, detail="not looked at: this run skips it")
        return attempted(rule.name, work)

    def _with_scope(self, result: CheckResult) -> CheckResult:
        """The result. In a nightly run its detail says which batches were checked."""
        if self.since is None:
            return result
        return replace(result, detail=f"batches with fish since {self.since}: {result.detail}")

    def _volume(self, definition: TableDefinition, parts: Mapping[str, _Part]) -> CheckResult:
        """Each month has exactly the expected rows. A month without rows may have no file.

        The rows of a file that could not be read are counted in its footer, if it has one.
        """
        name = definition.name
        expected = expected_rows(definition, self.farm, self._plan, self.lake, self.months)
        if expected is None:
            detail = "the table that decides the row count is not built, and this run does not make it"
            return CheckResult(VOLUME.name, passed=True, detail=detail)
        counts = [
            (month, self.lake.rows(name, None if month == WHOLE else month) if part.rows is None else part.rows)
            for month, part in parts.items()
        ]
        wrong = (
            expected.select("month", expected="rows")
            .join(
                pl.DataFrame(counts, _COUNTS, orient="row").select("month", found="rows"),
                on="month",
                how="full",
                coalesce=True,
            )
            .with_columns(pl.col("expected", "found").fill_null(0))
            .filter(pl.col("expected") != pl.col("found"))
            .sort("month")
        )
        total = int(expected["rows"].sum())
        months = f" in {expected.height} months" if definition.is_monthly else ""
        broken = ", ".join(_wrong_volume(row) for row in wrong.head(3).to_dicts()) + (" …" if wrong.height > 3 else "")
        return check_result(VOLUME.name, wrong, f"{total:,} rows{months}, as expected", broken)

    def _expectations(self, definition: TableDefinition, profiles: list[pl.DataFrame]) -> CheckResult:
        if not profiles and definition.is_monthly:
            return CheckResult(EXPECTATIONS.name, passed=True, detail=_NO_MONTH)
        frame = pl.concat(profiles) if profiles else self.lake.read(definition.name)
        validated = expectations.validate(definition.table, frame, profiled=bool(profiles))
        self.validated[definition.name] = validated
        return validated.check

    @cached_property
    def _plan(self) -> Plan:
        """The lake's plan. It is computed if the lake has none yet, when only reference tables are built."""
        if all(self.lake.has(name) for name in PLAN):
            return Plan(*(self.lake.read(name) for name in PLAN))
        return schedule(self.farm)


def _wrong_volume(row: dict[str, Any]) -> str:
    month = "" if row["month"] == WHOLE else f"{row['month']}: "
    return f"{month}{row['found']:,} rows instead of {row['expected']:,}"


def _unreadable(rule: Rule) -> CheckResult:
    return CheckResult(rule.name, passed=False, detail="not looked at: the table cannot be read as defined")


__all__ = ["CheckRunner", "Stored"]
