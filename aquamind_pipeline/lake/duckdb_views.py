"""The lake for SQL: one DuckDB file with a view over the Parquet files of each table.

The file holds no rows. Its views name files by absolute paths and patterns, so a query sees what the lake holds at that
moment, also after the lake was built again.
"""

from __future__ import annotations

import glob
import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb
from psycopg import sql

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.files import write_atomically
from aquamind_pipeline.lake import Lake

_MONTH = "[0-9][0-9][0-9][0-9]-[0-9][0-9]"
"""Glob pattern of a month's file, without hidden and temporary files."""


@dataclass(frozen=True)
class View:
    """One view, with rows and bytes of the files behind it. `months` is None for a table without months."""

    name: str
    rows: int
    bytes: int
    months: int | None


def path_of(folder: Path) -> Path:
    """Path of a lake's DuckDB file. It lies beside the lake's folder, so that deleting the folder keeps the file."""
    return folder.with_name(f"{folder.name}.duckdb")


def create(lake: Lake) -> list[View]:
    """Write the DuckDB file, replacing an older one. Returns its views.

    Args:
        lake: A lake with at least one table.

    Raises:
        LakeError: when the lake is empty or damaged, or the file cannot be written.
    """
    names = lake.tables()
    if not names:
        raise LakeError(f"the lake {lake.root} holds no table yet: run `aquamind build` first")
    views = [
        View(name, lake.rows(name), lake.size(name), None if lake.has(name) else len(lake.partitions(name)))
        for name in names
    ]
    path = path_of(lake.folder)
    if "\\" in str(path):
        raise LakeError(f"DuckDB cannot open {path}, because of the backslash: set AQUAMIND_LAKE to another folder")
    try:
        # DuckDB cannot write a file below a folder with a question mark in its name, but it can read one.
        where = None if "?" in str(path) else path.parent
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=where) as folder:
            made = Path(folder) / "views.duckdb"
            with duckdb.connect(made) as connection:
                for name in names:
                    for statement in _statements(lake, name):
                        connection.execute(statement)
            write_atomically(path, made.read_bytes())
    except (OSError, duckdb.IOException) as error:
        raise LakeError(f"{path} cannot be written ({error}): check AQUAMIND_HOME and AQUAMIND_LAKE") from None
    return views


def _statements(lake: Lake, name: str) -> list[str]:
    """Statements that make the view of a table and its comment. DuckDB takes no parameters in them."""
    view, whole = sql.Identifier(name), lake.has(name)
    folder = glob.escape(str(lake.path(name).parent))
    # A folder `year=2026` on the way to the files is no column: hive_partitioning is off.
    if whole:
        query = sql.SQL("SELECT * FROM read_parquet({files}, hive_partitioning = false)")
    else:
        # The month is part of the file's name: with a filter on it, DuckDB opens only the files of these months.
        query = sql.SQL(
            "SELECT * EXCLUDE (filename), parse_filename(filename, true) AS month "
            "FROM read_parquet({files}, filename = true, hive_partitioning = false)"
        )
    files = sql.Literal(f"{folder}/{'all' if whole else _MONTH}.parquet")
    statements = [sql.SQL("CREATE VIEW {} AS {}").format(view, query.format(files=files))]
    comment = REGISTRY[name].meaning if name in REGISTRY else None
    if comment is not None:
        statements.append(sql.SQL("COMMENT ON VIEW {} IS {}").format(view, sql.Literal(comment)))
    return [statement.as_string() for statement in statements]


__all__ = ["View", "create", "path_of"]
