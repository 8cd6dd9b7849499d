"""AquaMind's own tables, beside rows that are not ours.

Rows of whole tables are found or made (`identities`). Rows of a month get a block of ids (`id_blocks`). For a large
load a table's indexes are taken off and built again afterwards, also when the load fails (`indexes`).
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial

import polars as pl
import psycopg
from psycopg import sql

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres import ddl, incremental, interference, journal, locks, rights, session
from aquamind_pipeline.postgres.connection import Connection, described
from aquamind_pipeline.postgres.connection_pool import ConnectionPool, connection_pool
from aquamind_pipeline.postgres.copying import Loaded, copy_frame
from aquamind_pipeline.postgres.dependents import dependents, require_none
from aquamind_pipeline.postgres.targets.aquamind import fit, history, id_blocks, identities, indexes, wiping
from aquamind_pipeline.postgres.targets.aquamind.heirs import without_heirs
from aquamind_pipeline.postgres.targets.aquamind.identities import IDENTITY, Identities
from aquamind_pipeline.postgres.targets.aquamind.wiping import OurRows
from aquamind_pipeline.postgres.targets.target import LoadMonth, MonthFile, Part, Target
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.frames import complete, primary_key, references
from aquamind_pipeline.schema.kinds import Kind

REBUILD_ROWS = 1_000_000
"""From so many new rows on, building a table's indexes anew is faster than keeping them up to date."""
_SHOWN = 12
_TRIED_ROWS = 500
_TRIED_IDS = -1_000_000
"""Rows are tried with ids below this one, which no sequence gives."""
_SHORT_WAIT_SECONDS = 3.0
"""The longest wait for locks of others when a load has failed or was interrupted."""
_logger = logging.getLogger(__name__)


class AquaMindTarget(Target):
    """A database whose tables AquaMind's migrations made."""

    kind = "aquamind"
    is_ours_alone = False

    @cached_property
    def _theirs(self) -> fit.TheirTables:
        return fit.their_tables(self.url)

    @cached_property
    def left_out(self) -> tuple[str, ...]:
        """Tables of apps that are not installed here."""
        return fit.left_out(self._theirs)

    def _require_rights(self, connection: Connection, *, is_there: bool, history: bool) -> None:
        rights.require_places(connection, self.url, in_public=False)
        needed: dict[str, tuple[str, ...]] = dict.fromkeys(self.tables, ("SELECT", "INSERT", "UPDATE", "DELETE"))
        if history:
            needed |= dict.fromkeys(self._histories(connection).values(), ("SELECT", "INSERT", "DELETE"))
        keys = {name: primary_key(REGISTRY.table(name))[0] for name in self.tables}
        rights.require_table_rights(connection, self.url, needed, keys)

    def _require_tables_fit(self, connection: Connection) -> None:
        wrong = [*fit.in_the_way(connection), *fit.misfits(self._theirs)]
        if wrong:
            more = f"\n  … and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            listed = "".join(f"\n  {line}" for line in wrong[:_SHOWN])
            raise DatabaseError(
                f"{described(self.url)} has tables that are not ours and that this version does not fit:{listed}{more}"
                "\nbring AquaMind's migrations to the version that docs/aquamind.md names, or use an empty database"
            )

    def _make_tables(self, connection: Connection) -> None:
        """AquaMind's migrations made them."""

    def _complete_tables(self, connection: Connection) -> None:
        """AquaMind's tables stay as they are."""

    # Tables that are kept whole.

    def _load_whole(self, connection: Connection, lake: Lake, run: str, *, history: bool) -> list[Loaded]:
        """Find or make every row. Rows of ours that changed or vanished follow the lake."""
        known: Identities = {}
        frames: dict[str, pl.DataFrame] = {}
        self._lock_changed(connection, lake)
        for name in self.whole:
            definition = REGISTRY[name]
            frames[name] = complete(lake.scan(name), definition.table).collect()
            known[name] = identities.identify(connection, definition, frames[name], known)
        gone = {name: ids for name, frame in frames.items() if (ids := _gone(name, known[name], frame)["id"].to_list())}
        if gone:
            self._drop_months_since(connection, lake)
            for name, ids in gone.items():
                rows = sql.SQL("t.{} = ANY({})").format(_key(name), sql.Literal(ids))
                wiping.require_unused(connection, self.tables, name, rows)
        histories = self._histories(connection) if history else {}
        loaded = []
        for name in self.whole:
            with self.explained(name):
                loaded.append(
                    self._load_whole_table(connection, lake, name, frames[name], known, histories.get(name), run)
                )
        return loaded

    def _lock_changed(self, connection: Connection, lake: Lake) -> None:
        """Keep writers out of the tables that change, before anything is looked at. Readers go on.

        Where rows of ours are updated, the lock also keeps out whoever locks single rows: we would have to wait for
        such a row later, while others wait for us.
        """
        loaded = {name: journal.entries(connection, name).get(journal.ALL) for name in self.whole}
        changed = {name: entry for name, entry in loaded.items() if not entry or entry.digest != lake.digest(name)}

        def work(attempt: locks.Attempt) -> None:
            attempt.lock([_public(name) for name, entry in changed.items() if not entry], "SHARE ROW EXCLUSIVE")
            attempt.lock([_public(name) for name, entry in changed.items() if entry], "EXCLUSIVE")

        locks.in_attempts(connection, work)

    def _load_whole_table(
        self,
        connection: Connection,
        lake: Lake,
        name: str,
        frame: pl.DataFrame,
        known: Identities,
        history_table: str | None,
        run: str,
    ) -> Loaded:
        table, digest = REGISTRY.table(name), lake.digest(name)
        key = primary_key(table)[0]
        before = journal.entries(connection, name).get(journal.ALL)
        if before and before.digest == digest:
            return Loaded(name, None, before.rows, 0, 0.0)
        started = time.perf_counter()
        created, gone = known[name].filter("created"), _gone(name, known[name], frame)
        incoming = sql.Identifier("pg_temp", f"incoming_{name}")
        columns = [sql.Identifier(column) for column in frame.columns]
        values = [column for column in columns if column != sql.Identifier(key)]
        parts = {
            "table": _public(name),
            "key": sql.Identifier(key),
            "incoming": incoming,
            "columns": sql.SQL(", ").join(columns),
            "assign": sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(c) for c in values),
            "old": sql.SQL(", ").join(sql.SQL("t.{}").format(c) for c in columns),
            "new": sql.SQL(", ").join(sql.SQL("excluded.{}").format(c) for c in columns),
            "values": sql.SQL(", ").join(sql.SQL("i.{}").format(c) for c in columns),
        }
        connection.execute(
            sql.SQL("DELETE FROM {} WHERE {} = ANY(%s)").format(
                without_heirs(connection, _public(name)), sql.Identifier(key)
            ),
            (gone["id"].to_list(),),
        )
        connection.execute(
            sql.SQL("DELETE FROM {} WHERE table_name = %s AND lake_id = ANY(%s)").format(IDENTITY),
            (name, gone["lake_id"].to_list()),
        )
        ours = frame.join(created, left_on=key, right_on="lake_id", how="semi", maintain_order="left")
        ours = identities.translated(identities.with_ids(ours, key, created), table, known)
        connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE {incoming} (LIKE {table} INCLUDING DEFAULTS) ON COMMIT DROP").format(
                **parts
            )
        )
        copy_frame(connection, table, incoming, self._in_their_integers(name, ours))
        if history_table:
            # Before the rows themselves: only now the database tells which of them are new.
            connection.execute(
                sql.SQL(
                    "INSERT INTO {history} ({columns}, history_date, history_type, history_change_reason, "
                    "history_user_id) SELECT {values}, now(), '+', {reason}, NULL FROM {incoming} i "
                    "WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE t.{key} = i.{key})"
                ).format(history=_public(history_table), reason=sql.Literal(history.REASON), **parts)
            )
        connection.execute(
            sql.SQL(
                "INSERT INTO {table} AS t ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {incoming} "
                "ON CONFLICT ({key}) DO UPDATE SET {assign} WHERE ({old}) IS DISTINCT FROM ({new})"
            ).format(**parts)
        )
        journal.remember(connection, name, journal.ALL, journal.Entry(digest, frame.height), run)
        return Loaded(name, None, frame.height, frame.height, time.perf_counter() - started)

    def _try_months(self, connection: Connection, lake: Lake) -> None:
        """Write some rows of each table that is not loaded yet, compare them, and take them back.

        So a trigger or a constraint of somebody else's is found before anything is committed.
        """
        for name in self.monthly:
            definition = REGISTRY[name]
            month = next((one for one in lake.partitions(name) if lake.rows(name, one)), None)
            if month is None or _monthly_parent(definition) or journal.entries(connection, name):
                continue
            rows = lake.read(name, month)
            rows = rows.gather_every(max(1, rows.height // _TRIED_ROWS)).head(_TRIED_ROWS)
            with connection.transaction(force_rollback=True):
                self._try_rows(connection, lake, definition, month, rows)

    def _try_rows(
        self,
        connection: Connection,
        lake: Lake,
        definition: TableDefinition,
        month: str,
        rows: pl.DataFrame,
        parents: pl.DataFrame | None = None,
    ) -> None:
        """Write some rows of a month and some of their children, and compare them. They stay in the transaction.

        Args:
            connection: The database.
            lake: The lake.
            definition: The table.
            month: The month.
            rows: The rows.
            parents: lake_id, id of the rows that they hang on, if these are kept by month.
        """
        name, table, key = definition.name, definition.table, primary_key(definition.table)[0]
        known = identities.known(connection, _whole_references(definition))
        first_id = _TRIED_IDS - rows.height
        with self.explained(name):
            self._send(connection, definition, month, rows, known, parents, first_id)
            _check_deferred(connection, name)
        entry = journal.Entry("", rows.height, first_id, _TRIED_IDS - 1)
        frame = _in_their_ids(definition, complete(rows.lazy(), table).collect(), known, parents)
        columns = tuple(column.name for column in table.columns if column.name != key)
        part = Part(_public(name), id_blocks.block(table, entry), frame.lazy(), columns)
        self._require_same(connection, name, part, interference.causes(connection, [name]).get(name))
        ids = id_blocks.in_order_of_ids(rows, definition).select(
            lake_id=pl.col(key).cast(pl.Int64), id=pl.int_range(pl.len(), dtype=pl.Int64) + first_id
        )
        for child in REGISTRY.children(name):
            if child in self.monthly and lake.has(child, month):
                theirs, column = lake.read(child, month), REGISTRY[child].parent.column
                theirs = theirs.filter(pl.col(column).cast(pl.Int64).is_in(ids["lake_id"].implode())).head(_TRIED_ROWS)
                self._try_rows(connection, lake, REGISTRY[child], month, theirs, ids)

    def _histories(self, connection: Connection) -> dict[str, str]:
        return history.history_tables(connection, self.whole)

    # Tables that are kept by month.

    @contextlib.contextmanager
    def _loading_table(
        self, pool: ConnectionPool, lake: Lake, definition: TableDefinition, files: Sequence[MonthFile], run: str
    ) -> Iterator[LoadMonth]:
        name, first = definition.name, pool.first
        indexes.restore(pool, name)
        known = identities.known(first, _whole_references(definition))
        to_send, free = 0, dict[str, int]()
        for file in files:
            if not file.is_loaded:
                before = file.loaded or journal.Entry("", 0)
                rows = lake.rows(name, file.month)
                more = rows - before.rows
                free[file.month] = id_blocks.free_after(first, definition.table, before.last_id or 0)  # before any load
                to_send += more if before.digest and 0 < more <= free[file.month] else rows
        if to_send >= REBUILD_ROWS:
            indexes.suspend(first, name, keep_unique=_scope(definition) is None)
        first.commit()

        def load_month(connection: Connection, file: MonthFile) -> Loaded:
            started = time.perf_counter()
            entry, sent = self._load_month(connection, lake, definition, file, known, free[file.month], run)
            return Loaded(name, file.month, entry.rows, sent, time.perf_counter() - started)

        try:
            yield load_month
            indexes.restore(pool, name)
        except BaseException:  # Ctrl-C as well, also during the rebuild: the application works with these tables
            if to_send >= REBUILD_ROWS:
                _logger.warning(
                    "building the indexes of %s again; interrupt once more to leave it to the next load", name
                )
            # The old connections may be broken. What cannot be built now is still listed.
            with (
                contextlib.suppress(DatabaseError),
                locks.patience(_SHORT_WAIT_SECONDS),
                connection_pool(self.url) as others,
            ):
                indexes.restore(others, name)
            raise
        first.execute(sql.SQL("ANALYZE {}").format(_public(name)))
        first.commit()

    def _load_month(
        self,
        connection: Connection,
        lake: Lake,
        definition: TableDefinition,
        file: MonthFile,
        known: Identities,
        free: int,
        run: str,
    ) -> tuple[journal.Entry, int]:
        """Add new days to a month, or replace the month.

        Args:
            connection: The database.
            lake: The lake.
            definition: The table.
            file: The month.
            known: The rows of the whole tables that the table refers to.
            free: How many new rows may be added: ids after the month's block that are unused.
            run: The run that loads.

        Returns:
            The new entry of the journal, and how many rows were sent.
        """
        before, name, month = file.loaded, definition.name, file.month
        parents = partial(_loaded_parents, connection, lake, definition, month)
        if before and before.last_id is not None:
            ours = sql.SQL("{} WHERE {}").format(_public(name), id_blocks.block(definition.table, before))
            with connection.transaction():
                added = incremental.added_rows(connection, lake, definition, month, before, ours, free)
                if added is not None:
                    sent = self._send(connection, definition, month, added, known, parents(), before.last_id + 1)
                    entry = replace(before, digest=file.digest, rows=before.rows + sent, last_id=before.last_id + sent)
                    journal.remember(connection, name, month, entry, run)
                    locks.check_constraints(connection)
                    return entry, sent
        rows = lake.read(name, month)
        with connection.transaction():  # of its own, since it keeps writers out while it lasts
            size = id_blocks.size_of_block(lake, month, rows.height)
            first_id = id_blocks.allocate(connection, definition.table, size)

        def load() -> tuple[journal.Entry, int]:
            if before:
                self._drop_month(connection, name, month)
            sent = self._send(connection, definition, month, rows, known, parents(), first_id)
            entry = journal.Entry(file.digest, sent, first_id, first_id + sent - 1)
            journal.remember(connection, name, month, entry, run)
            locks.check_constraints(connection)
            return entry, sent

        with connection.transaction():
            # Only a month that is replaced locks the table. All of it begins again if a row keeps us waiting.
            return locks.in_attempts(connection, lambda _: load()) if before else load()

    def _send(
        self,
        connection: Connection,
        definition: TableDefinition,
        month: str,
        rows: pl.DataFrame,
        known: Identities,
        parents: pl.DataFrame | None,
        first_id: int,
    ) -> int:
        """Copy rows of a month, with ids from `first_id` on. Returns how many rows the server counted."""
        table = definition.table
        frame = complete(id_blocks.in_order_of_ids(rows, definition).lazy(), table).collect()
        frame = _in_their_ids(definition, frame, known, parents)
        ids = pl.int_range(pl.len(), dtype=pl.Int64).alias(primary_key(table)[0])
        frame = self._in_their_integers(table.name, frame.with_columns(ids + first_id))
        try:
            return copy_frame(connection, table, _public(table.name), frame)
        except psycopg.errors.UniqueViolation as error:
            raise DatabaseError(
                f"{table.name} {month}: somebody else's row has the key of one of ours ({error.diag.message_detail}): "
                "remove that row, or build a farm with another epoch"
            ) from None

    def _in_their_integers(self, name: str, frame: pl.DataFrame) -> pl.DataFrame:
        types = fit.integer_types(self._theirs, name)
        return frame.with_columns(pl.col(column).cast(kind) for column, kind in types.items() if column in frame)

    def _drop_month(self, connection: Connection, name: str, month: str) -> None:
        """Take out a month and the children of its rows. The next load brings the children with their parents' ids."""
        for child in REGISTRY.children(name):
            if child in self.monthly:
                self._drop_month(connection, child, month)
        entry = journal.entries(connection, name).get(month)
        if entry is not None:
            block = sql.SQL("t.{} BETWEEN {} AND {}").format(_key(name), entry.first_id, entry.last_id)
            wiping.require_unused(connection, self.tables, name, block)
            with self.explained(name, deletes=True):
                _delete_block(connection, name, entry)
            journal.forget(connection, name, month)

    # Questions about our rows.

    def show_ours(self, connection: Connection) -> None:
        """Hide the rows of others behind temporary views.

        Of whole tables the views show the rows that we found or made. Of rows that hang on a batch or assignment of
        ours they show all, also those that somebody else wrote. Of other rows they show those that we loaded.
        """
        self.held(connection)
        session.hide_public(connection)
        for name in self.left_out:
            connection.execute(ddl.create_empty_copy(REGISTRY.table(name)))
        for name in self.tables:
            connection.execute(
                sql.SQL("CREATE TEMPORARY VIEW {view} AS SELECT * FROM {table} t WHERE {ours}").format(
                    view=sql.Identifier(name), table=_public(name), ours=_shown(name)
                )
            )

    def part(self, connection: Connection, lake: Lake, name: str, month: str | None) -> Part:
        """Rows in the database's ids. Of whole tables only the rows that we made are compared."""
        definition = REGISTRY[name]
        table, key = definition.table, primary_key(definition.table)[0]
        rows = complete(lake.scan(name, None if month is None else [month]), table).collect()
        known = identities.known(connection, _whole_references(definition))
        if month is None:
            made = identities.known(connection, [name])[name].filter("created")
            rows = rows.join(made, left_on=key, right_on="lake_id", how="semi")
            where = sql.SQL("{} IN (SELECT i.id FROM {} i WHERE i.table_name = {} AND i.created)").format(
                sql.Identifier(key), IDENTITY, name
            )
        else:
            where = id_blocks.block(table, journal.entries(connection, name)[month])
        rows = _in_their_ids(definition, rows, known, _parents(connection, lake, definition, month))
        source = without_heirs(connection, _public(name))
        return Part(source, where, rows.lazy(), tuple(c.name for c in table.columns if c.name != key))

    def _count_rows(self, connection: Connection, name: str) -> sql.Composed:
        parts = {"table": _public(name), "name": sql.Literal(name), "identity": IDENTITY, "journal": _JOURNAL}
        parts["key"] = sql.Identifier(primary_key(REGISTRY.table(name))[0])
        if name in self.whole:
            return sql.SQL(
                "SELECT count(*) FROM {table} t JOIN {identity} i ON i.table_name = {name} AND i.id = t.{key}"
            ).format(**parts)
        return sql.SQL(
            "SELECT coalesce(sum(c), 0) FROM {journal} j, LATERAL (SELECT count(*) AS c FROM {table} t "
            "WHERE t.{key} BETWEEN j.first_id AND j.last_id) AS block WHERE j.table_name = {name}"
        ).format(**parts)

    def _count_month(self, name: str, month: str, entry: journal.Entry) -> sql.Composed:
        where = id_blocks.block(REGISTRY.table(name), entry)
        return sql.SQL("SELECT count(*) FROM {} WHERE {}").format(_public(name), where)

    # The end.

    def _planned_wipe(self, connection: Connection) -> dict[str, tuple[int, int]]:
        ours = OurRows(connection, self.tables)
        return self._as_counts(wiping.plan(connection, ours))

    def _in_the_way(self, connection: Connection) -> list[str]:
        """Only the journal's tables are dropped."""
        return dependents(connection, [sql.Identifier(journal.OURS, name) for name in journal.JOURNAL_TABLES])

    def _wipe(self, pool: ConnectionPool) -> dict[str, tuple[int, int]]:
        """Take out exactly what we loaded."""
        for name in self.monthly:
            indexes.restore(pool, name)
        return self._as_counts(pool.run(self._take_out))

    def _take_out(self, connection: Connection) -> dict[str, wiping.TablePlan]:
        def work(attempt: locks.Attempt) -> dict[str, wiping.TablePlan]:
            ours, histories = OurRows(connection, self.tables), self._histories(connection)
            wiping.lock(connection, ours, histories)
            require_none(self._in_the_way(connection), described(self.url))
            plans = wiping.plan(connection, ours)
            wiping.take_out(connection, ours, plans, histories, partial(self.explained, deletes=True))
            with self.explained(*self.tables, deletes=True):
                attempt.check_constraints()
            for name in journal.JOURNAL_TABLES:
                connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(journal.OURS, name)))
            return plans

        with connection.transaction():
            connection.execute("SET LOCAL row_security = off")  # rows that are hidden from us would be lost
            return locks.in_attempts(connection, work)

    def _as_counts(self, plans: Mapping[str, wiping.TablePlan]) -> dict[str, tuple[int, int]]:
        """Rows that go and rows that stay, of every table, children first."""
        names = [*reversed(self.monthly), *reversed(self.whole)]
        return {name: (plans[name].out, len(plans[name].kept)) if name in plans else (0, 0) for name in names}


_JOURNAL = sql.Identifier(journal.OURS, "load_journal")


def _in_their_ids(
    definition: TableDefinition, frame: pl.DataFrame, known: Identities, parents: pl.DataFrame | None
) -> pl.DataFrame:
    """Rows with the database's ids in every reference."""
    frame = identities.translated(frame, definition.table, known)
    return frame if parents is None else identities.with_ids(frame, definition.parent.column, parents)


def _parents(connection: Connection, lake: Lake, definition: TableDefinition, month: str | None) -> pl.DataFrame | None:
    """lake_id, id of the rows on which a month's rows hang; None if these are not kept by month."""
    parent = _monthly_parent(definition)
    if parent is None or month is None:
        return None
    entry = journal.entries(connection, parent).get(month)
    if entry is None or entry.first_id is None:
        return pl.DataFrame(schema={"lake_id": pl.Int64(), "id": pl.Int64()})
    return id_blocks.ids_of_month(lake, REGISTRY[parent], month, entry)


def _loaded_parents(connection: Connection, lake: Lake, definition: TableDefinition, month: str) -> pl.DataFrame | None:
    """The same, of rows that are loaded from the lake's file.

    Raises:
        DatabaseError: when they are not.
    """
    parent = _monthly_parent(definition)
    if parent:
        entry = journal.entries(connection, parent).get(month)
        if entry is None or entry.digest != lake.digest(parent, month):
            raise DatabaseError(
                f"{definition.name} {month} needs the rows of {parent} {month}, which are not loaded or outdated: load "
                "the whole farm (aquamind load)"
            )
    return _parents(connection, lake, definition, month)


def _check_deferred(connection: Connection, name: str) -> None:
    """Check now what a table's deferrable constraints check at the commit."""
    query = "SELECT conname FROM pg_constraint WHERE condeferrable AND conrelid = to_regclass(%s)"
    named = [sql.Identifier(ddl.PUBLIC, row[0]) for row in connection.execute(query, (f"{ddl.PUBLIC}.{name}",))]
    if named:
        connection.execute(sql.SQL("SET CONSTRAINTS {} IMMEDIATE").format(sql.SQL(", ").join(named)))


def _public(name: str) -> sql.Identifier:
    return sql.Identifier(ddl.PUBLIC, name)


def _key(name: str) -> sql.Identifier:
    return sql.Identifier(primary_key(REGISTRY.table(name))[0])


def _gone(name: str, known: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of ours that the lake no longer has."""
    key = primary_key(REGISTRY.table(name))[0]
    return known.filter("created").join(frame.select(lake_id=pl.col(key).cast(pl.Int64)), on="lake_id", how="anti")


def _whole_references(definition: TableDefinition) -> list[str]:
    """The tables that a table refers to and that are kept whole."""
    targets = {target for target, _ in references(definition.table).values()}
    return [name for name in REGISTRY.whole if name in targets]


def _monthly_parent(definition: TableDefinition) -> str | None:
    """A child's parent, if it is kept by month."""
    parent = definition.parent.table
    return parent if parent in REGISTRY.monthly else None


def _scope(definition: TableDefinition) -> tuple[str, str] | None:
    """The column and table by which a month's rows are ours alone; None where rows of others may stand beside ours.

    Ledger rows, such as batches and assignments, are always made by us. So is what hangs on them. Not all rows have a
    parent that may be null.
    """
    parent, reference = _monthly_parent(definition), definition.parent.column
    if parent and not definition.table.columns[reference].nullable:
        return (reference, parent) if _scope(REGISTRY[parent]) else None
    for column, (target, _) in references(definition.table).items():
        if REGISTRY[target].kind is Kind.LEDGER:
            return column, target
    return None


def _shown(name: str) -> sql.Composed:
    """Which rows of a table `t` are shown as ours: the text after WHERE."""
    definition = REGISTRY[name]
    key = primary_key(definition.table)[0]
    scope = _scope(definition) if definition.is_monthly else (key, name)
    if scope is None:
        return sql.SQL(
            "EXISTS (SELECT 1 FROM {} j WHERE j.table_name = {} AND t.{} BETWEEN j.first_id AND j.last_id)"
        ).format(_JOURNAL, name, sql.Identifier(key))
    column, parent = scope
    if REGISTRY[parent].is_monthly:
        parent_key = sql.Identifier(primary_key(REGISTRY.table(parent))[0])
        return sql.SQL("t.{} IN (SELECT p.{} FROM {} p)").format(
            sql.Identifier(column), parent_key, sql.Identifier("pg_temp", parent)
        )
    return sql.SQL("t.{} IN (SELECT i.id FROM {} i WHERE i.table_name = {})").format(
        sql.Identifier(column), IDENTITY, parent
    )


def _delete_block(connection: Connection, name: str, entry: journal.Entry) -> int:
    where = id_blocks.block(REGISTRY.table(name), entry)
    target = without_heirs(connection, _public(name))
    return connection.execute(sql.SQL("DELETE FROM {} WHERE {}").format(target, where)).rowcount


__all__ = ["REBUILD_ROWS", "AquaMindTarget"]
