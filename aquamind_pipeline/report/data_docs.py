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
.fa-check-circle::before { content: "✓" } .fa-times::before, .fa-exclamation-triangle::before { content: "✗" }
"""


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
            page = str(view.render(renderer.render(validated.result)))
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
            rows.append(
                f'<tr><td><a href="{path.stem}.html">{escape(path.stem)}</a></td><td class="{mark}">{mark}</td>'
                f"<td>{summary['expectations']}</td><td>{summary['failed']}</td><td>{escape(summary['detail'])}</td></tr>"
            )
        farm = escape(self.settings.farm_name)
        write_file(
            self.index,
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Data Docs: {farm}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
            f"<body><h1>Data Docs: {farm}</h1><p>Great Expectations, one suite for each table. Small tables are "
            "validated row by row, large ones by the sums of each month.</p><table><thead><tr><th>Table</th>"
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
