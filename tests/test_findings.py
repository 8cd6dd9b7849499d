"""What checks found is kept for the report: of each check what it found last, and once."""

from __future__ import annotations

from pathlib import Path

from aquamind_pipeline import findings
from aquamind_pipeline.quality.finding import Finding
from aquamind_pipeline.settings import load_settings

STATES = "batch_actualdailyassignmentstate"


def test_a_build_after_a_failed_verify_is_what_counts(tmp_path: Path) -> None:
    settings = load_settings(profile="tiny", home=tmp_path)

    def found(*, passed: bool) -> list[tuple[str, Finding]]:
        return [(STATES, Finding("ledger", passed)), (STATES, Finding("no_doubling", passed=True))]

    def kept() -> list[tuple[object, ...]]:
        return findings.load(settings).select("rule", "passed").sort("rule").rows()

    findings.save(settings, "farm", found(passed=True))
    findings.forget(settings)
    findings.save(settings, findings.VERIFY, found(passed=False))
    assert kept() == [("ledger", False), ("no_doubling", True)]
    findings.save(settings, "farm", found(passed=True))
    findings.save(settings, "farm", found(passed=True))
    assert kept() == [("ledger", True), ("no_doubling", True)]
