"""A database of our own: we make AquaMind's tables in it, and a partition for each month.

A month is copied into a new table, indexed, and put in the place of the old partition, in one transaction. New days of
a month are added to its partition.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import date

import sqlalchemy as sa
from psycopg import sql

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.months import day_after, first_day
from aquamind_pipeline.postgres import ddl, incremental, journal, rights, session
from aquamind_pipeline.postgres.connection import Connection, connect
from aquamind_pipeline.postgres.connection_pool import ConnectionPool
from aquamind_pipeline.postgres.copying import Loaded, constants, copy_rows
from aquamind_pipeline.postgres.targets.target import LoadMonth, MonthFile, Part, Target
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.frames import complete, primary_key

INDEXED_COST = 6
"""Inserting into an indexed partition takes six times as long per row as filling a new one."""
_SWAP_LOCK_KEY = 0x41714D53  # "AqMS"


class OwnTarget(Target):
    """A database whose tables we made."""

    kind = "own"
    is_ours_alone = True
    left_out = ()

    def _require_rights(self, connection: Connection, *, is_there: bool, history: bool) -> None:
        rights.require_places(connection, self.url, in_public=not is_there)
        if is_there:
            rights.require_owner(connection, self.url, self.tables)
        else:
            rights.require_free_names(connection, self.url, self.tables)

    def _require_tables_fit(self, connection: Connection) -> None:
        """Tables that we made fit."""

    def _make_tables(self, connection: Connection) -> None:
        for statement in ddl.statements():
            connection.execute(statement)

    def _load_whole(self, connection: Connection, lake: Lake, run: str, *, history: bool) -> list[Loaded]:
        # Foreign keys are checked at the commit, so vanished children may go before or after their parents.
        loaded, deleted = [], False
        for name in self.whole:
            with self.explained(name):
                one, gone = _load_whole(connection, lake, name, run)
            loaded.append(one)
            deleted = deleted or gone > 0
        if deleted:
            self._drop_months_since(connection, lake)
        return loaded

    def _try_months(self, connection: Connection, lake: Lake) -> None:
        """A month gets a new table, which nobody added anything to."""

    @contextlib.contextmanager
    def _loading_table(
        self, pool: ConnectionPool, lake: Lake, definition: TableDefinition, files: Sequence[MonthFile], run: str
    ) -> Iterator[LoadMonth]:
        def load_month(connection: Connection, file: MonthFile) -> Loaded:
            with connection.transaction():
                grown = _add_days(connection, lake, definition, file, run)
                return grown or _replace_month(connection, lake, definition, file, run)

        yield load_month
        _set_sequence(pool.first, definition.table)
        pool.first.commit()

    def _drop_month(self, connection: Connection, name: str, month: str) -> None:
        connection.execute(sql.SQL("DROP TABLE {}").format(journal.partition(name, month)))
        journal.forget(connection, name, month)

    def show_ours(self, connection: Connection) -> None:
        """Every row is ours, so there is nothing to hide."""
        self.held(connection)
        session.show_public(connection)

    def part(self, connection: Connection, lake: Lake, name: str, month: str | None) -> Part:
        """The whole table, or the month's partition."""
        table = REGISTRY.table(name)
        rows = complete(lake.scan(name, None if month is None else [month]), table)
        source = _public(name) if month is None else journal.partition(name, month)
        return Part(source, sql.SQL("true"), rows, tuple(column.name for column in table.columns))

    def _count_rows(self, name: str) -> sql.Composed:
        return sql.SQL("SELECT count(*) FROM {}").format(_public(name))

    def _count_month(self, name: str, month: str, entry: journal.Entry) -> sql.Composed:
        return sql.SQL("SELECT count(*) FROM {}").format(journal.partition(name, month))

    def _wipe(self, *, dry_run: bool) -> dict[str, tuple[int, int]]:
        with connect(self.url) as connection:
            query = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
            there = {row[0] for row in connection.execute(query, (ddl.PUBLIC,))}
        # Another version of this program may have made fewer tables.
        counts = {name: (rows, 0) for name, rows in self.row_counts(there.intersection(self.tables)).items()}
        if not dry_run:
            with connect(self.url) as connection:
                journal.lock(connection, self.url)
                tables = sql.SQL(", ").join(map(_public, self.tables))
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(tables))
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(journal.OURS)))
        return counts


def _public(name: str) -> sql.Identifier:
    return sql.Identifier(ddl.PUBLIC, name)


def _load_whole(connection: Connection, lake: Lake, name: str, run: str) -> tuple[Loaded, int]:
    """Load a table that is kept whole. Returns also how many rows were deleted."""
    table = REGISTRY.table(name)
    digest = lake.digest(name)
    known = journal.entries(connection, name).get(journal.ALL)
    if known and known.digest == digest:
        return Loaded(name, None, known.rows, 0, 0.0), 0
    started = time.perf_counter()
    incoming = sql.Identifier("pg_temp", f"incoming_{name}")
    names = [column.name for column in table.columns]
    key = primary_key(table)
    values = [n for n in names if n not in key]
    parts = {
        "target": _public(name),
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
    connection: Connection, lake: Lake, definition: TableDefinition, file: MonthFile, run: str
) -> Loaded | None:
    """Add a month's new days to its partition. None if the month must be loaded as a whole."""
    before, started = file.loaded, time.perf_counter()
    if before is None:
        return None
    name, month = definition.name, file.month
    low, high = _bounds(month)
    # The whole table answers also when somebody has dropped the partition.
    rows = sql.SQL("{table} WHERE {day} >= {low} AND {day} < {high}").format(
        table=_public(name), day=sql.Identifier(str(definition.time)), low=low, high=high
    )
    most = before.rows // INDEXED_COST
    added = incremental.added_rows(connection, lake, definition, month, before, rows, most)
    if added is None:
        return None
    sent = copy_rows(connection, definition.table, journal.partition(name, month), added.lazy())
    journal.remember(connection, name, month, journal.Entry(file.digest, before.rows + sent), run)
    return Loaded(name, month, before.rows + sent, sent, time.perf_counter() - started)


def _replace_month(
    connection: Connection, lake: Lake, definition: TableDefinition, file: MonthFile, run: str
) -> Loaded:
    """Fill a new table, index it, and put it in the place of the month's old partition."""
    started = time.perf_counter()
    table, name, month = definition.table, definition.name, file.month
    target = journal.partition(name, month)
    fresh = journal.partition(name, f"{month}-new")
    ids = {"fresh": fresh, "parent": _public(name), "target": target}
    connection.execute(ddl.create_partition(table, journal.partition_name(name, f"{month}-new")))
    fixed = constants(name)
    for column, value in fixed.items():
        connection.execute(
            sql.SQL("ALTER TABLE {} ALTER {} SET DEFAULT {}").format(fresh, sql.Identifier(column), sql.Literal(value))
        )
    low, high = _bounds(month)
    bounds = {
        "column": sql.Identifier(str(definition.time)),
        "low": sql.Literal(low),
        "high": sql.Literal(high),
    }
    # With this check ATTACH need not scan the rows.
    connection.execute(
        sql.SQL("ALTER TABLE {fresh} ADD CONSTRAINT in_month CHECK ({column} >= {low} AND {column} < {high})").format(
            **ids, **bounds
        )
    )
    rows = copy_rows(connection, table, fresh, lake.scan(name, [month]), skip=tuple(fixed), freeze=True)
    transaction = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
    assert transaction is not None
    for statement in ddl.partition_indexes(table, fresh, f"{journal.partition_name(name, month)}_{transaction[0]}"):
        connection.execute(statement)
    _analyze(connection, fresh, rows)
    # From here until the commit tables are locked that all partitions share. So one month at a time.
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SWAP_LOCK_KEY,))
    for statement in ddl.partition_foreign_keys(table, fresh):
        connection.execute(statement)
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {target}").format(**ids))
    connection.execute(
        sql.SQL("ALTER TABLE {fresh} RENAME TO {name}").format(
            fresh=fresh, name=sql.Identifier(journal.partition_name(name, month))
        )
    )
    connection.execute(
        sql.SQL("ALTER TABLE {parent} ATTACH PARTITION {target} FOR VALUES FROM ({low}) TO ({high})").format(
            **ids, **bounds
        )
    )
    connection.execute(sql.SQL("ALTER TABLE {target} DROP CONSTRAINT in_month").format(**ids))
    journal.remember(connection, name, month, journal.Entry(file.digest, rows), run)
    return Loaded(name, month, rows, rows, time.perf_counter() - started)


def _analyze(connection: Connection, target: sql.Identifier, rows: int) -> None:
    """Gather statistics from a tenth of the usual sample: the columns are even, and the usual sample takes longer than
    the indexes.

    Autovacuum would gather them again, and look at rows that are frozen. So it waits until as many rows have changed.
    """
    connection.execute("SET LOCAL default_statistics_target = 10")
    connection.execute(sql.SQL("ANALYZE {}").format(target))
    connection.execute(
        sql.SQL(
            "ALTER TABLE {} SET (autovacuum_analyze_threshold = {rows}, autovacuum_vacuum_insert_threshold = {rows})"
        ).format(target, rows=sql.Literal(max(rows, 50)))
    )


def _bounds(month: str) -> tuple[date, date]:
    return first_day(month), day_after(month)


def _set_sequence(connection: Connection, table: sa.Table) -> None:
    """Let the next id that AquaMind gives come after ours. The sequence of an empty table stays as it is."""
    key = primary_key(table)[0]
    query = sql.SQL(
        "SELECT setval(pg_get_serial_sequence(%s, %s), max({key})) FROM {table} HAVING max({key}) IS NOT NULL"
    ).format(key=sql.Identifier(key), table=_public(table.name))
    connection.execute(query, (f"{ddl.PUBLIC}.{table.name}", key))


__all__ = ["OwnTarget"]
