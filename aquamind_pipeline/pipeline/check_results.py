"""What the checks of the last build found, kept beside the reports."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.quality.rules import STATEMENTS
from aquamind_pipeline.schema.check_result import CheckResult
from aquamind_pipeline.settings import Settings

VERIFY = "verify"
"""Group of `aquamind verify`, which looks at everything."""
SHAPE = pl.Schema(
    {
        "asset": pl.String,
        "rule": pl.String,
        "passed": pl.Boolean,
        "blocks": pl.Boolean,
        "wrong": pl.Int64,
        "detail": pl.String,
    }
)


def save(settings: Settings, group: str, found: Iterable[tuple[str, CheckResult]]) -> None:
    """Keep what a group of checks found, in the place of what it found before.

    What `verify` found was of the farm as it was then: it goes as soon as a build looks at any of it again.

    Raises:
        LakeError: when the folder cannot be written.
    """
    rows = [
        {
            "asset": asset,
            "rule": one.rule,
            "passed": one.passed,
            "blocks": STATEMENTS[one.rule].blocks,
            "wrong": one.wrong,
            "detail": one.detail,
        }
        for asset, one in found
    ]
    path = _folder(settings) / f"{group}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
        temporary.replace(path)
        if group != VERIFY:
            path.with_stem(VERIFY).unlink(missing_ok=True)
    except OSError as error:
        raise LakeError(f"{path} cannot be written ({error.strerror})") from None


def load(settings: Settings) -> pl.DataFrame:
    """asset, rule, passed, blocks, wrong, detail of every check kept."""
    rows = [row for path in sorted(_folder(settings).glob("*.json")) for row in json.loads(path.read_text("utf-8"))]
    return pl.DataFrame(rows, schema=SHAPE, orient="row")


def forget(settings: Settings) -> None:
    """Delete what was kept."""
    shutil.rmtree(_folder(settings), ignore_errors=True)


def _folder(settings: Settings) -> Path:
    return settings.reports_path / settings.farm_name / "findings"


__all__ = ["SHAPE", "VERIFY", "forget", "load", "save"]
