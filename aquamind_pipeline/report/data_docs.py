"""Data Docs: Great Expectations' own pages, made to work without network, with an index of ours.

As they come, the pages load styles and scripts from four content networks and their index is filled by one of these
scripts. Here every such link is taken out and a small style sheet put in.
"""

from __future__ import annotations

import json
import os
import re
import threading
import warnings
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.quality.expectations import Validated
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
    """The pages of one farm. Making the object touches nothing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.reports_path / settings.farm_name / "data_docs"

    @property
    def index(self) -> Path:
        """The page to begin with."""
        return self.folder / "index.html"

    def write(self, table: str, validated: Validated) -> Path:
        """Write a table's page.

        Raises:
            LakeError: when the folder cannot be written.
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
            "passed": validated.finding.passed,
            "expectations": validated.expectations.height,
            "failed": validated.finding.wrong,
            "detail": validated.finding.detail,
        }
        path = self.folder / f"{table}.html"
        self._put(path, page)
        self._put(path.with_suffix(".json"), json.dumps(summary))
        return path

    def write_index(self) -> Path:
        """Write the index of all pages there are."""
        rows = []
        for path in sorted(self.folder.glob("*.json")):
            one = json.loads(path.read_text("utf-8"))
            mark = "passed" if one["passed"] else "failed"
            rows.append(
                f'<tr><td><a href="{path.stem}.html">{escape(path.stem)}</a></td><td class="{mark}">{mark}</td>'
                f"<td>{one['expectations']}</td><td>{one['failed']}</td><td>{escape(one['detail'])}</td></tr>"
            )
        farm = escape(self.settings.farm_name)
        self._put(
            self.index,
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Data Docs: {farm}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
            f"<body><h1>Data Docs: {farm}</h1><p>Great Expectations, one suite for each table. Small tables are "
            "validated row by row, large ones on what each month comes to.</p><table><thead><tr><th>Table</th>"
            "<th>Result</th><th>Expectations</th><th>Failed</th><th>In words</th></tr></thead><tbody>"
            f"{''.join(rows)}</tbody></table></body></html>",
        )
        return self.index

    @staticmethod
    def _put(path: Path, text: str) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Steps that run side by side, in processes or threads, all write the index.
            temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
            temporary.write_text(text, "utf-8")
            temporary.replace(path)
        except OSError as error:
            raise LakeError(f"{path} cannot be written ({error.strerror})") from None


@cache
def _library() -> tuple[Any, Any]:
    """Great Expectations' renderer and view, once: each view compiles seventeen templates anew."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from great_expectations.render import renderer, view

        return renderer.ValidationResultsPageRenderer(), view.DefaultJinjaPageView()  # type: ignore[attr-defined]


__all__ = ["DataDocs"]
