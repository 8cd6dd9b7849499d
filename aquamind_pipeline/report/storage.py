"""Files of the report: where they are, how they are written and read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.files import write_atomically
from aquamind_pipeline.report.model import Check, Report, Section
from aquamind_pipeline.settings import Settings


def report_path(settings: Settings) -> Path:
    """Path of the farm's last report."""
    return settings.reports_path / f"{settings.farm_name}.json"


def page_path(settings: Settings) -> Path:
    """Path of the farm's last report as a page."""
    return report_path(settings).with_suffix(".html")


def realism_path(settings: Settings) -> Path:
    """Path of the page that compares the farm with real farms."""
    return settings.reports_path / settings.farm_name / "realism.html"


def sums_path(settings: Settings) -> Path:
    """Folder where the farm's last report left its sums for the next one."""
    return settings.reports_path / settings.farm_name / "sums"


def save(report: Report, path: Path) -> None:
    """Write the report as JSON.

    Raises:
        LakeError: when the file cannot be written.
    """
    content = asdict(report) | {"passed": report.passed}
    write_file(path, json.dumps(content, indent=2, default=str) + "\n")


def load_saved(path: Path) -> Report:
    """Read a report that `save` wrote.

    Raises:
        LakeError: when there is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise LakeError(f"there is no report in {path}: run `aquamind verify`") from None
    sections = [Section(**(s | {"checks": [Check(**c) for c in s["checks"]]})) for s in content["sections"]]
    return Report(content["farm"], content["database"], content["as_of"], sections)


def write_file(path: Path, text: str) -> None:
    """Write a file of the reports folder atomically.

    Raises:
        LakeError: when the file cannot be written.
    """
    try:
        write_atomically(path, text)
    except OSError as error:
        raise LakeError(f"{path} cannot be written ({error.strerror}): check AQUAMIND_HOME") from None


__all__ = ["load_saved", "page_path", "realism_path", "report_path", "save", "sums_path", "write_file"]
