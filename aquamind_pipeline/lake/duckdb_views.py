"""The lake for SQL: one DuckDB file with a view over the Parquet files of each table.

The file holds no rows. Its views name files by absolute paths and patterns, so they show whatever the lake holds when
they are asked, also after it was built anew.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path

import duckdb

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.lake import Lake


@dataclass(frozen=True)
class View:
    """One view: rows and bytes of the files behind it. `months` is None for a table without months."""

    name: str
    rows: int
    bytes: int
    months: int | None


def path_of(folder: Path) -> Path:
    """Where a lake's DuckDB file is: beside the lake's folder, so that deleting the lake to build it anew keeps it."""
    return folder.with_name(f"{folder.name}.duckdb")


def create(lake: Lake) -> list[View]:
    """Write the DuckDB file anew, and say what its views hold.

    Args:
        lake: A lake that is built, at least in part.

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
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with duckdb.connect(temporary) as connection:
            for name in names:
                for statement in _statements(lake, name):
                    connection.execute(statement)
        temporary.replace(path)
    except (OSError, duckdb.IOException) as error:
        raise LakeError(f"{path} cannot be written ({error}): check AQUAMIND_HOME and AQUAMIND_LAKE") from None
    finally:
        temporary.unlink(missing_ok=True)
    return views


def _statements(lake: Lake, name: str) -> list[str]:
    """The view of a table and its comment. DuckDB takes no parameters in either."""
    view = _quoted(name, '"')
    if lake.has(name):
        select = f"* FROM read_parquet({_files(lake.path(name).parent, 'all')})"
    else:
        # A filter on `month` is one on the file's name, so the files of other months are not even opened.
        files = _files(lake.path(name).parent, "[0-9][0-9][0-9][0-9]-[0-9][0-9]")
        month = "parse_filename(filename, true) AS month"
        select = f"* EXCLUDE (filename), {month} FROM read_parquet({files}, filename = true)"
    create = f"CREATE VIEW {view} AS SELECT {select}"
    comment = REGISTRY[name].meaning if name in REGISTRY else None
    return [create] if comment is None else [create, f"COMMENT ON VIEW {view} IS {_quoted(comment)}"]


def _files(folder: Path, pattern: str) -> str:
    return _quoted(f"{glob.escape(str(folder))}/{pattern}.parquet")


def _quoted(text: str, mark: str = "'") -> str:
    return mark + text.replace(mark, mark * 2) + mark


__all__ = ["View", "create", "path_of"]
