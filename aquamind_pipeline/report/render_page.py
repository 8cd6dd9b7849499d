"""The report as one page of HTML that needs no other file. Its pictures are SVG; colours follow the reader's theme."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from urllib.parse import quote

import polars as pl

from aquamind_pipeline.quality.matrix import MATRIX
from aquamind_pipeline.report.model import Report
from aquamind_pipeline.report.picture_data import PictureData
from aquamind_pipeline.report.pictures import pictures
from aquamind_pipeline.report.render_text import as_text
from aquamind_pipeline.report.storage import write_file


def save_page(
    report: Report, data: PictureData, results: pl.DataFrame, path: Path, realism: Path | None = None
) -> None:
    """Write the page.

    Args:
        report: The report.
        data: What its pictures show.
        results: asset, rule, passed, blocks, detail of the last build's checks; may be empty.
        path: Path of the page.
        realism: Path of the page that compares the farm with real farms. If there is one, the page links to it.

    Raises:
        LakeError: when the page cannot be written.
    """
    import jinja2

    template = resources.files("aquamind_pipeline.report").joinpath("page.html.jinja").read_text("utf-8")
    page = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(template)
    rules = results.group_by("rule", maintain_order=True).agg(
        checks=pl.len(), failed=(~pl.col("passed")).sum(), blocks=pl.col("blocks").first()
    )
    text = page.render(
        report=report,
        as_text=as_text,
        realism=quote(realism.relative_to(path.parent).as_posix()) if realism and realism.exists() else None,
        pictures=pictures(data),
        rules=rules.rows(named=True),
        failed_results=results.filter(~pl.col("passed")).rows(named=True),
        matrix=MATRIX,
        matrix_rules=sorted({rule for rules_of_fault in MATRIX.values() for rule in rules_of_fault}),
    )
    write_file(path, text)


__all__ = ["save_page"]
