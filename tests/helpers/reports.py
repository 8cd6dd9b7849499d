"""A report with failed checks, without a database."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from aquamind_pipeline import report
from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.pipeline import check_results
from aquamind_pipeline.quality.common_rules import EXPECTATIONS, VOLUME
from aquamind_pipeline.report import Check, Report, Section
from aquamind_pipeline.report.picture_data import PictureData
from aquamind_pipeline.schema.check_result import CheckResult
from aquamind_pipeline.settings import Settings

TABLES = list(REGISTRY.aquamind)
WRONG = TABLES[-1]


def failed_report() -> Report:
    rows = [[name, 1_234_567 + number, 1_234_567] for number, name in enumerate(TABLES)]
    volumes = Check("volumes", False, f"not as planned: {WRONG} 9, planned 8", [WRONG])
    batches = [[f"FI-2026-{number:03}", *([123_456.7] * 9)] for number in range(40)]
    columns = ["batch", *(f"a long name {number}" for number in range(9))]
    return Report(
        "profile tiny, seed 1",
        "database 'x' on y",
        "2026-06-07",
        [
            Section("Event volume", ["table", "rows", "planned"], rows, [volumes]),
            Section("Growth", columns, batches, [Check("states", True, "40 batches have daily states")]),
        ],
    )


def save_failed_page(settings: Settings) -> Path:
    """The page of that report, with the results of a build in which two rules failed. Returns its path."""
    rows = pl.DataFrame(
        {"id": range(10), "note": ["<b>&"] * 10, "share": [1 / 3] * 10} | {f"c{n}": [n] * 10 for n in range(9)}
    )
    check_results.save(
        settings,
        "rules",
        [
            (WRONG, CheckResult(VOLUME.name, False, 1234, "rows are missing", rows)),
            (WRONG, CheckResult(EXPECTATIONS.name, False, 1, "an expectation failed", rows.head(1))),
            (TABLES[0], CheckResult(VOLUME.name, True)),
        ],
    )
    path = report.page_path(settings)
    pictures = PictureData(
        lives=_no_rows("batch date stage fish weight_g"),
        months=pl.DataFrame({"table": [WRONG], "month": ["2026-06"], "rows": [9], "planned": [8]}),
        use=_no_rows("date occupied ever days of"),
        stages=_no_rows("batch_id stage survival least most fcr"),
    )
    report.save_page(failed_report(), pictures, check_results.load(settings), path)
    return path


AS_THIN = [("volumes", ["environmental_environmentalreading"])]
"""What fails in a report of the thin lake: the other table that is thinned has no planned number of rows."""


def failed(found: Report) -> list[tuple[str, list[str]]]:
    """The checks that failed, each with the rows of the section that are wrong."""
    return [(check.name, [str(row) for row in check.rows]) for check in found.checks if not check.passed]


def _no_rows(names: str) -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys(names.split(), pl.Float64))


__all__ = ["AS_THIN", "TABLES", "WRONG", "failed", "failed_report", "save_failed_page"]
