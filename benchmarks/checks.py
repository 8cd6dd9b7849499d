"""What each rule of the lake costs; all of them against generation, and comparing lake and database against the load.

Targets: the checks take no longer than generating what they check, the comparison no longer than the load. Generation
and load run as a build runs them, by Dagster.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from unittest import mock

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.quality import runner
from aquamind_pipeline.quality.farm_rules import FARM_RULES
from aquamind_pipeline.schema.check_result import CheckResult, attempted
from benchmarks.measuring import LAKE_STAGES, LOAD, STAGES, Row, farm, make, run, seconds
from benchmarks.stages import after

SLOWEST = 12


def measure(profile: str = "test-40") -> list[Row]:
    """The slowest rules, the rest, and the two targets."""
    with farm(profile) as workspace:
        warm_up(workspace)
        generated = seconds(lambda: run(workspace, REGISTRY))
        by_rule: defaultdict[tuple[str, str], float] = defaultdict(float)
        checked = seconds(lambda: _time_rules(workspace, by_rule))
        summed = sum(by_rule.values())  # more than `checked`: months are looked at side by side
        slowest = sorted(by_rule.items(), key=lambda one: -one[1])[:SLOWEST]
        rows: list[Row] = [
            {"work": f"{about}: {rule}", "seconds": taken, "share": taken / summed} for (about, rule), taken in slowest
        ]
        rest = summed - sum(taken for _, taken in slowest)
        rows.append({"work": f"{len(by_rule) - SLOWEST} other rules", "seconds": rest, "share": rest / summed})
        rows.append(_target("all checks, floor: generation", checked, generated))
        with workspace.database():
            loaded = seconds(lambda: make(workspace, [LOAD]))
            compared = seconds(lambda: after(workspace, "comparison"))
        rows.append(_target("comparison of lake and database, floor: load", compared, loaded))
        return rows


def warm_up(workspace: Workspace) -> None:
    """Pay for what the first run and the first suite alone pay for: imports."""
    first = STAGES[LAKE_STAGES[0]]
    run(workspace, first)
    list(workspace.checks().of_table(first[0]))


def _target(work: str, taken: float, floor: float) -> Row:
    return {"work": work, "seconds": taken, "floor": floor, "ratio": taken / floor}


def _time_rules(workspace: Workspace, by_rule: defaultdict[tuple[str, str], float]) -> None:
    """Run every rule, and add up the seconds that each took on each table."""
    about = ""

    def timed(rule: str, work: Callable[[], CheckResult]) -> CheckResult:
        results: list[CheckResult] = []
        by_rule[about, rule] += seconds(lambda: results.append(attempted(rule, work)))
        return results[0]

    checks = workspace.checks()
    groups: dict[str, Callable[[], Iterable[CheckResult]]] = {
        name: partial(checks.of_table, name) for name in REGISTRY.aquamind
    }
    groups |= {f"farm, {name}": partial(_of_farm, checks, name) for name in {rule.about for rule in FARM_RULES}}
    with mock.patch.object(runner, "attempted", timed):
        for about, rules in groups.items():  # noqa: B007 - `timed` reads it
            assert all(result.passed for result in rules())


def _of_farm(checks: runner.CheckRunner, about: str) -> Iterator[CheckResult]:
    """The rules on the farm about one table."""
    return (result for _, result in checks.of_farm(about))
