"""Data Docs: the pages of Great Expectations, changed so that they need no network, with an index of our own.

The original pages load styles and scripts from four content networks, and one of these scripts fills the index. Here
all such links are removed and a small style sheet is added.
"""

from __future__ import annotations

import json
import re
import warnings
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from aquamind_pipeline.quality.expectations import Validated
from aquamind_pipeline.report.storage import write_file
from aquamind_pipeline.settings import Settings

_FOREIGN = re.compile(r"<(link|img)\b[^>]*>|<(style|script|button|footer)\b.*?</\2>|</?a\b[^>]*>", re.DOTALL)
_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: .5rem 0 1rem }
td, th { border: 1px solid #8886; padding: .25rem .6rem; text-align: left; vertical-align: top }
img, .navbar, #ge-logo, .ge-data-docs-button, .btn, .popover { display: none }
.text-success, .passed { color: #2a8f4f } .text-danger, .failed { color: #d0423a }
body { overflow-wrap: anywhere } th { overflow-wrap: normal }
@media (max-width: 40rem) {
  .all thead { display: none }
  .all, .all tbody, .all tr, .all td { display: block; border: 0; padding: 0 }
  .all tr { border-top: 1px solid #8886; padding: .5rem 0 }
  .all td[data-label]::before { content: attr(data-label) ": "; opacity: .7 }
  td, th { padding: .2rem .3rem }
}
.fa-check-circle::before { content: "✓" } .fa-times::before, .fa-exclamation-triangle::before { content: "✗" }
"""


_SIDEBAR = re.compile(r'<div class="col-lg-2.*?(?=<div class="col-md-10)', re.DOTALL)
"""Buttons that need scripts, and a table of contents without links."""
_NO_ASSET = "<br> Data asset: None"
"""Our frames have no name in Great Expectations."""


class DataDocs:
    """The pages of one farm. Making the object reads and writes nothing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.reports_path / settings.farm_name / "data_docs"

    @property
    def index(self) -> Path:
        """The page that links to all others."""
        return self.folder / "index.html"

    def write(self, table: str, validated: Validated) -> Path:
        """Write the page of a table.

        Raises:
            LakeError: when a file cannot be written.
        """
        renderer, view = _library()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = renderer.render(validated.result)
            overview = content.sections[0]  # its last block tells names of runs and batches, which we have none of
            overview.content_blocks = [one for one in overview.content_blocks if one.content_block_type != "collapse"]
            page = str(view.render(content)).replace(_NO_ASSET, "")
        page = _SIDEBAR.sub(f"<h1>{escape(table)}</h1>", page, count=1)
        page = _FOREIGN.sub("", page).replace("</head>", f"<style>{_STYLE}</style></head>", 1)
        home = '<p><a href="index.html">All tables</a></p>'
        page = re.sub(r"(<body\b[^>]*>)", rf"\1{home}", page, count=1)
        summary = {
            "table": table,
            "passed": validated.check.passed,
            "expectations": validated.expectations.height,
            "failed": validated.check.wrong,
            "detail": validated.check.detail,
        }
        path = self.folder / f"{table}.html"
        write_file(path, page)
        write_file(path.with_suffix(".json"), json.dumps(summary))
        return path

    def write_index(self) -> Path:
        """Write an index of all existing pages. Steps that run at the same time may all write it.

        Raises:
            LakeError: when the file cannot be written.
        """
        rows = []
        for path in sorted(self.folder.glob("*.json")):
            summary = json.loads(path.read_text("utf-8"))
            mark = "passed" if summary["passed"] else "failed"
            cells = [
                f'<td><a href="{path.stem}.html">{escape(path.stem)}</a></td>',
                f'<td data-label="Result" class="{mark}">{mark}</td>',
                f'<td data-label="Expectations">{summary["expectations"]}</td>',
                f'<td data-label="Failed">{summary["failed"]}</td>',
                f'<td data-label="Detail">{escape(summary["detail"])}</td>',
            ]
            rows.append(f"<tr>{''.join(cells)}</tr>")
        farm = escape(self.settings.farm_name)
        write_file(
            self.index,
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Data Docs: {farm}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
            f"<body><h1>Data Docs: {farm}</h1><p>Great Expectations, one suite for each table. Small tables are "
            'validated row by row, large ones by the sums of each month.</p><table class="all"><thead><tr>'
            "<th>Table</th>"
            "<th>Result</th><th>Expectations</th><th>Failed</th><th>Detail</th></tr></thead><tbody>"
            f"{''.join(rows)}</tbody></table></body></html>",
        )
        return self.index


@cache
def _library() -> tuple[Any, Any]:
    """Great Expectations' renderer and view. They are made once, since each view compiles seventeen templates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from great_expectations.render import renderer, view

        return renderer.ValidationResultsPageRenderer(), view.DefaultJinjaPageView()  # type: ignore[attr-defined]


__all__ = ["DataDocs"]
