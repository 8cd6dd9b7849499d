"""`aquamind lake`: views over the Parquet lake for DuckDB."""

import shlex
from typing import TYPE_CHECKING

from aquamind_pipeline.cli.console import console, print_line
from aquamind_pipeline.text_tables import columns, print_table

if TYPE_CHECKING:
    from aquamind_pipeline.settings import Settings

_FEW_ROWS = 1000
"""With fewer rows, bytes per row would mostly count the file's header."""


def lake(settings: "Settings") -> None:
    """Make a DuckDB file with a view over each table of the lake, and show how to open it."""
    from aquamind_pipeline.lake import duckdb_views
    from aquamind_pipeline.pipeline.workspace import Workspace

    workspace = Workspace(settings)
    workspace.lake.require(settings.farm)
    views = duckdb_views.create(workspace.lake)
    rows = []
    for view in views:
        months = "" if view.months is None else str(view.months)
        bytes_per_row = f"{view.bytes / view.rows:,.1f}" if view.rows >= _FEW_ROWS else ""
        rows.append([view.name, months, f"{view.rows:,}", f"{view.bytes / 1e6:,.2f}", bytes_per_row])
    print_table(console, columns("view", "months", "rows", "MB", "bytes per row"), rows)
    path = duckdb_views.path_of(workspace.lake.folder)
    print_line(f"{len(views)} views over {workspace.lake.root}: {path}")
    print_line(f"in Python: duckdb.connect({str(path)!r}, read_only=True)")
    print_line(f"on the command line, if DuckDB is installed: duckdb -readonly {shlex.quote(str(path))}")
