"""The verification report: what a database holds, computed there, as JSON, for a terminal, and as one page of HTML."""

from aquamind_pipeline.report.page import save_page
from aquamind_pipeline.report.verification import (
    Report,
    as_markdown,
    load_saved,
    page_path,
    report_path,
    save,
    show,
    sums_path,
    verify,
)

__all__ = [
    "Report",
    "as_markdown",
    "load_saved",
    "page_path",
    "report_path",
    "save",
    "save_page",
    "show",
    "sums_path",
    "verify",
]
