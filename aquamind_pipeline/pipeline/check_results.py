"""The results of the last build's checks, kept beside the reports."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.files import write_atomically
from aquamind_pipeline.quality.rules import STATEMENTS
from aquamind_pipeline.schema.check_result import CheckResult
from aquamind_pipeline.schema.shown_rows import as_text, rounded
from aquamind_pipeline.settings import Settings

VERIFY = "verify"
"""Group of the results of `aquamind verify`, which runs every check."""
SCHEMA = pl.Schema(
    {
        "asset": pl.String(),
        "rule": pl.String(),
        "passed": pl.Boolean(),
        "blocks": pl.Boolean(),
        "wrong": pl.Int64(),
        "detail": pl.String(),
        "sample": pl.List(pl.List(pl.String())),
    }
)
"""Columns of the kept results: `wrong` counts the rows that break the rule, `blocks` says whether that stops a load.

`sample` has the names of the columns and some of these rows, as text. It is null in results of older versions.
"""


def save(settings: Settings, group: str, results: Iterable[tuple[str, CheckResult]]) -> None:
    """Keep the results of a group of checks, replacing that group's earlier results.

    The results of `verify` are deleted as soon as a build runs any check again: they may not hold any more.

    Args:
        settings: Say where the reports are.
        group: Name of the group.
        results: Asset and result of each check.

    Raises:
        LakeError: when the folder cannot be written.
    """
    rows = [
        {
            "asset": asset,
            "rule": result.rule,
            "passed": result.passed,
            "blocks": STATEMENTS[result.rule].blocks,
            "wrong": result.wrong,
            "detail": result.detail,
            "sample": _texts(result.sample),
        }
        for asset, result in results
    ]
    path = _folder(settings) / f"{group}.json"
    try:
        write_atomically(path, json.dumps(rows, indent=1) + "\n")
        if group != VERIFY:
            path.with_stem(VERIFY).unlink(missing_ok=True)
    except OSError as error:
        raise LakeError(f"{path} cannot be written ({error.strerror})") from None


def _texts(rows: pl.DataFrame) -> list[list[str]]:
    """Some of the wrong rows as text, after the names of their columns."""
    return [rows.columns, *([as_text(value) for value in row] for row in rounded(rows).rows())]


def load(settings: Settings) -> pl.DataFrame:
    """All kept results, with the columns of `SCHEMA`."""
    rows = [row for path in sorted(_folder(settings).glob("*.json")) for row in json.loads(path.read_text("utf-8"))]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def forget(settings: Settings) -> None:
    """Delete all kept results."""
    shutil.rmtree(_folder(settings), ignore_errors=True)


def _folder(settings: Settings) -> Path:
    return settings.reports_path / settings.farm_name / "check_results"


__all__ = ["SCHEMA", "VERIFY", "forget", "load", "save"]
