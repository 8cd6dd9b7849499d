"""What each rule of the lake costs; all of them against generation, and comparing lake and database against the load.

Targets: the checks take no longer than generating what they check, the comparison no longer than the load.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from unittest import mock

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline import proof, tables
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.postgres import comparison
from aquamind_pipeline.quality import expectations
from aquamind_pipeline.quality.check_result import Finding, attempted
from benchmarks.measuring import LAKE_STAGES, Row, farm, make, seconds

SLOWEST = 12


def measure(profile: str = "test-40") -> list[Row]:
    """The slowest rules, the rest, and the two targets."""
    with farm(profile) as workspace:
        warm_up(workspace)
        generated = seconds(lambda: make(workspace, LAKE_STAGES))
        by_rule: defaultdict[tuple[str, str], float] = defaultdict(float)
        checked = seconds(lambda: _time_rules(workspace, by_rule))
        slowest = sorted(by_rule.items(), key=lambda one: -one[1])
        summed = sum(by_rule.values())  # more than `checked`: months are looked at side by side
        rows: list[Row] = [
            {"work": f"{table}: {rule}", "seconds": taken, "share": taken / summed}
            for (table, rule), taken in slowest[:SLOWEST]
        ]
        rest = sum(taken for _, taken in slowest[SLOWEST:])
        rows.append({"work": f"{len(slowest) - SLOWEST} other rules", "seconds": rest, "share": rest / summed})
        rows.append(_target("all checks, floor: generation", checked, generated))
        with workspace.database() as url:
            loaded = seconds(lambda: make(workspace, ["load"]))
            compared = seconds(lambda: comparison.compared(url, workspace.lake, tables.TABLES))
        rows.append(_target("comparison of lake and database, floor: load", compared, loaded))
        return rows


def warm_up(workspace: Workspace) -> None:
    """Pay for what the first run and the first suite alone pay for: imports."""
    make(workspace, LAKE_STAGES[:1])
    list(workspace.proof().of_table("infrastructure_geography"))


def _target(work: str, taken: float, floor: float) -> Row:
    return {"work": work, "seconds": taken, "floor": floor, "ratio": taken / floor}


def _time_rules(workspace: Workspace, by_rule: defaultdict[tuple[str, str], float]) -> None:
    """Hold the lake against every rule, and add up what each took on each table."""
    about = ""

    def timed(rule: str, work: Callable[[], Finding]) -> Finding:
        found: list[Finding] = []
        by_rule["all tables" if rule == "expectations" else about, rule] += seconds(
            lambda: found.append(attempted(rule, work))
        )
        return found[0]

    def profiled(table: sa.Table, rows: pl.LazyFrame, month: str) -> pl.DataFrame:
        made: list[pl.DataFrame] = []
        by_rule[about, "profile"] += seconds(lambda: made.append(profile(table, rows, month)))
        return made[0]

    held, profile = workspace.proof(), expectations.profile
    groups: dict[str, Callable[[], Iterator[Finding]]] = {name: partial(held.of_table, name) for name in tables.TABLES}
    groups |= {"stores": held.of_stores, "farm": held.of_farm, "truth": held.of_truth}
    with mock.patch.object(proof, "attempted", timed), mock.patch.object(expectations, "profile", profiled):
        for about, rules in groups.items():  # noqa: B007 - `timed` reads it
            assert all(finding.passed for finding in rules())
