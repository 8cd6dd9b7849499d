"""The lake for SQL: one DuckDB file with a view over the Parquet files of each table.

The file holds no rows. Its views name files by patterns, so a query sees what the lake holds at that moment, also after
the lake was built again. They look for the lake beside the file, so that both can be moved together.
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
from aquamind_pipeline.schema.frames import lake_schema
from aquamind_pipeline.schema.meanings import meanings

_MONTH = "[0-9][0-9][0-9][0-9]-[0-9][0-9]"
"""Glob pattern of a month's file, without hidden and temporary files."""

_TEMPORARY = ".duckdb.tmp"
"""How the name of DuckDB's temporary folder ends, after the name of the lake."""


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
                connection.begin()  # one transaction: otherwise each comment is flushed to the disk
                for name in names:
                    for statement in _statements(lake, name):
                        connection.execute(statement)
                connection.commit()
            write_atomically(path, made.read_bytes())
    except (OSError, duckdb.IOException) as error:
        raise LakeError(f"{path} cannot be written ({error}): check AQUAMIND_HOME and AQUAMIND_LAKE") from None
    return views


def _statements(lake: Lake, name: str) -> list[str]:
    """Statements that make the view of a table and its comments. DuckDB takes no parameters in them."""
    view, whole = sql.Identifier(name), lake.has(name)
    # A folder `year=2026` on the way to the files is no column: hive_partitioning is off.
    if whole:
        query = sql.SQL("SELECT * FROM read_parquet({files}, hive_partitioning = false)")
    else:
        # The month is part of the file's name: with a filter on it, DuckDB opens only the files of these months.
        query = sql.SQL(
            "SELECT * EXCLUDE (filename), parse_filename(filename, true) AS month "
            "FROM read_parquet({files}, filename = true, hive_partitioning = false)"
        )
    files = sql.SQL("({} || {})").format(
        _folder(lake.folder), sql.Literal(f"/{name}/{'all' if whole else _MONTH}.parquet")
    )
    statements = [
        sql.SQL("CREATE VIEW {} AS {} WHERE {}").format(view, query.format(files=files), _is_one(lake.folder))
    ]
    if name in REGISTRY:
        statements.append(sql.SQL("COMMENT ON VIEW {} IS {}").format(view, sql.Literal(REGISTRY[name].meaning)))
        table = REGISTRY.table(name)
        kept, told = lake_schema(table), meanings(table)
        comments = {column: told[column] for column in kept}
        if not whole:
            comments["month"] = "Month of the file, as 2026-05; a filter on it opens the files of these months only"
        statements += [
            sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(view, sql.Identifier(column), sql.Literal(comment))
            for column, comment in comments.items()
        ]
    return [statement.as_string() for statement in statements]


def _folder(folder: Path) -> sql.Composed:
    """Expression for the folder of the lake, escaped for a glob pattern.

    DuckDB has no function for the path of the open file. But its temporary folder lies beside the file, unless somebody
    chose another one. Then, and where the file is attached to another one, the folder is where it was when the view
    was made.
    """
    return sql.SQL(
        "CASE WHEN {opened} THEN regexp_replace(current_setting('temp_directory')[:{end}], '([*?\\[])', '[\\1]', 'g') "
        "ELSE {made} END"
    ).format(opened=_is_opened(folder), end=-len(_TEMPORARY) - 1, made=sql.Literal(glob.escape(str(folder))))


def _is_opened(folder: Path) -> sql.Composed:
    """Condition: a file with the name of ours is the one that was opened, not attached to another."""
    name = sql.Literal(f"{folder.name}{_TEMPORARY}")
    return sql.SQL("parse_filename(current_setting('temp_directory')) = {}").format(name)


def _is_one(folder: Path) -> sql.Composed:
    """Condition that fails where the lake could be taken for one of the same name that is attached, too."""
    file = path_of(folder).name
    message = (
        f"two files {file} are attached, and their views cannot tell whose lake is meant: open neither of them, and "
        "attach both to a connection in memory"
    )
    return sql.SQL(
        "CASE WHEN {opened} AND (SELECT count(*) > 1 FROM duckdb_databases() WHERE parse_filename(path) = {file}) "
        "THEN error({message}) ELSE true END"
    ).format(opened=_is_opened(folder), file=sql.Literal(file), message=sql.Literal(message))


__all__ = ["View", "create", "path_of"]
