"""What every target can do. A target is a database that a farm is loaded into.

`OwnTarget` is a database of our own, `AquaMindTarget` is one that AquaMind's migrations made. `open_target` opens the
right one for a URL. No other code asks which of the two it has.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import polars as pl
import psycopg
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseError, LakeError
from aquamind_pipeline.lake import Lake, Manifest
from aquamind_pipeline.postgres import content, interference, journal, locks, rights, session
from aquamind_pipeline.postgres.connection import Connection, connect, described
from aquamind_pipeline.postgres.connection_pool import ConnectionPool, connection_pool
from aquamind_pipeline.postgres.content import Part
from aquamind_pipeline.postgres.copying import Loaded
from aquamind_pipeline.postgres.ddl import schema_version
from aquamind_pipeline.postgres.farm_text import farm_text
from aquamind_pipeline.schema.definition import TableDefinition


@dataclass(frozen=True)
class MonthFile:
    """One month of a table in the lake, and what the database has of it.

    Attributes:
        lake: The lake.
        name: The table.
        month: The month.
        loaded: The journal's entry of the month; None if nothing is loaded.
    """

    lake: Lake
    name: str
    month: str
    loaded: journal.Entry | None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the lake's file, computed when it is first asked for, so that connections share this work."""
        return self.lake.digest(self.name, self.month)

    @property
    def is_loaded(self) -> bool:
        """Whether the lake's file is the one that was loaded."""
        return self.loaded is not None and self.loaded.digest == self.digest


_SHORT_DETAIL = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.ForeignKeyViolation,
    psycopg.errors.ExclusionViolation,
)
"""Errors whose detail is a key. The detail of others is a whole row."""
LoadMonth = Callable[[Connection, MonthFile], Loaded]
"""Brings one month into the database, in one transaction."""


class Target(ABC):
    """A database that a farm is loaded into. Making the object touches nothing."""

    kind: ClassVar[str]
    """The target's name in the journal."""
    is_ours_alone: ClassVar[bool]
    """Whether nobody else writes rows of our batches. Only then do sums of earlier months stay right without asking."""

    def __init__(self, url: SecretStr) -> None:
        self.url = url

    # What the database has.

    @property
    @abstractmethod
    def left_out(self) -> tuple[str, ...]:
        """Tables that this database does not have, and that we can do without. They are neither loaded nor compared."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables that are loaded into this database, parents first."""
        return tuple(name for name in REGISTRY.aquamind if name not in self.left_out)

    @property
    def whole(self) -> tuple[str, ...]:
        """Those of `tables` that are kept whole."""
        return tuple(name for name in self.tables if not REGISTRY[name].is_monthly)

    @property
    def monthly(self) -> tuple[str, ...]:
        """Those of `tables` that are kept by month."""
        return tuple(name for name in self.tables if REGISTRY[name].is_monthly)

    # Which farm it holds.

    def held(self, connection: Connection) -> journal.Farm:
        """The farm that the database holds.

        Raises:
            DatabaseError: when it holds none of ours.
        """
        farm = journal.farm(connection)
        if farm is None:
            raise DatabaseError(f"{described(self.url)} holds no farm of ours: run `aquamind build` first")
        return farm

    def prepare(self, farm: Manifest) -> None:
        """Make what is missing for a load, and note which farm the database holds.

        Raises:
            DatabaseError: what `require_fit` raises.
        """
        with connect(self.url) as connection:
            journal.lock(connection, self.url)
            self._require_fit(connection, farm)
            if not journal.exists(connection):
                journal.make(connection)
                self._make_tables(connection)
            held = journal.Farm(farm.identity, farm.farm, farm.as_of, schema_version(), self.kind)
            journal.remember_farm(connection, held)

    def require_fit(self, farm: Manifest, *, history: bool = False) -> None:
        """Refuse a database that cannot take this farm. It changes nothing, so ask before anything is built.

        Args:
            farm: The farm to load.
            history: Whether rows are written into history tables.

        Raises:
            DatabaseError: when the database holds another farm, tables of another version, or tables that do not fit,
                or when our role lacks a right or connections.
        """
        with connect(self.url) as connection:
            rights.require_connections(connection, self.url)
            self._require_fit(connection, farm, history=history)

    def _require_fit(self, connection: Connection, farm: Manifest, *, history: bool = False) -> None:
        rights.require_writable(connection, self.url)
        session.require_encoding(connection, farm_text() + farm.farm)
        held = journal.farm(connection)
        if held is not None:
            another_farm = held.identity != farm.identity
            if another_farm or held.schema_version != schema_version():
                other = (
                    f"another farm ({held.description})"
                    if another_farm
                    else "tables of another version of this program"
                )
                raise DatabaseError(
                    f"{described(self.url)} holds {other}: take it out with `aquamind wipe --no-files` and its own "
                    "profile and seed, or use another database"
                )
        self._require_rights(connection, is_there=held is not None, history=history)
        self._require_tables_fit(connection)

    def require_farm(self, farm: Manifest) -> None:
        """Refuse a database that holds another farm, before this one is taken out of it.

        Raises:
            DatabaseError: when it does. The same farm of another version of this program passes.
        """
        with connect(self.url) as connection:
            held = journal.farm(connection)
        if held is not None and not farm.is_of(held.description, held.identity):
            raise DatabaseError(
                f"{described(self.url)} holds {held.description}, but {farm.farm} was asked for: give the profile, "
                "seed, epoch and faults of the farm that is to go, or the URL of another database"
            )

    def require_loaded(self, lake: Lake, parts: Mapping[str, Sequence[str | None]]) -> None:
        """Refuse to go on when files differ from the loaded ones, since nobody has checked them.

        Args:
            lake: The lake that the database was loaded from.
            parts: Tables and months of them; None for a table that is kept whole.

        Raises:
            LakeError: when a file is not the one that was loaded.
            DatabaseError: when one is not loaded any more.
        """
        with connect(self.url) as connection:
            for name in self._of_mine(parts):
                there = journal.entries(connection, name)
                for partition in parts[name]:
                    part = f"{name} {partition or ''}".rstrip()
                    entry = there.get(partition or journal.ALL)
                    if entry is None:
                        raise DatabaseError(
                            f"{part} is not in {described(self.url)}, as it was when the farm was last verified: "
                            "build the whole farm (aquamind build), which loads all of it"
                        )
                    if entry.digest != lake.digest(name, partition):
                        raise LakeError(
                            f"{part} is not the file that was verified and loaded: "
                            "build the whole farm (aquamind build), which checks all of it"
                        )

    # The load.

    def distrust(self, names: Iterable[str]) -> None:
        """Make the next load of these tables replace their rows, changed or not."""
        with connect(self.url) as connection:
            journal.lock(connection, self.url)
            for name in names:
                journal.distrust(connection, name)

    def load_whole(self, lake: Lake, *, run: str = "", history: bool = False) -> list[Loaded]:
        """Make the rows of all tables that are kept whole equal to the lake's: insert, update, delete.

        All tables change in one transaction, since they refer to each other.

        Args:
            lake: The lake.
            run: The run that loads, for the journal.
            history: Whether to write the first history row of each record that we make, where the database has
                history tables.
        """

        def work(attempt: locks.Attempt) -> list[Loaded]:
            connection = attempt.connection
            loaded = self._load_whole(connection, lake, run, history=history)
            sent = [one.table for one in loaded if not one.skipped]
            self._require_content(connection, lake, sent)
            with self.explained(*self.tables):
                attempt.check_constraints()  # deferred triggers change rows only now
            self._require_content(connection, lake, list(interference.causes(connection, sent)))
            connection.execute("SET CONSTRAINTS ALL DEFERRED")
            self._try_months(connection, lake)
            return loaded

        def load(connection: Connection) -> list[Loaded]:
            with connection.transaction():
                return locks.in_attempts(connection, work)

        with self.loading() as pool:
            return pool.run(load)

    def _require_content(self, connection: Connection, lake: Lake, names: Sequence[str]) -> None:
        """Refuse to commit whole tables that somebody's trigger changed. Nobody changes those without a cause."""
        causes = interference.causes(connection, names)
        for name in names:
            if name in causes or not self.is_ours_alone:
                part = self.part(connection, lake, name, None)
                self._require_same(connection, name, part, causes.get(name))

    def _require_same(self, connection: Connection, name: str, part: Part, cause: str | None) -> None:
        found = content.differing(connection, name, part)
        if found:
            column, mine, theirs = found[0]
            more = f" and {len(found) - 1} more columns" if len(found) > 1 else ""
            raise DatabaseError(
                f"{name} {column}{more} would differ in {described(self.url)} (lake {mine}, database {theirs}), so "
                f"nothing was loaded: {cause or 'look for what changes rows of this table'}"
            )

    @contextlib.contextmanager
    def explained(self, *names: str, deletes: bool = False) -> Iterator[None]:
        """Say of which table rows were refused, and what somebody added to it that may be the cause.

        Args:
            names: The table; or several, where only the check at the end tells which one it was.
            deletes: Whether rows are deleted in the block.
        """
        try:
            yield
        except psycopg.Error as error:
            if not interference.is_about_rows(error):
                raise
            with connect(self.url) as another:  # the first one must roll back
                cause = interference.blame(another, names, error)
                if not cause and len(names) == 1:
                    cause = interference.causes(another, names).get(names[0], "")
            reason = error.diag.message_primary or str(error)
            detail = f" ({error.diag.message_detail})" if isinstance(error, _SHORT_DETAIL) else ""
            table = names[0] if len(names) == 1 else error.diag.table_name
            refused = f"{'to delete ' if deletes else ''}rows{f' of {table}' if table else ''}"
            raise DatabaseError(
                f"{described(self.url)} refuses {refused}: {' '.join(reason.split())}{detail}"
                f"{f'. {cause}' if cause else ''}"
            ) from None

    @contextlib.contextmanager
    def loading(self) -> Iterator[ConnectionPool]:
        """Connections for a load of months. Other loads are kept out during the block."""
        with journal.locked(self.url) as watch, connection_pool(self.url, watch) as pool:
            self.held(pool.first)
            pool.first.commit()
            self._complete_tables(pool.first)
            yield pool

    def load_months(
        self,
        pool: ConnectionPool,
        lake: Lake,
        name: str,
        months: Sequence[str],
        on_done: Callable[[], None] = lambda: None,
        *,
        run: str = "",
    ) -> list[Loaded]:
        """Load the months of a table that changed, side by side, each in one transaction.

        Args:
            pool: The connections of `loading`.
            lake: The lake.
            name: A table that is kept by month. Its parent must be loaded first.
            months: Months of the table. Months that are loaded already are skipped.
            on_done: Called after each month.
            run: The run that loads, for the journal.
        """
        if name in self.left_out:
            return []
        there = journal.entries(pool.first, name)
        pool.first.commit()
        files = [MonthFile(lake, name, month, there.get(month)) for month in months]

        def load(connection: Connection, file: MonthFile) -> Loaded:
            if file.loaded is not None and file.is_loaded:
                done = Loaded(name, file.month, file.loaded.rows, 0, 0.0)
            else:
                with self.explained(name):
                    done = load_month(connection, file)
            on_done()
            return done

        with self._loading_table(pool, lake, REGISTRY[name], files, run) as load_month:
            return pool.spread(load, files)

    def drop_vanished(self, pool: ConnectionPool, lake: Lake, names: Iterable[str]) -> list[str]:
        """Take out the months of these tables that the lake no longer has. Returns "table month" of each."""

        def drop(connection: Connection) -> list[str]:
            dropped = []
            for name in reversed(list(self._of_mine(names))):  # children before their parents
                for month in sorted(set(journal.entries(connection, name)) - set(lake.partitions(name))):

                    def work(attempt: locks.Attempt, name: str = name, month: str = month) -> None:
                        with self.explained(name, deletes=True):
                            self._drop_month(attempt.connection, name, month)
                            attempt.check_constraints()

                    locks.in_attempts(connection, work)
                    connection.commit()  # the next month may have to wait
                    dropped.append(f"{name} {month}")
            connection.commit()
            return dropped

        return pool.run(drop)

    def _drop_months_since(self, connection: Connection, last_day_of: Lake) -> None:
        """Take out the months that may refer to deleted rows.

        Rows of whole tables vanish only when the farm's `as_of` moved back. That changes the month of `as_of` and all
        later ones.
        """
        manifest = last_day_of.manifest()
        last = manifest.as_of.strftime("%Y-%m") if manifest else ""
        for name in reversed(self.monthly):
            for month in journal.entries(connection, name):
                if month >= last:
                    self._drop_month(connection, name, month)

    def wipe(self, *, dry_run: bool = False) -> dict[str, tuple[int, int]] | None:
        """Take the farm out: table -> (rows taken out, rows kept because others use them). None if there is no farm.

        With `dry_run` the rows are only counted, in a transaction that is read only.

        Raises:
            DatabaseError: when objects of others depend on tables that would be dropped; not with `dry_run`.
        """
        with connect(self.url) as connection:
            if not journal.exists(connection):
                return None
            if dry_run:
                connection.commit()
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                connection.execute("SET LOCAL row_security = off")  # rows that are hidden from us are not counted
                return self._planned_wipe(connection)
        with journal.locked(self.url) as watch, connection_pool(self.url, watch) as pool:
            return self._wipe(pool)

    def in_the_way_of_wipe(self) -> list[str]:
        """Objects of others that depend on tables that a wipe drops, one line each. They must be dropped first."""
        with connect(self.url) as connection:
            return self._in_the_way(connection) if journal.exists(connection) else []

    # Questions about our rows.

    def row_counts(self, names: Iterable[str]) -> dict[str, int]:
        """Rows of ours in each of these tables that the database has, counted by the server."""
        with connect(self.url) as connection:
            self.held(connection)
            return {name: number(connection, self._count_rows(connection, name)) for name in self._of_mine(names)}

    def month_counts(self, names: Iterable[str], since: str | None = None) -> pl.DataFrame:
        """table, month, rows: rows of ours in each month of tables that are kept by month, counted by the server.

        Months before `since` are not counted: their rows are those that the journal says were loaded.
        """
        counted: list[tuple[str, str, int]] = []
        with connect(self.url) as connection:
            self.held(connection)
            for name in self._of_mine(names):
                for month, entry in sorted(journal.entries(connection, name).items()):
                    known = since is not None and month < since
                    rows = entry.rows if known else number(connection, self._count_month(name, month, entry))
                    counted.append((name, month, rows))
        return pl.DataFrame(counted, schema={"table": pl.String, "month": pl.String, "rows": pl.Int64}, orient="row")

    @abstractmethod
    def show_ours(self, connection: Connection) -> None:
        """Make this connection see our rows only, under the tables' own names. Left-out tables are empty there."""

    @abstractmethod
    def part(self, connection: Connection, lake: Lake, name: str, month: str | None) -> Part:
        """Where one table or month of ours is, and the rows that it must have.

        Args:
            connection: The database.
            lake: The lake that it was loaded from.
            name: One of `tables`.
            month: A month that is loaded; None for a table that is kept whole.
        """

    # What each kind of target does in its own way.

    @abstractmethod
    def _require_rights(self, connection: Connection, *, is_there: bool, history: bool) -> None:
        """Raise DatabaseError when our role lacks a right, or something has the name of what we would make.

        Args:
            connection: The database.
            is_there: Whether the database holds a farm of ours.
            history: Whether rows are written into history tables.
        """

    @abstractmethod
    def _require_tables_fit(self, connection: Connection) -> None:
        """Raise DatabaseError when our rows do not fit into the tables that are there."""

    @abstractmethod
    def _make_tables(self, connection: Connection) -> None:
        """Make the tables in a database without a farm, if they are ours to make."""

    @abstractmethod
    def _complete_tables(self, connection: Connection) -> None:
        """Add comments and indexes that the tables lack, if they are ours, in transactions that end at once."""

    @abstractmethod
    def _load_whole(self, connection: Connection, lake: Lake, run: str, *, history: bool) -> list[Loaded]:
        """Load all tables that are kept whole, in the connection's transaction."""

    @abstractmethod
    def _try_months(self, connection: Connection, lake: Lake) -> None:
        """Refuse to commit whole tables when the tables that are kept by month would change or refuse our rows."""

    @abstractmethod
    def _loading_table(
        self, pool: ConnectionPool, lake: Lake, definition: TableDefinition, files: Sequence[MonthFile], run: str
    ) -> contextlib.AbstractContextManager[LoadMonth]:
        """Prepare a table for a load of months, and put it in order when the block ends."""

    @abstractmethod
    def _drop_month(self, connection: Connection, name: str, month: str) -> None:
        """Take out a month of a table that is loaded, with its entry in the journal."""

    @abstractmethod
    def _count_rows(self, connection: Connection, name: str) -> sql.Composed:
        """The query that counts our rows of a table."""

    @abstractmethod
    def _count_month(self, name: str, month: str, entry: journal.Entry) -> sql.Composed:
        """The query that counts our rows of a month."""

    @abstractmethod
    def _planned_wipe(self, connection: Connection) -> dict[str, tuple[int, int]]:
        """What a wipe would take out and keep, by queries alone."""

    @abstractmethod
    def _in_the_way(self, connection: Connection) -> list[str]:
        """Objects of others that depend on tables that a wipe drops."""

    @abstractmethod
    def _wipe(self, pool: ConnectionPool) -> dict[str, tuple[int, int]]:
        """Take out a farm that is there."""

    def _of_mine(self, names: Iterable[str]) -> Iterator[str]:
        return (name for name in names if name not in self.left_out)


def number(connection: Connection, query: sql.Composed) -> int:
    """The answer to a query that counts."""
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


__all__ = ["LoadMonth", "MonthFile", "Part", "Target", "number"]
