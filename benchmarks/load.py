"""The load against its floor, and against what one would write instead, on the same rows in one run.

The floor does all that the load does (tables, keys, indexes, foreign keys, journal, two connections), but its rows come
from files on the server that PostgreSQL wrote itself, in its binary COPY format. `ADBC` is Polars' write_database with
its fastest engine, `executemany` is psycopg's; both write a sample into a table without key or index, as ours does.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import sqlalchemy as sa
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.lake import Lake, Manifest
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.connection import Connection, connect
from aquamind_pipeline.postgres.connection_pool import connection_pool
from aquamind_pipeline.postgres.copying import constants, copy_frame
from aquamind_pipeline.postgres.ddl import PUBLIC
from aquamind_pipeline.postgres.targets import open_target, own
from aquamind_pipeline.postgres.targets.aquamind import indexes
from aquamind_pipeline.postgres.targets.aquamind import target as aquamind_target
from aquamind_pipeline.schema.frames import complete
from benchmarks.measuring import FEEDINGS, READINGS, Row, against, built

Work = Callable[[], object]
SAMPLE_ROWS = 100_000
SCHEMA = Path(__file__).parents[1] / "tests" / "data" / "aquamind_schema.sql"


def measure(profile: str = "test-40") -> list[Row]:
    """Measure on months of a farm, into our own database and into AquaMind's tables, two connections each."""
    with built(profile) as workspace, workspace.database() as url:
        lake, manifest = workspace.lake, Manifest.of(workspace.planned)
        months = {name: lake.partitions(name)[-14:-2] for name in (READINGS, FEEDINGS, *REGISTRY.states)}
        target = open_target(url)
        target.prepare(manifest)
        target.load_whole(lake)
        with server_files(workspace.settings.home) as files:
            rows = [
                against(name, sum(lake.rows(name, month) for month in some), *of_months(url, lake, files, name, some))
                for name, some in months.items()
            ]
        with server_files(workspace.settings.home) as files:
            rows.append(_aquamind(url, lake, manifest, files, months[READINGS]))
        return rows + _peers(url, lake, months[READINGS][:2])


@contextmanager
def server_files(home: Path) -> Iterator[Path]:
    """A folder that the server, which may be another user, can write to."""
    folder = home / "copies"
    folder.mkdir()
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def _load(url: SecretStr, lake: Lake, name: str, months: list[str]) -> None:
    target = open_target(url)
    with target.loading() as pool:
        target.load_months(pool, lake, name, months)


def of_months(url: SecretStr, lake: Lake, files: Path, name: str, months: list[str]) -> tuple[Work, Work]:
    """Loading months of a table, and the floor of that."""
    _load(url, lake, name, months)
    fixed = constants(name)
    columns = [c.name for c in REGISTRY.table(name).columns if c.name not in fixed]
    for month in months:
        _write_file(url, journal.partition(name, month), columns, files / f"{name}-{month}")

    def again() -> None:
        _forget(url, name)
        _load(url, lake, name, months)

    def floor() -> None:
        # The load's own scan names the month; a patched copy only knows the target's name.
        def copy(connection: Connection, table: sa.Table, target: sql.Identifier, _: object, **options: Any) -> int:
            month = str(target._obj[-1]).removeprefix(f"{name}_")[:7].replace("_", "-")
            return _server_copy(connection, target, columns, files / f"{name}-{month}")

        _forget(url, name)
        with mock.patch.object(own, "copy_rows", copy):
            _load(url, lake, name, months)

    return again, floor


def _write_file(url: SecretStr, source: sql.Identifier, columns: list[str], path: Path) -> None:
    query = sql.SQL("COPY (SELECT {} FROM {}) TO {} (FORMAT BINARY)").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), source, sql.Literal(str(path))
    )
    with connect(url) as connection:
        connection.execute(query)


def _server_copy(connection: Connection, target: sql.Identifier, columns: list[str], path: Path) -> int:
    return connection.execute(
        sql.SQL("COPY {} ({}) FROM {} (FORMAT BINARY, FREEZE)").format(
            target, sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Literal(str(path))
        )
    ).rowcount


def _forget(url: SecretStr, name: str) -> None:
    with connect(url) as connection:
        connection.execute("DELETE FROM aquamind_pipeline.load_journal WHERE table_name = %s", (name,))


def _peers(url: SecretStr, lake: Lake, months: list[str]) -> list[Row]:
    """Seconds by row of other ways, against ours, all into a table without keys."""
    table = REGISTRY.table(READINGS)
    rows = complete(lake.scan(READINGS, months), table).head(SAMPLE_ROWS).collect()
    with connect(url) as connection:
        connection.execute(sql.SQL("CREATE TABLE public.peer (LIKE {})").format(sql.Identifier(PUBLIC, READINGS)))

    def ours() -> None:
        with connect(url) as connection:
            copy_frame(connection, table, sql.Identifier(PUBLIC, "peer"), rows)

    def adbc() -> None:
        rows.write_database("peer", url.get_secret_value(), if_table_exists="append", engine="adbc")

    def executemany() -> None:
        places = sql.SQL(", ").join([sql.Placeholder()] * rows.width)
        with connect(url) as connection, connection.cursor() as cursor:
            cursor.executemany(sql.SQL("INSERT INTO public.peer VALUES ({})").format(places), rows.rows())

    ways = {"Polars write_database, ADBC": adbc, "psycopg executemany": executemany}
    found = [against(f"{name}, floor: ours", rows.height, other, ours, runs=3) for name, other in ways.items()]
    with connect(url) as connection:
        connection.execute("DROP TABLE public.peer")
    return found


def _aquamind(url: SecretStr, lake: Lake, manifest: Manifest, files: Path, months: list[str]) -> Row:
    """Into AquaMind's unpartitioned table with all its indexes; floor: server-side COPY and the same rebuilding."""
    theirs = aquamind_database(url)
    opened = open_target(theirs)
    opened.prepare(manifest)
    opened.load_whole(lake)
    target = sql.Identifier(PUBLIC, READINGS)
    _load(theirs, lake, READINGS, months)
    with connect(theirs) as connection:
        for entry in journal.entries(connection, READINGS).values():
            connection.execute(
                sql.SQL("COPY (SELECT * FROM {} WHERE id BETWEEN {} AND {}) TO {} (FORMAT BINARY)").format(
                    target, entry.first_id, entry.last_id, sql.Literal(str(files / str(entry.first_id)))
                )
            )
    paths = sorted(files.iterdir())

    def again() -> None:
        _empty(theirs, target)
        _load(theirs, lake, READINGS, months)

    def copy(connection: Connection, path: Path) -> None:
        connection.execute(sql.SQL("COPY {} FROM {} (FORMAT BINARY)").format(target, sql.Literal(str(path))))
        connection.commit()

    def floor() -> None:
        _empty(theirs, target)
        with connection_pool(theirs) as pool:
            indexes.suspend(pool.first, READINGS)
            pool.first.commit()
            pool.spread(copy, paths)
            indexes.restore(pool, READINGS)

    rows = sum(lake.rows(READINGS, month) for month in months)
    with mock.patch.object(aquamind_target, "REBUILD_ROWS", 1):
        return against("AquaMind's readings, 10 indexes", rows, again, floor, runs=3)


def aquamind_database(url: SecretStr) -> SecretStr:
    """A database of the same server with AquaMind's tables."""
    server, name = url.get_secret_value().rsplit("/", 1)
    with connect(url) as connection:
        connection.commit()
        connection.autocommit = True
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(f"{name}_aquamind")))
    theirs = SecretStr(f"{server}/{name}_aquamind")
    with psycopg.connect(theirs.get_secret_value()) as plain:
        plain.execute(SCHEMA.read_bytes())
    return theirs


def _empty(url: SecretStr, target: sql.Identifier) -> None:
    _forget(url, READINGS)
    with connect(url) as connection:
        connection.execute(sql.SQL("TRUNCATE {}").format(target))
