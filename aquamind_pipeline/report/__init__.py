"""The verification report: what a database holds, as JSON, as text for a terminal, and as one page of HTML."""

from aquamind_pipeline.report.model import Check, Report, Section
from aquamind_pipeline.report.picture_data import PictureData
from aquamind_pipeline.report.realism_page import save_realism_page
from aquamind_pipeline.report.render_page import save_page
from aquamind_pipeline.report.render_text import as_markdown, show
from aquamind_pipeline.report.storage import load_saved, page_path, realism_path, report_path, save, sums_path
from aquamind_pipeline.report.verification import verify

__all__ = [
    "Check",
    "PictureData",
    "Report",
    "Section",
    "as_markdown",
    "load_saved",
    "page_path",
    "realism_path",
    "report_path",
    "save",
    "save_page",
    "save_realism_page",
    "show",
    "sums_path",
    "verify",
]
