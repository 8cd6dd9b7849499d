"""Results of checks are kept for the report: the last one of each check, once."""

from __future__ import annotations

from pathlib import Path

from aquamind_pipeline.pipeline import check_results
from aquamind_pipeline.schema.check_result import CheckResult
from aquamind_pipeline.settings import load_settings

STATES = "batch_actualdailyassignmentstate"


def test_a_build_after_a_failed_verify_replaces_its_results(tmp_path: Path) -> None:
    settings = load_settings(profile="tiny", home=tmp_path)

    def results(*, passed: bool) -> list[tuple[str, CheckResult]]:
        return [(STATES, CheckResult("ledger", passed)), (STATES, CheckResult("no_doubling", passed=True))]

    def kept() -> list[tuple[object, ...]]:
        return check_results.load(settings).select("rule", "passed").sort("rule").rows()

    check_results.save(settings, "farm", results(passed=True))
    check_results.forget(settings)
    check_results.save(settings, check_results.VERIFY, results(passed=False))
    assert kept() == [("ledger", False), ("no_doubling", True)]
    check_results.save(settings, "farm", results(passed=True))
    check_results.save(settings, "farm", results(passed=True))
    assert kept() == [("ledger", True), ("no_doubling", True)]
