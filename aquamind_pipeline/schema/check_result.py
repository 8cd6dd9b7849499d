"""The result of one rule, and how results of parts become one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

SAMPLE_ROWS = 10


@dataclass(frozen=True)
class CheckResult:
    """Whether a rule holds, and if not, how many rows break it and a few of them.

    Attributes:
        rule: Name of the rule, such as `foreign_keys`.
        passed: Whether no row breaks it.
        wrong: Number of rows (or groups) that break it.
        detail: One line for people: what was compared, or what is wrong.
        sample: Up to ten offending rows.
    """

    rule: str
    passed: bool
    wrong: int = 0
    detail: str = ""
    sample: pl.DataFrame = field(default_factory=pl.DataFrame)


def check_result(rule: str, offending: pl.DataFrame, held: str, broken: str) -> CheckResult:
    """A finding from the rows that break a rule; `held` and `broken` are the details of either outcome."""
    wrong = offending.height
    return CheckResult(rule, wrong == 0, wrong, broken if wrong else held, offending.head(SAMPLE_ROWS))


def attempted(rule: str, work: Callable[[], CheckResult], *, raises: tuple[type[Exception], ...] = ()) -> CheckResult:
    """The finding of a rule; one that crashes is a failure that says so, never a pass.

    Args:
        rule: Its name.
        work: The rule.
        raises: Errors that are for the caller, who may try again.
    """
    try:
        return work()
    except raises:
        raise
    except Exception as error:
        first = str(error).partition("\n")[0]
        return CheckResult(rule, passed=False, wrong=1, detail=f"the check crashed: {type(error).__name__}: {first}")


def merged(parts: Sequence[tuple[str, CheckResult]]) -> CheckResult:
    """One finding from those of a rule on several months; samples say which month they are of."""
    first = parts[0][1]
    if len(parts) == 1:
        return first
    bad = [(month, one) for month, one in parts if not one.passed]
    if not bad:
        return replace(first, detail=f"{len(parts)} months, in each: {parts[-1][1].detail}")
    named = ", ".join(month for month, _ in bad[:3]) + (" …" if len(bad) > 3 else "")
    samples = [one.sample.select(pl.lit(month).alias("(month)"), pl.all()) for month, one in bad if one.sample.height]
    return CheckResult(
        first.rule,
        passed=False,
        wrong=sum(one.wrong for _, one in bad),
        detail=f"{bad[0][1].detail} (in {len(bad)} of {len(parts)} months: {named})",
        sample=pl.concat(samples, how="diagonal_relaxed").head(SAMPLE_ROWS) if samples else pl.DataFrame(),
    )


__all__ = ["SAMPLE_ROWS", "CheckResult", "attempted", "check_result", "merged"]
