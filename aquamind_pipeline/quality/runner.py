"""Runs rules on the lake. It names no table: which rules a table has, and what they read, is declared.

Tables that are kept by month are looked at month by month, so memory does not grow with history. A rule that crashes
is a failed check with its name and the error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Protocol

import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.quality import expectations
from aquamind_pipeline.quality.common_rules import EXPECTATIONS, SCHEMA, VOLUME
from aquamind_pipeline.quality.expectations import Validated
from aquamind_pipeline.quality.farm_rules import FARM_RULES
from aquamind_pipeline.quality.living import LivingTables
from aquamind_pipeline.quality.rules import rules_of
from aquamind_pipeline.quality.volumes import expected_rows
from aquamind_pipeline.schema.check_result import CheckResult, attempted, check_result, merged
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.inputs import PLAN, Tables
from aquamind_pipeline.schema.rules import WHOLE, Rule, RuleInputs
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan, schedule

MONTHS_AT_ONCE = 2
"""Rules run mostly on one core, so two months are looked at side by side."""
_COUNTS = pl.Schema({"month": pl.String, "rows": pl.Int64})


class Stored(Tables, Protocol):
    """Tables that lie in files."""

    def rows(self, table: str, partition: str | None = None) -> int:
        """Rows of a table or a month."""

    def read(self, table: str, partition: str | None = None) -> pl.DataFrame:
        """A table or a month of it."""


class CheckRunner:
    """The rules on one farm's lake.

    Attributes:
        lake: Where the tables are.
        farm: The farm that they should be, up to the lake's as_of.
        months: Months to look at; None for all that there are.
        skip: Rules that are reported as skipped.
        since: First month to check. Rules on the farm cover the batches that have lived since then; None for all.
        only: Names of the rules to run; None for all.
        validated: Great Expectations' results of the tables looked at so far, by table.
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
        if definition.is_monthly:
            built = [month for month in self.lake.partitions(name) if self.months is None or month in self.months]
        else:
            built = [WHOLE]
        parts: dict[str, list[tuple[str, CheckResult]]] = {}
        profiles: list[pl.DataFrame] = []
        with ThreadPoolExecutor(MONTHS_AT_ONCE, thread_name_prefix="checks") as pool:
            of_months = pool.map(lambda month: self._of_part(definition, month), built)
            for month, (results, profile) in zip(built, of_months, strict=True):
                profiles += profile
                for one in results:
                    parts.setdefault(one.rule, []).append((month, one))
        yield from (merged(results) for results in parts.values())
        readable = not definition.is_monthly or all(one.passed for _, one in parts.get(SCHEMA.name, ()))
        for rule in rules.values():
            if rule.name in parts or not self._wants(rule):
                continue
            if not rule.once:
                yield CheckResult(rule.name, passed=True, detail="no month to look at")
            elif readable or rule.name == VOLUME.name:
                yield self._run(rule, partial(self._of_all_months, definition, rule, profiles))
            else:
                yield _unreadable(rule)

    def _of_part(self, definition: TableDefinition, month: str) -> tuple[list[CheckResult], list[pl.DataFrame]]:
        """Run the rules on one month's rows, or on a table without months; and profile them where that is asked."""
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
            return [schema, *map(_unreadable, own)], []
        results = [schema, *(self._run(rule, partial(check, rule)) for rule in own)]
        profiles: list[pl.DataFrame] = []

        def profiled() -> CheckResult:
            profiles.append(expectations.profile(definition, rows[0].lazy(), month))
            return CheckResult(EXPECTATIONS.name, passed=True)

        wanted = self._wants(EXPECTATIONS) and EXPECTATIONS.name not in self.skip
        if wanted and expectations.is_profiled(definition, rows[0].height):
            made = attempted(EXPECTATIONS.name, profiled)
            results += [] if made.passed else [made]
        return results, profiles

    def _of_all_months(self, definition: TableDefinition, rule: Rule, profiles: list[pl.DataFrame]) -> CheckResult:
        if rule.name == VOLUME.name:
            return self._volume(definition)
        if rule.name == EXPECTATIONS.name:
            return self._expectations(definition, profiles)
        return rule.check(self._inputs(definition, rule, self.lake, self._shared))

    def of_farm(self, about: str | None = None) -> Iterator[tuple[str, CheckResult]]:
        """Run the rules on the farm as a whole, those about one table or all, each with the table it is about."""
        tables = self.lake if self.since is None else LivingTables(self.lake, self.since)
        for rule in FARM_RULES:
            if (about is None or rule.about == about) and self._wants(rule):
                yield rule.about, self._about_since(self._run(rule, partial(self._of_farm, rule, tables)))

    def _of_farm(self, rule: Rule, tables: Tables) -> CheckResult:
        return rule.check(self.farm_inputs(rule, tables))

    def farm_inputs(self, rule: Rule, tables: Tables | None = None) -> RuleInputs:
        """What a rule on the farm is given; what rules compute is shared between them."""
        return self._inputs(REGISTRY[rule.about], rule, tables or self.lake, self._shared_by_farm_rules)

    def everything(self) -> Iterator[tuple[str, CheckResult]]:
        """Run every rule that the lake alone can be checked by, each with the table that it is about."""
        for name in REGISTRY.aquamind:
            yield from ((name, one) for one in self.of_table(name))
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

    def _about_since(self, result: CheckResult) -> CheckResult:
        """The result, which says what it was about when that is not the whole farm."""
        if self.since is None:
            return result
        return replace(result, detail=f"batches with fish since {self.since}: {result.detail}")

    def _volume(self, definition: TableDefinition) -> CheckResult:
        """Rows per month are exactly what was to be expected; a month without rows may be absent."""
        name = definition.name
        expected = expected_rows(definition, self.farm, self._plan, self.lake, self.months)
        if expected is None:
            return CheckResult(VOLUME.name, passed=True, detail="what tells the rows is not built, and not of this run")
        if definition.is_monthly:
            built = [month for month in self.lake.partitions(name) if self.months is None or month in self.months]
            counts = [(month, self.lake.rows(name, month)) for month in built]
        else:
            counts = [(WHOLE, self.lake.rows(name))]
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
        held = f"{total:,} rows in {expected.height} months, as planned"
        return check_result(VOLUME.name, wrong, held, f"{wrong.height} months differ from the plan")

    def _expectations(self, definition: TableDefinition, profiles: list[pl.DataFrame]) -> CheckResult:
        if not profiles and definition.is_monthly:
            return CheckResult(EXPECTATIONS.name, passed=True, detail="no month to look at")
        frame = pl.concat(profiles) if profiles else self.lake.read(definition.name)
        done = expectations.validate(definition.table, frame, profiled=bool(profiles))
        self.validated[definition.name] = done
        return done.check

    @cached_property
    def _plan(self) -> Plan:
        """The plan as the lake has it; computed where it is not there yet, when reference tables are checked."""
        if all(self.lake.has(name) for name in PLAN):
            return Plan(*(self.lake.read(name) for name in PLAN))
        return schedule(self.farm)


def _unreadable(rule: Rule) -> CheckResult:
    return CheckResult(rule.name, passed=False, detail="not looked at: the table cannot be read as defined")


__all__ = ["CheckRunner", "Stored"]
