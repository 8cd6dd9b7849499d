"""The report as one page of HTML that needs no other file. Its pictures are SVG; colours follow the reader's theme."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from aquamind_pipeline.quality.common_rules import EXPECTATIONS
from aquamind_pipeline.quality.matrix import MATRIX
from aquamind_pipeline.report.model import Check, Report, Section
from aquamind_pipeline.report.picture_data import PictureData
from aquamind_pipeline.report.pictures import pictures
from aquamind_pipeline.report.render_text import as_text
from aquamind_pipeline.report.storage import write_file

_FEW = 3


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
    docs = _data_docs(path)
    rules = results.group_by("rule", maintain_order=True).agg(
        checks=pl.len(), failed=(~pl.col("passed")).sum(), blocks=pl.col("blocks").first()
    )
    text = page.render(
        report=report,
        as_text=as_text,
        realism=quote(realism.relative_to(path.parent).as_posix()) if realism and realism.exists() else None,
        pictures=pictures(data),
        rules=rules.rows(named=True),
        failed_results=_failed(results, path),
        data_docs=quote(docs.relative_to(path.parent).as_posix()) if (docs / "index.html").exists() else None,
        folds=_folds,
        linked=_linked,
        told=_told,
        breakable=_breakable,
        matrix=MATRIX,
        matrix_rules=sorted({rule for rules_of_fault in MATRIX.values() for rule in rules_of_fault}),
    )
    write_file(path, text)


def _failed(results: pl.DataFrame, path: Path) -> list[dict[str, Any]]:
    """The failed checks of the build, each with a number, the rows that it shows, and its page of Data Docs if any."""
    failed = results.filter(~pl.col("passed")).rows(named=True)
    for number, each in enumerate(failed, 1):
        columns, *rows = each["sample"] or [[]]
        page = _data_docs(path) / f"{each['asset']}.html"
        is_there = each["rule"] == EXPECTATIONS.name and page.exists()
        link = quote(page.relative_to(path.parent).as_posix()) if is_there else None
        each |= {"number": number, "columns": columns, "rows": rows, "page": link}
    return failed


def _told(failed: Mapping[str, Any]) -> str:
    """How many rows break a rule, and how many of them are shown."""
    shown, wrong = len(failed["rows"]), failed["wrong"]
    return f"{shown:,} of {wrong:,} wrong rows" if wrong > shown else f"{shown} wrong row{'s' * (shown > 1)}"


def _linked(check: Check, section: int) -> str:
    """The detail of a failed check. The names of wrong rows lead to these rows."""
    from markupsafe import Markup, escape

    if not check.rows:
        return escape(check.detail)
    names = "|".join(re.escape(name) for name in sorted(check.rows, key=len, reverse=True))
    link = Markup('<a href="#row-{}-{}">{}</a>')
    parts = re.split(rf"(?<!\w)({names})(?!\w)", check.detail)
    return Markup("").join(
        link.format(section, quote(part), part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )


def _breakable(text: str) -> str:
    """Text that may break after each underscore, such as long names of tables on a phone."""
    from markupsafe import Markup, escape

    return escape(text).replace("_", Markup("_<wbr>"))


def _data_docs(path: Path) -> Path:
    """Folder of the farm's Data Docs, beside its report."""
    return path.with_suffix("") / "data_docs"


def _folds(section: Section) -> bool:
    """Whether a page folds the end of a section. It does not for two or three rows."""
    return len(section.rows) > section.lead + _FEW


__all__ = ["save_page"]
