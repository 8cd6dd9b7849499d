"""The schema `aquamind_pipeline`: which farm a database holds, and which files its rows were loaded from.

The transaction that writes rows also writes the journal. So the journal always agrees with the rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import LiteralString

import psycopg
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline.errors import DatabaseAwayError
from aquamind_pipeline.postgres.connection import Connection, connect, described

OURS = "aquamind_pipeline"
ALL = ""
"""The journal's partition of a table that is kept whole."""
_LOCK_KEY = 0x41714D50  # "AqMP": one load at a time in a database
_TABLES = sql.SQL("""
CREATE TABLE {ours}.farm (
  identity text PRIMARY KEY, description text NOT NULL, as_of date NOT NULL, catalogue text NOT NULL, kind text NOT NULL
);
CREATE TABLE {ours}.load_journal (
  table_name text, partition text, digest text NOT NULL, rows bigint NOT NULL, first_id bigint, last_id bigint,
  run text NOT NULL, farm text NOT NULL, loaded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (table_name, partition)
);
CREATE TABLE {ours}.identity (
  table_name text, lake_id bigint, id bigint NOT NULL, created boolean NOT NULL,
  PRIMARY KEY (table_name, lake_id)
);
CREATE TABLE {ours}.suspended (table_name text, step int, name text, statement text, PRIMARY KEY (table_name, step));
""").format(ours=sql.Identifier(OURS))
MEANINGS = {
    "farm": {
        "": "The farm that this database holds.",
        "identity": "Hash of everything that decides the farm's rows",
        "description": "Profile, seed and version in words",
        "as_of": "Last day of the farm",
        "catalogue": "Hash of the tables' columns, keys and indexes",
        "kind": "Who made the tables: own (this program) or AquaMind",
    },
    "load_journal": {
        "": "The file that one table, or one month of it, was loaded from.",
        "table_name": "Table",
        "partition": "Month, as 2026-05; empty for a table that is kept whole",
        "digest": "SHA-256 of the file; empty if the next load must replace the rows",
        "rows": "Number of rows",
        "first_id": "First id of the month's rows; null in our own tables",
        "last_id": "Last id of the month's rows; null in our own tables",
        "run": "Run of Dagster that loaded it",
        "farm": "Profile, seed and version in words",
        "loaded_at": "Time of the load",
    },
    "identity": {
        "": "The id that AquaMind's database gave to a row. Empty in a database of our own.",
        "table_name": "Table",
        "lake_id": "Id of the row in the lake",
        "id": "Id of the row in the database",
        "created": "Whether we made the row",
    },
    "suspended": {
        "": "Statements that put indexes back which a load took away. Empty in a database of our own.",
        "table_name": "Table",
        "step": "Number of the statement, from 1",
        "name": "Name of the index",
        "statement": "The statement",
    },
}
"""What the journal's tables and their columns are, for comments."""
JOURNAL_TABLES = ("farm", "load_journal", "identity", "suspended")
_FARM = sql.Identifier(OURS, "farm")
_JOURNAL = sql.Identifier(OURS, "load_journal")


@dataclass(frozen=True)
class Farm:
    """Which farm a database holds.

    Attributes:
        identity: Hash of everything that decides the farm's rows.
        description: Profile, seed and version in words.
        as_of: The farm's last day.
        schema_version: Hash of our tables' columns, keys and indexes (`ddl.schema_version`).
        kind: Which `Target` holds the farm.
    """

    identity: str
    description: str
    as_of: date
    schema_version: str
    kind: str


@dataclass(frozen=True)
class Entry:
    """What is loaded of one table or month.

    Attributes:
        digest: SHA-256 of the file; empty if the next load must replace the rows.
        rows: Number of rows.
        first_id: First id of the month's block, where the target gives ids (AquaMind's database).
        last_id: Last id of that block.
    """

    digest: str
    rows: int
    first_id: int | None = None
    last_id: int | None = None


def partition_name(table_name: str, month: str) -> str:
    """Name of a month's partition in our own database."""
    return f"{table_name}_{month.replace('-', '_')}"


def partition(table_name: str, month: str) -> sql.Identifier:
    """A month's partition in our own database."""
    return sql.Identifier(OURS, partition_name(table_name, month))


def make(connection: Connection) -> None:
    """Make the journal's tables. Make their schema, too, unless somebody with more rights made it for us."""
    row = connection.execute("SELECT to_regnamespace(%s) IS NULL", (OURS,)).fetchone()
    if row and row[0]:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(OURS)))
    connection.execute(_TABLES)


def exists(connection: Connection) -> bool:
    """Whether this database has a journal."""
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{OURS}.load_journal",)).fetchone()
    return bool(row and row[0])


def farm(connection: Connection) -> Farm | None:
    """The farm that this database holds; None if it holds none."""
    if not exists(connection):
        return None
    query = sql.SQL("SELECT identity, description, as_of, catalogue, kind FROM {}").format(_FARM)
    row = connection.execute(query).fetchone()
    return Farm(*row) if row else None


def remember_farm(connection: Connection, farm: Farm) -> None:
    """Note which farm this database holds, and up to which day."""
    query = sql.SQL(
        "INSERT INTO {} (identity, description, as_of, catalogue, kind) VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT (identity) DO UPDATE SET as_of = excluded.as_of"
    ).format(_FARM)
    connection.execute(query, (farm.identity, farm.description, farm.as_of, farm.schema_version, farm.kind))


def lock(connection: Connection, url: SecretStr) -> None:
    """Keep other loads out of this database until the transaction ends.

    Raises:
        DatabaseAwayError: when another process holds the lock.
    """
    _lock(connection, url, "SELECT pg_try_advisory_xact_lock(%s)")


@contextlib.contextmanager
def locked(url: SecretStr) -> Iterator[Connection]:
    """Keep other loads out of this database during the block, over many transactions of many connections.

    A further connection holds the lock. The lock ends when that connection ends.

    Yields:
        That connection, for questions about the other ones.

    Raises:
        DatabaseAwayError: when another process holds the lock.
    """
    with connect(url) as connection:
        _lock(connection, url, "SELECT pg_try_advisory_lock(%s)")
        connection.commit()
        try:
            yield connection
        finally:
            # The server may notice the end of the connection only after the next table asks for the lock.
            with contextlib.suppress(psycopg.Error):
                connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK_KEY,))


def _lock(connection: Connection, url: SecretStr, attempt: LiteralString) -> None:
    row = connection.execute(attempt, (_LOCK_KEY,)).fetchone()
    if row is None or not row[0]:
        raise DatabaseAwayError(
            f"{described(url)} is being loaded by another process{_holder(connection)}: wait for it, or stop it"
        )


def _holder(connection: Connection) -> str:
    row = connection.execute(
        "SELECT a.pid, a.usename, a.client_addr FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
        "WHERE l.locktype = 'advisory' AND l.granted AND l.objid = %s",
        (_LOCK_KEY,),
    ).fetchone()
    return f" (server process {row[0]}, user {row[1]}, from {row[2] or 'this machine'})" if row else ""


def entries(connection: Connection, table_name: str) -> dict[str, Entry]:
    """What is loaded of a table, by partition."""
    query = sql.SQL("SELECT partition, digest, rows, first_id, last_id FROM {} WHERE table_name = %s").format(_JOURNAL)
    return {row[0]: Entry(*row[1:]) for row in connection.execute(query, (table_name,))}


def loads(connection: Connection, table_name: str) -> dict[str, str]:
    """A text for each partition of a table that names the file and the time of its load. Every load changes it."""
    query = sql.SQL("SELECT partition, concat_ws(' ', digest, run, loaded_at) FROM {} WHERE table_name = %s").format(
        _JOURNAL
    )
    return {row[0]: row[1] for row in connection.execute(query, (table_name,))}


def remember(connection: Connection, table_name: str, partition: str, entry: Entry, run: str) -> None:
    """Note what is loaded of a partition, and which run loaded it."""
    query = sql.SQL(
        "INSERT INTO {journal} (table_name, partition, digest, rows, first_id, last_id, run, farm) "
        "SELECT %s, %s, %s, %s, %s, %s, %s, description FROM {farm} "
        "ON CONFLICT (table_name, partition) DO UPDATE SET digest = excluded.digest, rows = excluded.rows, "
        "first_id = excluded.first_id, last_id = excluded.last_id, run = excluded.run, farm = excluded.farm, "
        "loaded_at = now()"
    ).format(journal=_JOURNAL, farm=_FARM)
    values = (table_name, partition, entry.digest, entry.rows, entry.first_id, entry.last_id, run)
    connection.execute(query, values)


def distrust(connection: Connection, table_name: str) -> None:
    """Make the next load replace what is loaded of a table."""
    query = sql.SQL("UPDATE {} SET digest = '' WHERE table_name = %s").format(_JOURNAL)
    connection.execute(query, (table_name,))


def forget(connection: Connection, table_name: str, partition: str) -> None:
    """Note that nothing is loaded of a partition any more."""
    query = sql.SQL("DELETE FROM {} WHERE table_name = %s AND partition = %s").format(_JOURNAL)
    connection.execute(query, (table_name, partition))


__all__ = [
    "ALL",
    "JOURNAL_TABLES",
    "OURS",
    "Entry",
    "Farm",
    "distrust",
    "entries",
    "exists",
    "farm",
    "forget",
    "loads",
    "lock",
    "locked",
    "make",
    "partition",
    "partition_name",
    "remember",
    "remember_farm",
]
