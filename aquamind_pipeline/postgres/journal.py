"""Schema `aquamind_pipeline`: which farm a database holds, and what was loaded from which file.

The journal is written in the transaction that writes the rows, so it is never wrong about them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline.errors import DatabaseAwayError, DatabaseError
from aquamind_pipeline.postgres.connection import Connection, connect, described

OURS = "aquamind_pipeline"
ALL = ""
"""The journal's partition of an unpartitioned table."""
OWN, AQUAMIND = "own", "aquamind"
"""Kinds of target: tables that we made, or those of AquaMind's migrations."""
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
JOURNAL_TABLES = ("farm", "load_journal", "identity", "suspended")


@dataclass(frozen=True)
class Entry:
    """What is loaded of one partition; ids only in AquaMind's tables, where they are a block of our own."""

    digest: str
    rows: int
    first_id: int | None = None
    last_id: int | None = None


def partition_name(table_name: str, month: str) -> str:
    """Name of a month of a table in our own database."""
    return f"{table_name}_{month.replace('-', '_')}"


def partition(table_name: str, month: str) -> sql.Identifier:
    """Where a month of a table is in our own database."""
    return sql.Identifier(OURS, partition_name(table_name, month))


def make(connection: Connection) -> None:
    """Make the journal's tables; the schema too, unless somebody with more rights made it for us."""
    row = connection.execute("SELECT to_regnamespace(%s) IS NULL", (OURS,)).fetchone()
    if row and row[0]:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(OURS)))
    connection.execute(_TABLES)


def exists(connection: Connection) -> bool:
    """Whether a farm of ours is in this database."""
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{OURS}.load_journal",)).fetchone()
    return bool(row and row[0])


def kind(connection: Connection, url: SecretStr) -> str:
    """OWN or AQUAMIND.

    Raises:
        DatabaseError: when the database holds no farm of ours.
    """
    if not exists(connection):
        raise DatabaseError(f"{described(url)} holds no farm of ours: run `aquamind build` first")
    row = connection.execute(sql.SQL("SELECT kind FROM {}").format(sql.Identifier(OURS, "farm"))).fetchone()
    if row is None:
        raise DatabaseError(f"{described(url)} was never loaded: run `aquamind load`")
    return str(row[0])


def lock(connection: Connection, url: SecretStr) -> None:
    """Be the only one to change this database until the transaction ends."""
    _lock(connection, url, "SELECT pg_try_advisory_xact_lock(%s)")


@contextlib.contextmanager
def locked(url: SecretStr) -> Iterator[None]:
    """Be the only one to change this database during the block, over many transactions of many connections.

    The lock is a further connection's, which does nothing else, and ends with it, however that ends.
    """
    with connect(url) as connection:
        _lock(connection, url, "SELECT pg_try_advisory_lock(%s)")
        connection.commit()
        try:
            yield
        finally:
            # Not left to the end of the connection, which the server notices when the next table may ask already.
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
    query = sql.SQL("SELECT partition, digest, rows, first_id, last_id FROM {} WHERE table_name = %s").format(
        sql.Identifier(OURS, "load_journal")
    )
    return {row[0]: Entry(*row[1:]) for row in connection.execute(query, (table_name,))}


def loads(connection: Connection, table_name: str) -> dict[str, str]:
    """Which file each partition of a table was loaded from, and when: another text after every load of it."""
    query = sql.SQL("SELECT partition, concat_ws(' ', digest, run, loaded_at) FROM {} WHERE table_name = %s").format(
        sql.Identifier(OURS, "load_journal")
    )
    return {row[0]: row[1] for row in connection.execute(query, (table_name,))}


def remember(connection: Connection, table_name: str, partition: str, entry: Entry, run: str) -> None:
    """Say what is loaded of a partition now, by which run, of which farm (profile, seed, days)."""
    query = sql.SQL(
        "INSERT INTO {journal} (table_name, partition, digest, rows, first_id, last_id, run, farm) "
        "SELECT %s, %s, %s, %s, %s, %s, %s, description FROM {farm} "
        "ON CONFLICT (table_name, partition) DO UPDATE SET digest = excluded.digest, rows = excluded.rows, "
        "first_id = excluded.first_id, last_id = excluded.last_id, run = excluded.run, farm = excluded.farm, "
        "loaded_at = now()"
    ).format(journal=sql.Identifier(OURS, "load_journal"), farm=sql.Identifier(OURS, "farm"))
    values = (table_name, partition, entry.digest, entry.rows, entry.first_id, entry.last_id, run)
    connection.execute(query, values)


def distrust(connection: Connection, table_name: str) -> None:
    """What is loaded of a table counts as outdated: the next load replaces it."""
    query = sql.SQL("UPDATE {} SET digest = '' WHERE table_name = %s").format(sql.Identifier(OURS, "load_journal"))
    connection.execute(query, (table_name,))


def forget(connection: Connection, table_name: str, partition: str) -> None:
    """Nothing is loaded of a partition any more."""
    query = sql.SQL("DELETE FROM {} WHERE table_name = %s AND partition = %s").format(
        sql.Identifier(OURS, "load_journal")
    )
    connection.execute(query, (table_name, partition))


__all__ = [
    "ALL",
    "AQUAMIND",
    "JOURNAL_TABLES",
    "OURS",
    "OWN",
    "Entry",
    "distrust",
    "entries",
    "exists",
    "forget",
    "kind",
    "loads",
    "lock",
    "locked",
    "make",
    "remember",
]
