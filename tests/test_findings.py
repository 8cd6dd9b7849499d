"""What checks found is kept for the report: of each check what it found last, and once."""

from __future__ import annotations

from pathlib import Path

from aquamind_pipeline.pipeline import check_results
from aquamind_pipeline.quality.check_result import Finding
from aquamind_pipeline.settings import load_settings

STATES = "batch_actualdailyassignmentstate"


def test_a_build_after_a_failed_verify_is_what_counts(tmp_path: Path) -> None:
    settings = load_settings(profile="tiny", home=tmp_path)

    def found(*, passed: bool) -> list[tuple[str, Finding]]:
        return [(STATES, Finding("ledger", passed)), (STATES, Finding("no_doubling", passed=True))]

    def kept() -> list[tuple[object, ...]]:
        return check_results.load(settings).select("rule", "passed").sort("rule").rows()

    check_results.save(settings, "farm", found(passed=True))
    check_results.forget(settings)
    check_results.save(settings, check_results.VERIFY, found(passed=False))
    assert kept() == [("ledger", False), ("no_doubling", True)]
    check_results.save(settings, "farm", found(passed=True))
    check_results.save(settings, "farm", found(passed=True))
    assert kept() == [("ledger", True), ("no_doubling", True)]
