"""A database of our own: we make AquaMind's tables in it, and a partition for each month.

A month is copied into a new table, indexed, and put in the place of the old partition, in one transaction. New days of
a month are added to its partition.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import date

import sqlalchemy as sa
from psycopg import sql

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.months import day_after, first_day
from aquamind_pipeline.postgres import additions, ddl, incremental, journal, locks, rights
from aquamind_pipeline.postgres.completion import complete_tables
from aquamind_pipeline.postgres.connection import Connection, described
from aquamind_pipeline.postgres.connection_pool import ConnectionPool
from aquamind_pipeline.postgres.copying import Loaded, constants, copy_rows
from aquamind_pipeline.postgres.dependents import dependents, require_none
from aquamind_pipeline.postgres.foreign_keys import foreign_keys, require_readable
from aquamind_pipeline.postgres.targets.target import LoadMonth, MonthFile, Part, Target, number
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.frames import complete, primary_key

INDEXED_COST = 6
"""Inserting into an indexed partition takes six times as long per row as filling a new one."""


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
        """Tables that we made fit, unless somebody has changed them since."""
        found = additions.misfits(connection, self.tables)
        if found:
            raise DatabaseError(f"{described(self.url)} does not fit any more: {'; '.join(found)}")

    def _make_tables(self, connection: Connection) -> None:
        for statement in ddl.statements():
            connection.execute(statement)

    def _complete_tables(self, connection: Connection) -> None:
        complete_tables(connection)

    def _load_whole(self, connection: Connection, lake: Lake, run: str, *, history: bool) -> list[Loaded]:
        changed = [name for name in self.whole if not _is_loaded(connection, lake, name)]
        # A row that somebody else's transaction has locked would keep us waiting later, while others wait for us.
        locks.lock_tables(connection, [_public(name) for name in changed], "EXCLUSIVE")
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
        """Fill new tables with the months of tables to which others have added checks, and take them back."""
        for name in self.monthly:
            definition, there = REGISTRY[name], journal.entries(connection, name)
            months = lake.partitions(name)
            additions.require_free_months(connection, name, [month for month in months if month not in there])
            if not additions.added_checks(connection, name):
                continue
            for month in months:
                file = MonthFile(lake, name, month, there.get(month))
                if not file.is_loaded:
                    with connection.transaction(force_rollback=True), self.explained(name):
                        _fill_new_table(connection, lake, definition, file)

    @contextlib.contextmanager
    def _loading_table(
        self, pool: ConnectionPool, lake: Lake, definition: TableDefinition, files: Sequence[MonthFile], run: str
    ) -> Iterator[LoadMonth]:
        swapping = threading.Lock()

        def load_month(connection: Connection, file: MonthFile) -> Loaded:
            with connection.transaction():  # of its own, since it keeps writers out while it lasts
                grown = locks.in_attempts(connection, lambda attempt: _add_days(attempt, lake, definition, file, run))
            if grown is not None:
                return grown
            with contextlib.ExitStack() as until_commit, connection.transaction():
                # Before the rows are copied.
                _require_partition_unused(connection, name, file.month)
                if file.loaded is not None and _exists(connection, journal.partition(name, file.month)):
                    additions.require_no_values(connection, name, file.month)
                loaded = _fill_new_table(connection, lake, definition, file)
                # From here until the commit tables are locked that all partitions share. So one month at a time.
                until_commit.enter_context(swapping)
                _require_partition_unused(connection, name, file.month)
                locks.in_attempts(connection, lambda attempt: _swap(connection, definition, file.month, attempt))
                journal.remember(connection, name, file.month, journal.Entry(file.digest, loaded.rows), run)
                return loaded

        name = definition.name

        yield load_month
        _set_sequence(pool.first, definition.table)
        pool.first.commit()

    def _drop_month(self, connection: Connection, name: str, month: str) -> None:
        _require_partition_unused(connection, name, month)
        if _exists(connection, journal.partition(name, month)):
            locks.lock_tables(connection, [_public(name), journal.partition(name, month)], "ACCESS EXCLUSIVE")
            connection.execute(sql.SQL("DROP TABLE {}").format(journal.partition(name, month)))
        journal.forget(connection, name, month)

    def show_ours(self, connection: Connection) -> None:
        """Every row is ours, so there is nothing to hide."""
        self.held(connection)

    def part(self, connection: Connection, lake: Lake, name: str, month: str | None) -> Part:
        """The whole table, or the month's partition."""
        table = REGISTRY.table(name)
        rows = complete(lake.scan(name, None if month is None else [month]), table)
        source = _only(name) if month is None else journal.partition(name, month)
        return Part(source, sql.SQL("true"), rows, tuple(column.name for column in table.columns))

    def _count_rows(self, connection: Connection, name: str) -> sql.Composed:
        if name not in self.monthly:
            return sql.SQL("SELECT count(*) FROM {}").format(_only(name))
        others = [
            sql.SQL("tableoid <> to_regclass({})").format(sql.Literal(other.as_string()))
            for other in additions.other_partitions(connection, name)
        ]
        ours = sql.SQL(" AND ").join([sql.SQL("true"), *others])
        return sql.SQL("SELECT count(*) FROM {} WHERE {}").format(_public(name), ours)

    def _count_month(self, name: str, month: str, entry: journal.Entry) -> sql.Composed:
        return sql.SQL("SELECT count(*) FROM {}").format(journal.partition(name, month))

    def _planned_wipe(self, connection: Connection) -> dict[str, tuple[int, int]]:
        return {
            name: (number(connection, self._count_rows(connection, name)), 0)
            for name in self.tables
            if _exists(connection, _public(name))  # another version of this program may have made fewer tables
        }

    def _in_the_way(self, connection: Connection) -> list[str]:
        farm = journal.farm(connection)
        # Another version of this program may have given other names to its indexes and keys.
        is_known = farm is not None and farm.schema_version == ddl.schema_version()
        found = dependents(
            connection, self._dropped(connection), schema=journal.OURS, known=ddl.names() if is_known else None
        )
        return [*found, *_added_columns(connection)] if is_known else found

    def _dropped(self, connection: Connection) -> list[sql.Identifier]:
        """The tables that a wipe drops, each with its partitions."""
        partitions = connection.execute(
            "SELECT p.relname, c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "JOIN pg_class p ON p.oid = i.inhparent WHERE p.relnamespace = to_regnamespace(%(public)s) "
            "AND c.relnamespace = to_regnamespace(%(ours)s) AND p.relkind = 'p' "
            r"AND starts_with(c.relname, p.relname) AND substr(c.relname, length(p.relname) + 1) ~ '^_\d{4}_\d{2}$' "
            "ORDER BY 1, 2",
            {"public": ddl.PUBLIC, "ours": journal.OURS},
        ).fetchall()
        names: list[sql.Identifier] = []
        for name in self.tables:
            if _exists(connection, _public(name)):
                names += [_public(name), *(sql.Identifier(journal.OURS, part) for of, part in partitions if of == name)]
        return [*names, *(sql.Identifier(journal.OURS, name) for name in journal.JOURNAL_TABLES)]

    def _wipe(self, pool: ConnectionPool) -> dict[str, tuple[int, int]]:
        def drop(connection: Connection) -> dict[str, tuple[int, int]]:
            with connection.transaction():
                require_none(self._in_the_way(connection), described(self.url))  # before anybody waits for us
                locks.lock_tables(connection, self._dropped(connection), "ACCESS EXCLUSIVE")
                require_none(self._in_the_way(connection), described(self.url))
                counts = self._planned_wipe(connection)
                names = [*map(_public, self.tables), *(sql.Identifier(journal.OURS, n) for n in journal.JOURNAL_TABLES)]
                # Never CASCADE: what was overlooked stops the wipe.
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.SQL(", ").join(names)))
                connection.execute(sql.SQL("DROP SCHEMA {}").format(sql.Identifier(journal.OURS)))
            return counts

        return pool.run(drop)


def _exists(connection: Connection, table: sql.Identifier) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table.as_string(),)).fetchone()
    return bool(row and row[0])


def _is_loaded(connection: Connection, lake: Lake, name: str) -> bool:
    known = journal.entries(connection, name).get(journal.ALL)
    return known is not None and known.digest == lake.digest(name)


def _require_partition_unused(connection: Connection, name: str, month: str) -> None:
    """Refuse to drop a partition that others have built on. What they build on the whole table stays.

    Raises:
        DatabaseError: when there are such objects. It names each.
    """
    found = dependents(connection, [journal.partition(name, month)], known=())
    require_none(found, f"{name} {month} cannot be replaced")


def _added_columns(connection: Connection) -> list[str]:
    """Columns that others have added to our tables, one line each."""
    query = (
        "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "WHERE c.relnamespace = to_regnamespace(%s) AND c.relname = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped "
        "ORDER BY 1, 2"
    )
    return [
        f"column {column} is on {ddl.PUBLIC}.{name}"
        for name, column in connection.execute(query, (ddl.PUBLIC, list(REGISTRY.aquamind)))
        if column not in REGISTRY.table(name).columns
    ]


def _require_unused(connection: Connection, name: str, gone: sql.Composable) -> None:
    """Refuse to delete rows to which tables of others refer: the foreign key may delete or change their rows.

    Args:
        connection: The database.
        name: The table.
        gone: Which of its rows `t` are to be deleted.

    Raises:
        DatabaseError: when a table of somebody else refers to one of them.
    """
    keys = [key for key in foreign_keys(connection, [name]) if key.ours not in REGISTRY]
    require_readable(connection, keys)
    for key in keys:
        used = number(
            connection,
            sql.SQL("SELECT count(*) FROM {} AS u JOIN {} AS t ON {} WHERE {}").format(
                key.source, _public(name), key.join("u", "t"), gone
            ),
        )
        if used:
            raise DatabaseError(
                f"{name}: {used} rows of {key.schema}.{key.table} refer to rows that the farm no longer has: delete "
                "these rows or let them refer to others, then run again"
            )


def _public(name: str) -> sql.Identifier:
    return sql.Identifier(ddl.PUBLIC, name)


def _only(name: str) -> sql.Composed:
    """The rows of a table that is kept whole, without those of tables that inherit from it: these are of others."""
    return sql.SQL("ONLY {}").format(_public(name))


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
    gone = sql.SQL("NOT EXISTS (SELECT 1 FROM {incoming} i WHERE {same})").format(**parts)
    _require_unused(connection, name, gone)
    deleted = connection.execute(sql.SQL("DELETE FROM {} t WHERE {}").format(_only(name), gone)).rowcount
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
    attempt: locks.Attempt, lake: Lake, definition: TableDefinition, file: MonthFile, run: str
) -> Loaded | None:
    """Add a month's new days to its partition. None if the month must be loaded as a whole."""
    connection = attempt.connection
    before, started = file.loaded, time.perf_counter()
    if before is None:
        return None
    name, month = definition.name, file.month
    low, high = _bounds(month)
    if _exists(connection, journal.partition(name, month)):
        # Nobody adds or deletes rows between the count and the new rows.
        attempt.lock([journal.partition(name, month)], "SHARE ROW EXCLUSIVE")
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
    attempt.check_constraints()
    return Loaded(name, month, before.rows + sent, sent, time.perf_counter() - started)


def _fill_new_table(connection: Connection, lake: Lake, definition: TableDefinition, file: MonthFile) -> Loaded:
    """Fill a new table with a month, and index it. Nobody else sees it yet."""
    started = time.perf_counter()
    table, name, month = definition.table, definition.name, file.month
    fresh = journal.partition(name, f"{month}-new")
    connection.execute(ddl.create_partition(table, journal.partition_name(name, f"{month}-new")))
    additions.add_to(connection, name, fresh, journal.partition(name, month))
    fixed = constants(name)
    for column, value in fixed.items():
        connection.execute(
            sql.SQL("ALTER TABLE {} ALTER {} SET DEFAULT {}").format(fresh, sql.Identifier(column), sql.Literal(value))
        )
    low, high = _bounds(month)
    # With this check ATTACH need not scan the rows.
    connection.execute(
        sql.SQL("ALTER TABLE {fresh} ADD CONSTRAINT in_month CHECK ({column} >= {low} AND {column} < {high})").format(
            fresh=fresh, column=sql.Identifier(str(definition.time)), low=sql.Literal(low), high=sql.Literal(high)
        )
    )
    rows = copy_rows(connection, table, fresh, lake.scan(name, [month]), skip=tuple(fixed), freeze=True)
    transaction = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
    assert transaction is not None
    for statement in ddl.partition_indexes(table, fresh, f"{journal.partition_name(name, month)}_{transaction[0]}"):
        connection.execute(statement)
    _analyze(connection, fresh, rows)
    return Loaded(name, month, rows, rows, time.perf_counter() - started)


def _swap(connection: Connection, definition: TableDefinition, month: str, attempt: locks.Attempt) -> None:
    """Put a month's new table in the place of its old one.

    Foreign keys are validated under a lock that readers do not notice. Where there is an old partition, a lock that
    keeps readers out follows, for milliseconds. A new month needs no such lock.
    """
    table, name = definition.table, definition.name
    low, high = _bounds(month)
    parent, target, fresh = _public(name), journal.partition(name, month), journal.partition(name, f"{month}-new")
    referenced = [
        _public(other) for other in sorted({key.referred_table.name for key in table.foreign_key_constraints})
    ]
    attempt.lock(referenced, "SHARE ROW EXCLUSIVE")
    defaults = additions.default_partitions(connection, name)
    settings = additions.Settings((), ())
    if _exists(connection, target):
        for statement in ddl.partition_foreign_keys(table, fresh):
            connection.execute(statement)
        # A writer who waits for us may have read what we now lock. Neither of us would ever go on.
        attempt.require(not locks.is_waited_for(connection), referenced, "SHARE ROW EXCLUSIVE")
        attempt.begin_anew()
        attempt.lock([parent, *defaults, target, *referenced], "ACCESS EXCLUSIVE")
        additions.require_no_values(connection, name, month)
        settings = additions.Settings.of(connection, target, fresh)
        settings.apply_to_table(connection)
        connection.execute(sql.SQL("DROP TABLE {}").format(target))
    else:
        attempt.lock([parent], "SHARE UPDATE EXCLUSIVE")
        attempt.lock(defaults, "ACCESS EXCLUSIVE")
    ids = {"fresh": fresh, "parent": parent, "target": target, "low": sql.Literal(low), "high": sql.Literal(high)}
    connection.execute(
        sql.SQL("ALTER TABLE {fresh} RENAME TO {name}").format(
            **ids, name=sql.Identifier(journal.partition_name(name, month))
        )
    )
    connection.execute(
        sql.SQL("ALTER TABLE {parent} ATTACH PARTITION {target} FOR VALUES FROM ({low}) TO ({high})").format(**ids)
    )
    connection.execute(sql.SQL("ALTER TABLE {target} DROP CONSTRAINT in_month").format(**ids))
    settings.apply_to_indexes(connection, target)


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
