"""The bulk load: what changed in the lake goes to the database, each partition in one transaction.

A journal beside the rows holds the digest of the file they came from, written in the same transaction. So a load can be
stopped anywhere and run again: what is whole is skipped, the rest is done, nothing is ever loaded twice.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy.schema import CreateTable

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseError, LakeError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres import additions, guest, journal, schema
from aquamind_pipeline.postgres.connection import Connection, connect, described
from aquamind_pipeline.postgres.copying import Loaded, constants, copy_rows
from aquamind_pipeline.postgres.inspection import row_counts
from aquamind_pipeline.postgres.schema import compiled, final_name, foreign_keys
from aquamind_pipeline.postgres.streams import Streams, streams
from aquamind_pipeline.schema import frames as tables

ROW_BY_ROW = 6
"""How many times as long a row takes in a month that has its keys and indexes as in one that gets them afterwards."""
_SWAP_LOCK_KEY = 0x41714D53  # "AqMS"


def load_masters(url: SecretStr, lake: Lake, *, run: str = "", history: bool = False) -> list[Loaded]:
    """Make the master rows the lake's: insert, update, delete, in one transaction, since they refer to each other.

    In AquaMind's tables rows that are there already are found and left as they are; `history` also writes the first
    row of each master record's history there.
    """
    with connect(url) as connection:
        journal.lock(connection, url)
        if journal.kind(connection, url) == journal.AQUAMIND:
            return guest.load_masters(connection, lake, run, history=history)
        # Foreign keys are checked at commit, so children that vanish go before or after their parents alike.
        loaded, deleted = zip(*(_load_master(connection, lake, name, run) for name in REGISTRY.whole), strict=True)
        if any(deleted):
            _drop_outdated(connection, lake)
        return list(loaded)


@contextlib.contextmanager
def loading(url: SecretStr) -> Iterator[Streams]:
    """Connections for a load of months, which keeps other loads out as long as the block lasts."""
    with journal.locked(url), streams(url) as opened:
        yield opened


def load_months(
    opened: Streams,
    lake: Lake,
    table_name: str,
    months: Sequence[str],
    on_done: Callable[[], None] = lambda: None,
    *,
    run: str = "",
) -> list[Loaded]:
    """Load months of a table as partitions, side by side on the connections of `loading`, and set the id's sequence."""
    table = REGISTRY[table_name].table
    first = opened.first
    if journal.kind(first, opened.url) == journal.AQUAMIND:
        return guest.load_months(opened, lake, table, months, run, on_done)
    there = journal.entries(first, table_name)
    first.commit()

    def one(connection: Connection, month: str) -> Loaded:
        digest, before = lake.digest(table_name, month), there.get(month)
        if before and before.digest == digest:
            done = Loaded(table_name, month, before.rows, 0, 0.0)
        else:
            with connection.transaction():
                grown = _add_days(connection, lake, table, month, before, digest, run) if before else None
                done = grown or _load_month(connection, lake, table, month, digest, run)
        on_done()
        return done

    loaded = opened.spread(one, months)
    _set_sequence(first, table)
    first.commit()
    return loaded


def require_loaded(url: SecretStr, lake: Lake, parts: Mapping[str, Sequence[str | None]]) -> None:
    """Refuse to go on when files differ from those that were loaded: nobody has looked at them since.

    Args:
        url: The database.
        lake: The lake it was loaded from.
        parts: Tables, and months of them; None for the whole of a table without months.

    Raises:
        LakeError: when a file is not the one that was loaded.
        DatabaseError: when one is not loaded any more.
    """
    with connect(url) as connection:
        for name, partitions in parts.items():
            there = journal.entries(connection, name)
            for partition in partitions:
                part = f"{name} {partition or ''}".rstrip()
                entry = there.get(partition or journal.ALL)
                if entry is None:
                    raise DatabaseError(
                        f"{part} is not in {described(url)}, as it was when the farm was last verified: "
                        "build the whole farm (aquamind build), which loads all of it"
                    )
                if entry.digest != lake.digest(name, partition):
                    raise LakeError(
                        f"{part} is not the file that was proved and loaded: "
                        "build the whole farm (aquamind build), which looks at all of it"
                    )


def distrust(url: SecretStr, names: Iterable[str]) -> None:
    """Let the next load of these tables replace what is there, changed or not."""
    with connect(url) as connection:
        journal.lock(connection, url)
        for name in names:
            journal.distrust(connection, name)


def drop_vanished_months(opened: Streams, lake: Lake, names: Iterable[str]) -> list[str]:
    """Drop these tables' partitions of months that the lake no longer has; returns "table month" of each."""
    dropped = []
    connection = opened.first
    foreign = journal.kind(connection, opened.url) == journal.AQUAMIND
    for name in names:
        months = lake.partitions(name)
        if foreign:
            dropped += [f"{name} {month}" for month in guest.drop_vanished(connection, name, months)]
            continue
        for month in sorted(set(journal.entries(connection, name)) - set(months)):
            _drop_month(connection, name, month)
            dropped.append(f"{name} {month}")
    connection.commit()
    return dropped


def _drop_outdated(connection: Connection, lake: Lake) -> None:
    """Drop what may refer to deleted masters. They vanish only when the farm's as_of has moved back, which changes its
    month and later ones.
    """
    manifest = lake.manifest()
    last = manifest.as_of.strftime("%Y-%m") if manifest else ""
    for name in REGISTRY.monthly:
        for month in [month for month in journal.entries(connection, name) if month >= last]:
            _drop_month(connection, name, month)


def _drop_month(connection: Connection, table_name: str, month: str) -> None:
    connection.execute(sql.SQL("DROP TABLE {}").format(journal.partition(table_name, month)))
    journal.forget(connection, table_name, month)


def _load_master(connection: Connection, lake: Lake, name: str, run: str) -> tuple[Loaded, int]:
    """Returns also how many rows were deleted."""
    table = REGISTRY[name].table
    digest = lake.digest(name)
    known = journal.entries(connection, name).get(journal.ALL)
    if known and known.digest == digest:
        return Loaded(name, None, known.rows, 0, 0.0), 0
    started = time.perf_counter()
    target, incoming = sql.Identifier(name), sql.Identifier(f"incoming_{name}")
    names = [column.name for column in table.columns]
    key = tables.primary_key(table)
    values = [n for n in names if n not in key]
    parts = {
        "target": target,
        "incoming": incoming,
        "columns": sql.SQL(", ").join(map(sql.Identifier, names)),
        "key": sql.SQL(", ").join(map(sql.Identifier, key)),
        "same": sql.SQL(" AND ").join(sql.SQL("i.{0} = t.{0}").format(sql.Identifier(n)) for n in key),
        "assign": sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(n)) for n in values),
        "old": sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(n)) for n in values),
        "new": sql.SQL(", ").join(sql.SQL("excluded.{}").format(sql.Identifier(n)) for n in values),
    }
    connection.execute(sql.SQL("CREATE TEMPORARY TABLE {incoming} (LIKE {target}) ON COMMIT DROP").format(**parts))
    rows = copy_rows(connection, table, incoming, lake.scan(name))
    deleted = connection.execute(
        sql.SQL("DELETE FROM {target} t WHERE NOT EXISTS (SELECT 1 FROM {incoming} i WHERE {same})").format(**parts)
    ).rowcount
    connection.execute(
        sql.SQL(
            "INSERT INTO {target} AS t ({columns}) SELECT {columns} FROM {incoming} ON CONFLICT ({key}) DO UPDATE "
            "SET {assign} WHERE ({old}) IS DISTINCT FROM ({new})"
        ).format(**parts)
    )
    journal.remember(connection, name, journal.ALL, journal.Entry(digest, rows), run)
    _set_sequence(connection, table)
    return Loaded(name, None, rows, rows, time.perf_counter() - started), deleted


def _add_days(
    connection: Connection, lake: Lake, table: sa.Table, month: str, before: journal.Entry, digest: str, run: str
) -> Loaded | None:
    """Add a month's new days to its partition; None where it is to be loaded as a whole."""
    started = time.perf_counter()
    partition = journal.partition(table.name, month)
    low, high = _bounds(month)
    # Asked of the whole table, which answers also where somebody dropped the partition.
    rows = sql.SQL("{table} WHERE {day} >= {low} AND {day} < {high}").format(
        table=sql.Identifier(table.name), day=sql.Identifier(REGISTRY[table.name].time), low=low, high=high
    )
    added = additions.added_rows(connection, lake, table, month, before, rows, before.rows // ROW_BY_ROW)
    if added is None:
        return None
    sent = copy_rows(connection, table, partition, added.lazy())
    journal.remember(connection, table.name, month, journal.Entry(digest, before.rows + sent), run)
    return Loaded(table.name, month, before.rows + sent, sent, time.perf_counter() - started)


def _load_month(connection: Connection, lake: Lake, table: sa.Table, month: str, digest: str, run: str) -> Loaded:
    """Fill a table of its own, index it, and put it in the place of the month's old partition."""
    started = time.perf_counter()
    target = journal.partition(table.name, month)
    fresh = journal.partition(table.name, f"{month}-new")
    ids = {"fresh": fresh, "parent": sql.Identifier(table.name), "target": target}
    connection.execute(_create(table, journal.partition_name(table.name, f"{month}-new")))
    fixed = constants(table.name)
    for column, value in fixed.items():
        connection.execute(
            sql.SQL("ALTER TABLE {} ALTER {} SET DEFAULT {}").format(fresh, sql.Identifier(column), sql.Literal(value))
        )
    low, high = _bounds(month)
    bounds = {"column": sql.Identifier(REGISTRY[table.name].time), "low": sql.Literal(low), "high": sql.Literal(high)}
    # The check spares ATTACH a scan of the rows.
    connection.execute(
        sql.SQL("ALTER TABLE {fresh} ADD CONSTRAINT in_month CHECK ({column} >= {low} AND {column} < {high})").format(
            **ids, **bounds
        )
    )
    rows = copy_rows(connection, table, fresh, lake.scan(table.name, [month]), skip=tuple(fixed), freeze=True)
    transaction = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
    assert transaction is not None
    for statement in _indexes(table, fresh, f"{journal.partition_name(table.name, month)}_{transaction[0]}"):
        connection.execute(statement)
    _analyze(connection, fresh, rows)
    # From here on tables that all partitions share are locked until the commit: one month at a time.
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SWAP_LOCK_KEY,))
    for statement in _references(table, fresh):
        connection.execute(statement)
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {target}").format(**ids))
    connection.execute(
        sql.SQL("ALTER TABLE {fresh} RENAME TO {name}").format(
            fresh=fresh, name=sql.Identifier(journal.partition_name(table.name, month))
        )
    )
    connection.execute(
        sql.SQL("ALTER TABLE {parent} ATTACH PARTITION {target} FOR VALUES FROM ({low}) TO ({high})").format(
            **ids, **bounds
        )
    )
    connection.execute(sql.SQL("ALTER TABLE {target} DROP CONSTRAINT in_month").format(**ids))
    journal.remember(connection, table.name, month, journal.Entry(digest, rows), run)
    return Loaded(table.name, month, rows, rows, time.perf_counter() - started)


def _create(table: sa.Table, name: str) -> bytes:
    """A partition to be, without keys: they are faster after the rows. Not LIKE its parent, which would then stay
    locked until the commit and stop the other streams.
    """
    columns = [sa.Column(c.name, c.type, nullable=c.nullable) for c in table.columns]
    declared = [*table.constraints, *(constraint for column in table.columns for constraint in column.constraints)]
    checks = [
        sa.CheckConstraint(constraint.sqltext, name=final_name(constraint))
        for constraint in declared
        if isinstance(constraint, sa.CheckConstraint)
    ]
    return compiled(CreateTable(sa.Table(name, sa.MetaData(), *columns, *checks, schema=journal.OURS)))


def _analyze(connection: Connection, target: sql.Identifier, rows: int) -> None:
    """Statistics of a tenth of the usual sample: columns are even, and the usual one takes longer than the indexes.

    Autovacuum would do it again for the rows of this load, and look at rows that are frozen: only more are its work.
    """
    connection.execute("SET LOCAL default_statistics_target = 10")
    connection.execute(sql.SQL("ANALYZE {}").format(target))
    connection.execute(
        sql.SQL(
            "ALTER TABLE {} SET (autovacuum_analyze_threshold = {rows}, autovacuum_vacuum_insert_threshold = {rows})"
        ).format(target, rows=sql.Literal(max(rows, 50)))
    )


def _indexes(table: sa.Table, partition: sql.Identifier, prefix: str) -> Iterator[sql.Composed]:
    """Keys and indexes of one partition, the same as its parent's, under names that begin with `prefix`: names that the
    server chooses are cut off, and two streams would choose the same.
    """
    for number, key in enumerate(_keys(table)):
        kind = sql.SQL("PRIMARY KEY" if isinstance(key, sa.PrimaryKeyConstraint) else "UNIQUE")
        name = sql.Identifier(f"{prefix}_k{number}")
        yield sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {} ({})").format(
            partition, name, kind, _column_list(key.columns)
        )
    for number, index in enumerate(sorted(table.indexes, key=lambda i: str(i.name))):
        method = sql.Identifier(index.dialect_options["postgresql"]["using"] or "btree")
        yield sql.SQL("CREATE INDEX {} ON {} USING {} ({})").format(
            sql.Identifier(f"{prefix}_i{number}"), partition, method, _column_list(index.columns)
        )


def _references(table: sa.Table, partition: sql.Identifier) -> Iterator[sql.Composed]:
    """Foreign keys of one partition, the same as its parent's."""
    for reference in foreign_keys(table):
        yield sql.SQL(
            "ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) DEFERRABLE INITIALLY DEFERRED"
        ).format(
            partition,
            sql.Identifier(str(reference.name)),
            _column_list(reference.columns),
            sql.Identifier(reference.referred_table.name),
            _column_list(element.column for element in reference.elements),
        )


def _column_list(columns: Iterable[sa.Column[Any]]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)


def _keys(table: sa.Table) -> list[sa.PrimaryKeyConstraint | sa.UniqueConstraint]:
    kinds = (sa.PrimaryKeyConstraint, sa.UniqueConstraint)
    return sorted((c for c in table.constraints if isinstance(c, kinds)), key=lambda c: str(c.name))


def _bounds(month: str) -> tuple[date, date]:
    first = date.fromisoformat(f"{month}-01")
    return first, date(first.year + first.month // 12, first.month % 12 + 1, 1)


def _set_sequence(connection: Connection, table: sa.Table) -> None:
    """The next id that AquaMind gives comes after ours; an empty table is left alone."""
    key = tables.primary_key(table)[0]
    query = sql.SQL(
        "SELECT setval(pg_get_serial_sequence(%s, %s), max({key})) FROM {table} HAVING max({key}) IS NOT NULL"
    ).format(key=sql.Identifier(key), table=sql.Identifier(table.name))
    connection.execute(query, (f"public.{table.name}", key))


def wipe(url: SecretStr, *, dry_run: bool = False) -> dict[str, tuple[int, int]] | None:
    """Take the farm out of the database: table -> (rows out, rows kept because others use them).

    None when there is no farm. Tables that we made are dropped; in AquaMind's, exactly our rows go. With `dry_run`
    nothing changes.
    """
    with connect(url) as connection:
        if not journal.exists(connection):
            return None
        kind = journal.kind(connection, url)
    if kind == journal.AQUAMIND:
        return guest.wipe(url, dry_run=dry_run)
    counts = {name: (rows, 0) for name, rows in row_counts(url, REGISTRY.aquamind).items()}
    if not dry_run:
        schema.wipe(url)
    return counts


__all__ = [
    "Loaded",
    "distrust",
    "drop_vanished_months",
    "load_masters",
    "load_months",
    "loading",
    "require_loaded",
    "wipe",
]
