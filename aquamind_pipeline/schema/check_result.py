"""The result of one rule, and how the results of several months become one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from aquamind_pipeline.errors import AquaMindError

SAMPLE_ROWS = 10


@dataclass(frozen=True)
class CheckResult:
    """Whether a rule holds. If not, how many rows break it, with examples.

    Attributes:
        rule: Name of the rule, such as `foreign_keys`.
        passed: Whether no row breaks the rule.
        wrong: Number of rows (or groups of rows) that break the rule.
        detail: One line for people: what was compared, or what is wrong.
        sample: Up to `SAMPLE_ROWS` rows that break the rule.
    """

    rule: str
    passed: bool
    wrong: int = 0
    detail: str = ""
    sample: pl.DataFrame = field(default_factory=pl.DataFrame)


def check_result(rule: str, offending: pl.DataFrame, if_passed: str, if_failed: str) -> CheckResult:
    """Make a result from the rows that break a rule.

    Args:
        rule: Name of the rule.
        offending: Every row that breaks the rule.
        if_passed: The detail if there are none.
        if_failed: The detail if there are some.
    """
    wrong = offending.height
    return CheckResult(rule, wrong == 0, wrong, if_failed if wrong else if_passed, offending.head(SAMPLE_ROWS))


def attempted(rule: str, work: Callable[[], CheckResult], *, raises: tuple[type[Exception], ...] = ()) -> CheckResult:
    """Run a rule. If the rule crashes, the result is a failure with the error.

    Args:
        rule: Name of the rule.
        work: Runs the rule.
        raises: Errors to pass on to the caller, who may retry.
    """
    try:
        found: object = work()
        if not isinstance(found, CheckResult):
            raise TypeError(f"it returns {type(found).__name__}; let it return a CheckResult")
        if found.rule != rule:
            raise ValueError(f"its result is called {found.rule!r}; call it {rule!r}")
        return found
    except raises:
        raise
    except AquaMindError as error:  # nothing crashed: a file is damaged, for example
        message = " ".join(str(error).split())
        return CheckResult(rule, passed=False, wrong=1, detail=f"cannot be checked: {message}")
    except Exception as error:
        message = str(error).partition("\n")[0]
        return CheckResult(rule, passed=False, wrong=1, detail=f"the check crashed: {type(error).__name__}: {message}")


def merged(parts: Sequence[tuple[str, CheckResult]]) -> CheckResult:
    """Merge a rule's results on several months into one.

    Args:
        parts: Month and result.

    Returns:
        A result whose sample has the month of each row in the column `(month)`.
    """
    first = parts[0][1]
    if len(parts) == 1:
        return first
    failed = [(month, result) for month, result in parts if not result.passed]
    if not failed:
        return replace(first, detail=f"{len(parts)} months, in each: {parts[-1][1].detail}")
    named = ", ".join(month for month, _ in failed[:3]) + (" …" if len(failed) > 3 else "")
    samples = [
        result.sample.select(pl.lit(month).alias("(month)"), pl.all())
        for month, result in failed
        if result.sample.height
    ]
    wrong = sum(result.wrong for _, result in failed)
    month, of_month = failed[0]
    where = f"in {len(failed)} of {len(parts)} months: {named}"
    in_all = f"{month}: {of_month.detail} ({wrong:,} wrong {where})"
    return CheckResult(
        first.rule,
        passed=False,
        wrong=wrong,
        detail=in_all if len(failed) > 1 else f"{of_month.detail} ({where})",
        sample=pl.concat(samples, how="diagonal_relaxed").head(SAMPLE_ROWS) if samples else pl.DataFrame(),
    )


def together(*failed: CheckResult) -> CheckResult:
    """Make one of several failures of a rule."""
    samples = [result.sample for result in failed if result.sample.height]
    return CheckResult(
        failed[0].rule,
        passed=False,
        wrong=sum(result.wrong for result in failed),
        detail="; ".join(result.detail for result in failed),
        sample=pl.concat(samples, how="diagonal_relaxed").head(SAMPLE_ROWS) if samples else pl.DataFrame(),
    )


__all__ = ["SAMPLE_ROWS", "CheckResult", "attempted", "check_result", "merged", "together"]
