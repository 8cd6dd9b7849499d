"""The result of one rule: of a rule that crashes, and of a rule on several months."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.schema.check_result import CheckResult, attempted, merged


def test_a_rule_that_crashes_has_not_passed() -> None:
    def crash() -> CheckResult:
        raise pl.exceptions.ComputeError("no such thing\nand more")

    found = attempted("keys", crash)
    assert not found.passed
    assert found.detail == "the check crashed: ComputeError: no such thing"


def test_a_rule_that_cannot_read_its_table_says_why_and_no_more() -> None:
    def unreadable() -> CheckResult:
        raise LakeError("2026-03.parquet is damaged:\ndelete it")

    found = attempted("keys", unreadable)
    assert (found.passed, found.detail) == (False, "cannot be checked: 2026-03.parquet is damaged: delete it")


@pytest.mark.parametrize(
    ("returned", "detail"),
    [
        (None, "TypeError: it returns NoneType; let it return a CheckResult"),
        (CheckResult("gapz", passed=True), "ValueError: its result is called 'gapz'; call it 'gaps'"),
    ],
)
def test_a_rule_that_returns_something_else_has_not_passed(returned: Any, detail: str) -> None:
    found = attempted("gaps", lambda: returned)
    assert (found.rule, found.passed, found.detail) == ("gaps", False, f"the check crashed: {detail}")


def test_months_become_one_result() -> None:
    good = CheckResult("gaps", passed=True, detail="none")
    bad = CheckResult("gaps", passed=False, wrong=2, detail="some", sample=pl.DataFrame({"id": [1, 2]}))
    assert merged([("2026-01", good), ("2026-02", good)]).passed
    found = merged([("2026-01", good), ("2026-02", bad), ("2026-03", bad)])
    assert (found.passed, found.wrong) == (False, 4)
    assert found.detail == "2026-02: some (4 wrong in 2 of 3 months: 2026-02, 2026-03)"
    assert merged([("2026-01", good), ("2026-02", bad)]).detail == "some (in 1 of 2 months: 2026-02)"
    assert found.sample["(month)"].to_list() == ["2026-02"] * 2 + ["2026-03"] * 2
