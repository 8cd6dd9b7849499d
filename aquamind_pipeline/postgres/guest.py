"""The load into AquaMind's own tables, beside rows that are not ours.

Master rows are found or made (`identities`). Events and states get ids in blocks of their own: a month is one block, so
it can be replaced or taken out again by its ids, and nobody else's rows are ever touched. For a large load,
indexes and foreign keys of a table that we own are taken off and built again afterwards, also when the load fails; what
is off stands in the journal, so that the next load, or a wipe, puts it back after a kill or crash.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import polars as pl
import sqlalchemy as sa
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres import additions, aquamind, identities, journal
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.copying import Loaded, copy_frame
from aquamind_pipeline.postgres.streams import Streams, streams
from aquamind_pipeline.schema import frames as tables

REBUILD_ROWS = 1_000_000
"""From so many rows on it is faster to build a table's indexes anew than to keep them up to date."""
SPARE = 2
"""How many times as many ids as it may have rows a month takes that is not over: some days have more rows."""
_SUSPENDED = sql.Identifier(journal.OURS, "suspended")
_IDENTITY = sql.Identifier(journal.OURS, "identity")


def load_masters(connection: Connection, lake: Lake, run: str, *, history: bool) -> list[Loaded]:
    """Find or make every master row, in one transaction; rows of ours that changed or vanished follow the lake."""
    known: identities.Identities = {}
    frames: dict[str, pl.DataFrame] = {}
    for name in REGISTRY.whole:
        table = REGISTRY[name].table
        frames[name] = tables.complete(lake.scan(name), table).collect()
        known[name] = identities.identify(connection, table, frames[name], known)
    if any(_gone(name, known[name], frame).height for name, frame in frames.items()):
        _take_out_outdated(connection, lake)
    histories = aquamind.history_tables(connection) if history else {}
    return [
        _load_master(connection, lake, name, frames[name], known, histories.get(name), run) for name in REGISTRY.whole
    ]


def _gone(name: str, known: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of ours that the lake no longer has."""
    key = tables.primary_key(REGISTRY[name].table)[0]
    return known.filter("created").join(frame.select(lake_id=pl.col(key).cast(pl.Int64)), on="lake_id", how="anti")


def _take_out_outdated(connection: Connection, lake: Lake) -> None:
    """Take out what may refer to masters that are gone: the months that change when the farm's as_of moves back."""
    manifest = lake.manifest()
    last = manifest.as_of.strftime("%Y-%m") if manifest else ""
    for name in REGISTRY.monthly:
        earlier = [month for month in journal.entries(connection, name) if month < last]
        drop_vanished(connection, name, earlier)


def _load_master(
    connection: Connection,
    lake: Lake,
    name: str,
    frame: pl.DataFrame,
    known: identities.Identities,
    history: str | None,
    run: str,
) -> Loaded:
    table, digest = REGISTRY[name].table, lake.digest(name)
    key = tables.primary_key(table)[0]
    before = journal.entries(connection, name).get(journal.ALL)
    if before and before.digest == digest:
        return Loaded(name, None, before.rows, 0, 0.0)
    started = time.perf_counter()
    created, gone = known[name].filter("created"), _gone(name, known[name], frame)
    incoming = sql.Identifier(f"incoming_{name}")
    parts = {
        "table": sql.Identifier("public", name),
        "key": sql.Identifier(key),
        "incoming": incoming,
        "columns": _columns(frame.columns),
        "assign": sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(c)) for c in frame.columns),
        "old": sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(c)) for c in frame.columns),
        "new": sql.SQL(", ").join(sql.SQL("excluded.{}").format(sql.Identifier(c)) for c in frame.columns),
        "values": sql.SQL(", ").join(sql.SQL("i.{}").format(sql.Identifier(c)) for c in frame.columns),
    }
    connection.execute(sql.SQL("DELETE FROM {table} WHERE {key} = ANY(%s)").format(**parts), (gone["id"].to_list(),))
    connection.execute(
        sql.SQL("DELETE FROM {} WHERE table_name = %s AND lake_id = ANY(%s)").format(_IDENTITY),
        (name, gone["lake_id"].to_list()),
    )
    ours = frame.join(created.select("lake_id", __id="id"), left_on=key, right_on="lake_id", maintain_order="left")
    ours = ours.with_columns(pl.col("__id").alias(key)).drop("__id")
    ours = identities.translated(ours, table, known)
    connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE {incoming} (LIKE {table} INCLUDING DEFAULTS) ON COMMIT DROP").format(**parts)
    )
    copy_frame(connection, table, incoming, _fitting(connection, name, ours))
    if history:
        # Before the rows themselves, while "not there yet" still tells which are new.
        connection.execute(
            sql.SQL(
                "INSERT INTO {history} ({columns}, history_date, history_type, history_change_reason, history_user_id) "
                "SELECT {values}, now(), '+', 'aquamind-pipeline', NULL FROM {incoming} i "
                "WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE t.{key} = i.{key})"
            ).format(history=sql.Identifier("public", history), **parts)
        )
    connection.execute(
        sql.SQL(
            "INSERT INTO {table} AS t ({columns}) SELECT {columns} FROM {incoming} "
            "ON CONFLICT ({key}) DO UPDATE SET {assign} WHERE ({old}) IS DISTINCT FROM ({new})"
        ).format(**parts)
    )
    journal.remember(connection, name, journal.ALL, journal.Entry(digest, frame.height), run)
    return Loaded(name, None, frame.height, frame.height, time.perf_counter() - started)


def load_months(
    opened: Streams,
    lake: Lake,
    table: sa.Table,
    months: Sequence[str],
    run: str,
    on_done: Callable[[], None] = lambda: None,
) -> list[Loaded]:
    """Load the months of a table that changed, side by side, each in one transaction."""
    first = opened.first
    restore(opened, table.name)
    there = journal.entries(first, table.name)
    known = identities.all_known(first)
    types = aquamind.integer_types(first, table.name)
    digests = {month: lake.digest(table.name, month) for month in months}
    to_send, free = 0, dict[str, int]()
    for month in months:
        before = there.get(month, journal.Entry("", 0))
        if before.digest != digests[month]:
            every = lake.rows(table.name, month)
            more, last_id = every - before.rows, before.last_id or 0
            free[month] = identities.free_after(first, table, last_id)  # before this load takes any
            to_send += more if before.digest and 0 < more <= free[month] else every
    if to_send >= REBUILD_ROWS:
        suspend(first, table.name)
    first.commit()

    def send(connection: Connection, rows: pl.DataFrame, first_id: int) -> int:
        frame = identities.translated(tables.complete(rows.lazy(), table).collect(), table, known)
        ids = pl.int_range(pl.len(), dtype=pl.Int64).alias(tables.primary_key(table)[0])
        frame = _cast(frame.with_columns(ids + first_id), types)
        return copy_frame(connection, table, sql.Identifier("public", table.name), frame)

    def one(connection: Connection, month: str) -> Loaded:
        before, digest, started = there.get(month), digests[month], time.perf_counter()
        if before and before.digest == digest:
            done = Loaded(table.name, month, before.rows, 0, 0.0)
        else:
            sent, entry = _load_month(connection, lake, table, month, before, digest, free[month], send, run)
            done = Loaded(table.name, month, entry.rows, sent, time.perf_counter() - started)
        on_done()
        return done

    try:
        loaded = opened.spread(one, months)
    except BaseException:  # Ctrl-C as well: an application works with these tables meanwhile
        with suppress(DatabaseError), streams(opened.url) as others:  # the old connections may be broken
            restore(others, table.name)  # where that fails, too, what is still off is still listed
        raise
    restore(opened, table.name)
    first.execute(sql.SQL("ANALYZE {}").format(sql.Identifier("public", table.name)))
    first.commit()
    return loaded


Send = Callable[[Connection, pl.DataFrame, int], int]
"""Copies rows of the lake, in ids from some number on; gives how many the server counted."""


def _load_month(
    connection: Connection,
    lake: Lake,
    table: sa.Table,
    month: str,
    before: journal.Entry | None,
    digest: str,
    free: int,
    send: Send,
    run: str,
) -> tuple[int, journal.Entry]:
    """Add new days to a month where so many ids are free, or put it in the place of what was loaded of it.

    Returns:
        Rows sent, and what is loaded now.
    """
    if before and before.last_id is not None:
        target, key = sql.Identifier("public", table.name), sql.Identifier(tables.primary_key(table)[0])
        block = sql.SQL("{} WHERE {} BETWEEN {} AND {}").format(target, key, before.first_id, before.last_id)
        with connection.transaction():
            added = additions.added_rows(connection, lake, table, month, before, block, free)
            if added is not None:
                sent = send(connection, added, before.last_id + 1)
                entry = replace(before, digest=digest, rows=before.rows + sent, last_id=before.last_id + sent)
                journal.remember(connection, table.name, month, entry, run)
                return sent, entry
    rows = lake.read(table.name, month)
    with connection.transaction():  # of its own: it keeps writers out while it lasts
        first_id = identities.allocate(connection, table, _with_room(lake, month, rows.height))
    with connection.transaction():
        if before:
            _delete_block(connection, table, before)
        sent = send(connection, rows, first_id)
        entry = journal.Entry(digest, sent, first_id, first_id + sent - 1)
        journal.remember(connection, table.name, month, entry, run)
    return sent, entry


def _with_room(lake: Lake, month: str, rows: int) -> int:
    """How many ids to take for a month that has so many rows: more, while days are to come, whose rows follow on."""
    manifest = lake.manifest()
    if manifest is None or manifest.as_of.strftime("%Y-%m") != month:
        return rows
    day, days = manifest.as_of.day, calendar.monthrange(manifest.as_of.year, manifest.as_of.month)[1]
    return rows if day == days else rows * days * SPARE // day


def drop_vanished(connection: Connection, table_name: str, parts: Sequence[str]) -> list[str]:
    """Take out the parts that the lake no longer has; returns their names."""
    entries = journal.entries(connection, table_name)
    vanished = sorted(set(entries) - set(parts))
    for name in vanished:
        _delete_block(connection, REGISTRY[table_name].table, entries[name])
        journal.forget(connection, table_name, name)
    return vanished


def _delete_block(connection: Connection, table: sa.Table, entry: journal.Entry) -> int:
    return connection.execute(
        sql.SQL("DELETE FROM {table} WHERE {key} BETWEEN %s AND %s").format(
            table=sql.Identifier("public", table.name), key=sql.Identifier(tables.primary_key(table)[0])
        ),
        (entry.first_id, entry.last_id),
    ).rowcount


def _fitting(connection: Connection, table_name: str, frame: pl.DataFrame) -> pl.DataFrame:
    return _cast(frame, aquamind.integer_types(connection, table_name))


def _cast(frame: pl.DataFrame, types: dict[str, pl.DataType]) -> pl.DataFrame:
    return frame.with_columns(pl.col(name).cast(kind) for name, kind in types.items() if name in frame.columns)


def _columns(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def suspend(connection: Connection, table_name: str) -> None:
    """Take off indexes and foreign keys of a table that we own, but not what others' keys rely on."""
    owned = connection.execute(
        "SELECT pg_has_role(c.relowner, 'USAGE') AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid "
        "AND t.tgname LIKE 'ts_insert%%') FROM pg_class c WHERE c.oid = to_regclass(%s)",
        (f"public.{table_name}",),
    ).fetchone()
    if not owned or not owned[0]:
        return
    connection.execute(
        sql.SQL("""
            INSERT INTO {suspended} (table_name, step, name, statement)
            SELECT %(table)s, row_number() OVER (ORDER BY step), name, statement FROM (
              SELECT 1 AS step, i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS statement
              FROM pg_index i LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u')
              WHERE i.indrelid = to_regclass(%(of)s)
                AND NOT EXISTS (SELECT 1 FROM pg_constraint f WHERE f.confrelid = i.indrelid
                                AND f.conindid = i.indexrelid AND f.contype = 'f')
              UNION ALL
              SELECT 2, k.conname,
                     format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s USING INDEX %%I', k.conrelid::regclass, k.conname,
                            CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, k.conname)
              FROM pg_constraint k WHERE k.conrelid = to_regclass(%(of)s) AND k.contype IN ('p', 'u')
                AND NOT EXISTS (SELECT 1 FROM pg_constraint f WHERE f.confrelid = k.conrelid
                                AND f.conindid = k.conindid AND f.contype = 'f')
              UNION ALL
              SELECT 3, k.conname, format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', k.conrelid::regclass, k.conname,
                                          pg_get_constraintdef(k.oid))
              FROM pg_constraint k WHERE k.conrelid = to_regclass(%(of)s) AND k.contype = 'f'
            ) AS every
        """).format(suspended=_SUSPENDED),
        {"table": table_name, "of": f"public.{table_name}"},
    )
    target = sql.Identifier("public", table_name)
    off = connection.execute(
        sql.SQL("SELECT name, statement FROM {} WHERE table_name = %s ORDER BY step DESC").format(_SUSPENDED),
        (table_name,),
    ).fetchall()
    for name, statement in off:
        if statement.startswith("ALTER"):
            connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(target, sql.Identifier(name)))
    for name, statement in off:
        if not statement.startswith("ALTER"):
            connection.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier("public", name.strip('"'))))


def restore(opened: Streams, table_name: str) -> None:
    """Build what was taken off, indexes side by side; each statement is done or still listed."""
    first = opened.first
    first.commit()
    query = sql.SQL("SELECT step, statement FROM {} WHERE table_name = %s ORDER BY step").format(_SUSPENDED)
    off = first.execute(query, (table_name,)).fetchall()
    first.commit()

    def build(connection: Connection, row: tuple[int, str]) -> None:
        with connection.transaction():
            connection.execute(row[1].encode())
            done = sql.SQL("DELETE FROM {} WHERE table_name = %s AND step = %s").format(_SUSPENDED)
            connection.execute(done, (table_name, row[0]))

    opened.spread(build, [row for row in off if not row[1].startswith("ALTER")])
    for row in off:
        if row[1].startswith("ALTER"):
            build(first, row)


def wipe(url: SecretStr, *, dry_run: bool = False) -> dict[str, tuple[int, int]]:
    """Take out exactly what we loaded: table -> (rows of ours taken out, rows kept because others use them)."""
    with journal.locked(url), streams(url) as opened:
        connection = opened.first
        for name in REGISTRY.monthly:
            if not dry_run:
                restore(opened, name)
        result = {}
        for name in REGISTRY.monthly:
            result[name] = (_wipe_blocks(connection, name), 0)
        # Batch and projection run refer to each other.
        connection.execute(
            sql.SQL(
                "UPDATE public.batch_batch SET pinned_projection_run_id = NULL WHERE id IN "
                "(SELECT id FROM {} WHERE table_name = 'batch_batch' AND created)"
            ).format(_IDENTITY)
        )
        histories = aquamind.history_tables(connection)
        for name in reversed(REGISTRY.whole):
            result[name] = _wipe_master(connection, name, histories.get(name))
        if dry_run:
            connection.rollback()
            return result
        for name in journal.JOURNAL_TABLES:
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(journal.OURS, name)))
    return result


def _wipe_blocks(connection: Connection, table_name: str) -> int:
    table = REGISTRY[table_name].table
    entries = [entry for entry in journal.entries(connection, table_name).values() if entry.rows]
    if _only_ours(connection, table, entries):
        connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier("public", table_name)))
        return sum(entry.rows for entry in entries)
    return sum(_delete_block(connection, table, entry) for entry in entries)


def _only_ours(connection: Connection, table: sa.Table, entries: Sequence[journal.Entry]) -> bool:
    """Whether nobody else has rows in a table, nobody refers to it, and we may empty it at once."""
    target = sql.Identifier("public", table.name)
    allowed = connection.execute(
        "SELECT has_table_privilege(to_regclass(%(name)s), 'TRUNCATE') AND NOT EXISTS "
        "(SELECT 1 FROM pg_constraint WHERE contype = 'f' AND confrelid = to_regclass(%(name)s))",
        {"name": f"public.{table.name}"},
    ).fetchone()
    if not entries or not allowed or not allowed[0]:
        return False
    counted = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(target)).fetchone()
    return counted is not None and counted[0] == sum(_count_block(connection, table, entry) for entry in entries)


def _count_block(connection: Connection, table: sa.Table, entry: journal.Entry) -> int:
    row = connection.execute(
        sql.SQL("SELECT count(*) FROM {table} WHERE {key} BETWEEN %s AND %s").format(
            table=sql.Identifier("public", table.name), key=sql.Identifier(tables.primary_key(table)[0])
        ),
        (entry.first_id, entry.last_id),
    ).fetchone()
    assert row is not None
    return int(row[0])


def _wipe_master(connection: Connection, name: str, history: str | None) -> tuple[int, int]:
    """Rows that nobody else's refer to; children were taken out before."""
    key = tables.primary_key(REGISTRY[name].table)[0]
    target = sql.Identifier("public", name)
    users = connection.execute(
        "SELECT c.relname, a.attname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid "
        "JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] "
        "WHERE k.contype = 'f' AND k.confrelid = to_regclass(%s)",
        (f"public.{name}",),
    ).fetchall()
    free = [
        sql.SQL("NOT EXISTS (SELECT 1 FROM {} u WHERE u.{} = t.{})").format(
            sql.Identifier("public", user), sql.Identifier(column), sql.Identifier(key)
        )
        for user, column in users
    ]
    mine = sql.SQL("t.{} IN (SELECT id FROM {} WHERE table_name = %s AND created)").format(
        sql.Identifier(key), _IDENTITY
    )
    row = connection.execute(sql.SQL("SELECT count(*) FROM {} t WHERE {}").format(target, mine), (name,)).fetchone()
    there = int(row[0]) if row else 0
    if history:
        connection.execute(
            sql.SQL(
                "DELETE FROM {} t WHERE history_type = '+' AND history_change_reason = 'aquamind-pipeline' AND {}"
            ).format(sql.Identifier("public", history), mine),
            (name,),
        )
    delete = sql.SQL("DELETE FROM {} t WHERE {}").format(target, sql.SQL(" AND ").join([mine, *free]))
    out = 0
    while (gone := connection.execute(delete, (name,)).rowcount) > 0:  # again where rows refer to rows of their table
        out += gone
    return out, there - out


__all__ = [
    "REBUILD_ROWS",
    "drop_vanished",
    "load_masters",
    "load_months",
    "restore",
    "suspend",
    "wipe",
]
