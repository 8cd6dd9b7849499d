"""Locks of tables: taken in short attempts, for a bounded time, and with the name of whoever is in the way.

A session that waits for a lock lets nobody pass who comes later. So an attempt is short, and between two attempts the
sessions of others go on. An attempt is also shorter than PostgreSQL's `deadlock_timeout` (1 s): where others and we
wait for each other, we give way before PostgreSQL ends somebody's transaction.

The same holds for rows. Foreign keys lock the rows that ours refer to, and somebody may have locked such a row. While
we hold the lock of a table we do not wait for this row: the attempt is undone, its locks with it, and begins again when
the row is free.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import psycopg
from psycopg import sql

from aquamind_pipeline.errors import DatabaseLockedError

if TYPE_CHECKING:
    from aquamind_pipeline.postgres.connection import Connection

WAIT_SECONDS = 60.0
"""The longest wait for locks. The session's `lock_timeout` bounds the waits for single rows."""
ATTEMPT_SECONDS = 0.8
"""The longest time that one attempt waits, and that readers wait behind it."""
PAUSE_SECONDS = 1.0
"""Between two attempts."""
ROW_SECONDS = 0.2
"""The longest wait for anything else while an attempt holds its locks, such as for a row that a trigger updates."""
TELL_SECONDS = 3.0
"""A wait that is longer is logged, with who is in the way."""
TELL_AGAIN_SECONDS = 15.0
DEADLOCK, _TIMEOUT = "40P01", "55P03"
BLOCKED = (DEADLOCK, _TIMEOUT)
"""SQLSTATEs of statements that another transaction was in the way of."""
REMEDY = "wait until it ends, or end it (SELECT pg_terminate_backend(PROCESS)), then run again"
_DEADLOCK_SHARE = 0.8
"""An attempt lasts at most this part of the server's `deadlock_timeout`."""
_AUTOVACUUM_SECONDS = 1.0
"""Autovacuum gives way to whoever has waited `deadlock_timeout` for it. So an attempt against it takes longer."""

_SHORTEST_SECONDS = 0.001
_SHARE = sql.SQL("SELECT FROM ONLY {} WHERE ctid = ANY(%s::tid[]) FOR KEY SHARE")
_SHARE_AT_ONCE = sql.SQL("SELECT FROM ONLY {} WHERE ctid = ANY(%s::tid[]) FOR KEY SHARE NOWAIT")
# Both are found in what PostgreSQL says about a row that it waits for, in whatever language.
_FOREIGN_KEY = re.compile(r'FROM ONLY "((?:[^"]|"")+)"\."((?:[^"]|"")+)" x WHERE')
_PLACE = re.compile(r"\(\d+,\d+\)")

_RAISE = "exec_stmt_raise"
"""Where PL/pgSQL raises an error by RAISE."""

_MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
_WEAKEST_CONFLICT = {
    "ACCESS SHARE": "ACCESS EXCLUSIVE",
    "ROW SHARE": "EXCLUSIVE",
    "ROW EXCLUSIVE": "SHARE",
    "SHARE UPDATE EXCLUSIVE": "SHARE UPDATE EXCLUSIVE",
    "SHARE": "ROW EXCLUSIVE",  # and not SHARE itself
    "SHARE ROW EXCLUSIVE": "ROW EXCLUSIVE",
    "EXCLUSIVE": "ROW SHARE",
    "ACCESS EXCLUSIVE": "ACCESS SHARE",
}
"""A mode conflicts with this mode and all stronger ones."""

_patience: ContextVar[float] = ContextVar("patience", default=WAIT_SECONDS)
_logger = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Holder:
    """A session, or a prepared transaction, that is in the way."""

    text: str
    is_autovacuum: bool = False


@dataclass(frozen=True)
class _Rows:
    """Rows that foreign keys of ours need and that somebody has locked: their table and their places there."""

    table: sql.Identifier
    places: list[str]


class _HeldError(Exception):
    """An attempt got a table's lock too late."""

    def __init__(self, tables: Sequence[sql.Identifier], mode: str) -> None:
        self.tables, self.mode = tables, mode


class _RowsHeldError(Exception):
    """An attempt could not lock the rows that were in the way of the one before."""


class Attempt:
    """One attempt to lock what a piece of work needs. It is over when its seconds are over."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self.connection, self._seconds, self._hurries = connection, seconds, False
        self._ends = time.monotonic() + seconds
        self._wait_at_most(ROW_SECONDS)

    def lock(self, tables: Sequence[sql.Identifier], mode: str) -> None:
        """Lock these tables, in this order. Partitions are locked only if they are named, too.

        Raises:
            _HeldError: when somebody holds one of them for too long. `in_attempts` tries again.
        """
        for table in tables:
            left = self._ends - time.monotonic()
            if left < _SHORTEST_SECONDS and not self._hurries:
                raise _HeldError(tables, mode)
            self._wait_at_most(left)
            try:
                self.connection.execute(sql.SQL("LOCK TABLE ONLY {} IN {} MODE").format(table, sql.SQL(mode)))
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                raise _HeldError(tables, mode) from None
        self._wait_at_most(ROW_SECONDS)

    def share(self, rows: _Rows) -> None:
        """Lock rows as foreign keys do, so that nobody takes them away from this attempt again.

        Raises:
            _RowsHeldError: when somebody has locked one of them again.
        """
        self._wait_at_most(self._ends - time.monotonic())
        try:
            self.connection.execute(_SHARE.format(rows.table), (rows.places,))
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            raise _RowsHeldError from None

    def check_constraints(self) -> None:
        """Check now what PostgreSQL checks at the commit, foreign keys above all."""
        self.begin_anew()
        self._wait_at_most(self._ends - time.monotonic())
        self.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        self._wait_at_most(ROW_SECONDS)

    def begin_anew(self) -> None:
        """Give the locks that follow the whole time of an attempt, after other work.

        If somebody waits for us already, we wait for nothing: PostgreSQL might find a deadlock before our time is over.
        """
        self._hurries = is_waited_for(self.connection)
        self._ends = time.monotonic() + (0 if self._hurries else self._seconds)

    def require(self, is_free: bool, tables: Sequence[sql.Identifier], mode: str) -> None:
        """Give up this attempt unless something is free.

        Raises:
            _HeldError: when it is not.
        """
        if not is_free:
            raise _HeldError(tables, mode)

    def _wait_at_most(self, seconds: float) -> None:
        milliseconds = int(1000 * max(seconds, _SHORTEST_SECONDS))
        self.connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(milliseconds))


_attempt: ContextVar[Attempt | None] = ContextVar("attempt", default=None)
"""The attempt in which this thread works."""


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Wait at most so long for locks in the block."""
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)


def lock_tables(connection: Connection, tables: Sequence[sql.Identifier], mode: str) -> None:
    """Lock tables until the transaction ends. What was done in the transaction before is kept whatever happens.

    Args:
        connection: A connection. It begins a transaction unless it is in one.
        tables: The tables, in the order that all our sessions use. Partitions are locked only if they are named, too.
        mode: A lock mode, such as `SHARE ROW EXCLUSIVE`.

    Raises:
        DatabaseLockedError: when somebody was in the way for `WAIT_SECONDS`. The message names who.
    """
    in_attempts(connection, lambda attempt: attempt.lock(tables, mode))


def try_lock(connection: Connection, tables: Sequence[sql.Identifier], mode: str) -> bool:
    """Lock tables in a single attempt, in a transaction. Returns whether that was possible."""
    before = connection.execute("SELECT current_setting('lock_timeout')").fetchone()
    assert before is not None
    try:
        with connection.transaction():  # a savepoint
            attempt = _attempt_of(connection) or Attempt(connection, ATTEMPT_SECONDS)
            attempt.begin_anew()
            attempt.lock(tables, mode)
            connection.execute("SELECT set_config('lock_timeout', %s, true)", before)
    except _HeldError:
        return False
    return True


def check_constraints(connection: Connection) -> None:
    """Check foreign keys and deferred triggers before the commit would, in short attempts.

    PostgreSQL waits for a row that somebody has locked and that ours refer to. The commit has no bound for that, and it
    cannot be undone in part.

    Raises:
        DatabaseLockedError: when somebody was in the way for `WAIT_SECONDS`. The message names who.
    """
    in_attempts(connection, lambda attempt: attempt.check_constraints())


def in_attempts(connection: Connection, work: Callable[[Attempt], Result]) -> Result:
    """Do work that needs locks. An attempt that does not get them is undone, and the work begins again.

    This also holds for any statement of the work that waits for others for longer than `ROW_SECONDS`. In an attempt,
    further work of the same connection belongs to that attempt: it never waits between attempts of its own while we
    hold locks.

    Args:
        connection: A connection. It begins a transaction unless it is in one.
        work: Takes locks by `Attempt.lock` and works with them. It may run several times.

    Raises:
        DatabaseLockedError: when somebody was in the way for `WAIT_SECONDS`. The message names who.
    """
    if outer := _attempt_of(connection):
        outer.begin_anew()
        return work(outer)
    timeout = connection.execute("SELECT current_setting('lock_timeout'), 1").fetchone()  # in a transaction from here
    assert timeout is not None
    usual = min(ATTEMPT_SECONDS, _DEADLOCK_SHARE * _deadlock_seconds(connection))
    wait, seconds = _Wait(connection), usual
    while True:
        try:
            with connection.transaction():  # a savepoint
                attempt = Attempt(connection, seconds)
                token = _attempt.set(attempt)
                try:
                    if wait.rows:
                        attempt.share(wait.rows)
                    done = work(attempt)
                finally:
                    _attempt.reset(token)
                connection.execute("SELECT set_config('lock_timeout', %s, true)", (timeout[0],))
                return done
        except _HeldError as held:
            wait.met(held.tables, held.mode)
        except _RowsHeldError:
            pass
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            if error.diag.source_function == _RAISE:  # a trigger has chosen this SQLSTATE
                raise
            wait.met_by(error)
        is_autovacuum = wait.until_free()
        seconds = _deadlock_seconds(connection) + _AUTOVACUUM_SECONDS if is_autovacuum else usual


class _Wait:
    """The wait between attempts, while we hold nothing that an attempt has locked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._began, self._told = 0.0, 0.0
        self._tables: Sequence[sql.Identifier] = ()
        self._mode, self._context = "", ""
        self.rows: _Rows | None = None

    def met(self, tables: Sequence[sql.Identifier], mode: str) -> None:
        """Note which tables could not be locked."""
        self._begin()
        self._tables, self._mode, self.rows = tables, mode, None

    def met_by(self, error: psycopg.Error) -> None:
        """Note what another statement waited for, as far as PostgreSQL says it."""
        self._begin()
        self._context = f"{error.diag.context or ''} {error.diag.message_detail or ''}"
        key, place = _FOREIGN_KEY.search(self._context), _PLACE.search(self._context)
        names = [name.replace('""', '"') for name in key.groups()] if key else []
        self._tables, self._mode = [sql.Identifier(*names)] if names else [], ""
        # PostgreSQL says the place to the first who waits for a row. The others wait in a queue, which is shown.
        places = (
            [place[0]] if place else [place for table in self._tables for place in _queues(self._connection, table)]
        )
        self.rows = _Rows(self._tables[0], places) if names and places else None

    def until_free(self) -> bool:
        """Pause, and go on pausing while a row that foreign keys need is locked. Returns whether only autovacuum is
        in the way.

        Raises:
            DatabaseLockedError: when the wait has lasted too long.
        """
        while True:
            there = self._holders()
            self._tell(there)
            # On the server, since a cancelled statement ends this wait as well.
            self._connection.execute("SELECT pg_sleep(%s)", (PAUSE_SECONDS,))
            if self.rows is None or self._are_free(self.rows):
                return bool(there) and all(one.is_autovacuum for one in there)

    def _begin(self) -> None:
        self._began = self._began or time.monotonic() - ATTEMPT_SECONDS

    def _holders(self) -> list[Holder]:
        if self._mode:
            return holders(self._connection, self._tables, self._mode)
        exact = _held_rows(self._connection, self.rows) if self.rows else []
        return (
            exact
            or _held(self._connection, _WRITING, {"told": self._context})
            or _held(self._connection, _WRITING, {"told": ""})
        )

    def _are_free(self, rows: _Rows) -> bool:
        try:
            with self._connection.transaction(force_rollback=True):
                self._connection.execute(_SHARE_AT_ONCE.format(rows.table), (rows.places,))
        except psycopg.errors.LockNotAvailable:
            return False
        except psycopg.errors.InsufficientPrivilege:
            self.rows = None  # foreign keys have the rights of the table's owner
        return True

    def _tell(self, there: Sequence[Holder]) -> None:
        waited = time.monotonic() - self._began
        names = ", ".join(table.as_string().replace('"', "") for table in self._tables[:3])
        names += f" and {len(self._tables) - 3} more" if len(self._tables) > 3 else ""
        if not self._mode:
            names = f"a row of {names}" if names else "a row or table"
        if waited >= _patience.get():
            raise DatabaseLockedError(
                f"{_where(self._connection)}: {names} cannot be locked, waited {waited:.0f} s for {_listed(there)}: "
                f"{REMEDY}"
            )
        if waited >= TELL_SECONDS and (not self._told or waited - self._told >= TELL_AGAIN_SECONDS):
            self._told = waited
            _logger.warning(
                "waiting for a lock on %s for %.0f s (at most %.0f s) because of %s",
                names,
                waited,
                _patience.get(),
                _listed(there),
            )


def _attempt_of(connection: Connection) -> Attempt | None:
    """The attempt in which this connection works."""
    attempt = _attempt.get()
    return attempt if attempt is not None and attempt.connection is connection else None


def _queues(connection: Connection, table: sql.Identifier) -> list[str]:
    """The places of rows of a table for which several sessions wait."""
    query = (
        "SELECT DISTINCT format('(%%s,%%s)', l.page, l.tuple) FROM pg_locks l WHERE l.locktype = 'tuple' "
        "AND l.relation = to_regclass(%s) "
        "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return [row[0] for row in connection.execute(query, (table.as_string(),))]


def _held_rows(connection: Connection, rows: _Rows) -> list[Holder]:
    """Who has locked rows, if a single transaction has each and our role may look."""
    try:
        with connection.transaction():
            found = connection.execute(
                sql.SQL("SELECT xmax::text FROM ONLY {} WHERE ctid = ANY(%s::tid[])").format(rows.table), (rows.places,)
            ).fetchall()
            return _held(connection, _TRANSACTION, {"transactions": [row[0] for row in found]})
    except psycopg.errors.InsufficientPrivilege:
        return []


def holders(connection: Connection, tables: Sequence[sql.Identifier], mode: str) -> list[Holder]:
    """Other sessions that have, or wait for, a lock of these tables that conflicts with a mode."""
    return _held(connection, _HOLDERS, {"tables": [t.as_string() for t in tables], "modes": _conflicting(mode)})


def writers(connection: Connection, tables: Sequence[sql.Identifier]) -> list[Holder]:
    """Other sessions with a transaction that has written rows of these tables, or is about to."""
    return holders(connection, tables, "SHARE")


def is_waited_for(connection: Connection) -> bool:
    """Whether another session waits for a lock that this session has."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_locks w WHERE NOT w.granted AND w.pid <> pg_backend_pid() "
        "AND pg_backend_pid() = ANY(pg_blocking_pids(w.pid)))"
    ).fetchone()
    return row is not None and bool(row[0])


def waits(connection: Connection, sessions: Sequence[int]) -> list[Holder]:
    """Those that have blocked one of our sessions for longer than `TELL_SECONDS`, by PostgreSQL's own account."""
    return _held(connection, _BLOCKING, {"sessions": list(sessions), "seconds": TELL_SECONDS})


def tell(there: Sequence[Holder]) -> None:
    """Log that a statement of ours waits."""
    _logger.warning("a statement waits for a lock because of %s", _listed(there))


def explained(connection: Connection, error: psycopg.Error) -> str:
    """Who may have been in the way of a statement that waited too long, or that PostgreSQL ended to solve a deadlock.

    Args:
        connection: Another connection than the one that failed.
        error: What the statement failed with. Its context names the table.
    """
    told = f"{error.diag.context or ''} {error.diag.message_detail or ''}"
    return _listed(_held(connection, _WRITING, {"told": told}) or _held(connection, _WRITING, {"told": ""}))


_DESCRIBED = """
SELECT DISTINCT l.pid, a.usename, a.application_name, host(a.client_addr), a.state, a.backend_type, p.gid, p.owner,
  coalesce(a.xact_start, p.prepared), pg_has_role(a.usesysid, 'USAGE') OR pg_has_role('pg_read_all_stats', 'USAGE')
FROM {source} AS l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
LEFT JOIN LATERAL (SELECT x.gid, x.owner, x.prepared FROM pg_prepared_xacts x JOIN pg_locks o
  ON o.locktype = 'transactionid' AND o.transactionid = x.transaction AND o.pid IS NULL
  WHERE o.virtualtransaction = l.virtualtransaction) AS p ON l.pid IS NULL
WHERE l.pid IS NULL OR a.pid IS NOT NULL
ORDER BY 9, 1
"""
_RELATIONS = """
(SELECT l.pid, l.virtualtransaction FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
   JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE l.locktype = 'relation' AND l.pid IS DISTINCT FROM pg_backend_pid() AND l.mode = ANY({modes})
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND {which})
"""
_HOLDERS = _DESCRIBED.format(
    source=_RELATIONS.format(
        modes="%(modes)s", which="c.oid = ANY(SELECT to_regclass(name) FROM unnest(%(tables)s::text[]) AS name)"
    )
)
_WRITING = _DESCRIBED.format(
    source=_RELATIONS.format(
        modes="'{RowShareLock,RowExclusiveLock,ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,"
        "ExclusiveLock,AccessExclusiveLock}'",
        which="n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema') AND c.relkind IN ('r', 'p') "
        "AND NOT EXISTS (SELECT FROM pg_stat_activity o WHERE o.pid = l.pid AND o.usename = current_user "
        "AND o.application_name = 'aquamind-pipeline') "
        r"AND (%(told)s = '' OR %(told)s ~ concat('\m', c.relname, '\M') OR %(told)s ~ concat('\m', l.pid, '\M'))",
    )
)
_TRANSACTION = _DESCRIBED.format(
    source="(SELECT l.pid, l.virtualtransaction FROM pg_locks l WHERE l.locktype = 'transactionid' AND l.granted "
    "AND l.transactionid::text = ANY(%(transactions)s) AND l.pid IS DISTINCT FROM pg_backend_pid())"
)
_BLOCKING = _DESCRIBED.format(
    source="(SELECT nullif(b.pid, 0) AS pid, p.virtualtransaction FROM pg_stat_activity w, "
    "unnest(pg_blocking_pids(w.pid)) AS b(pid) LEFT JOIN LATERAL (SELECT l.virtualtransaction FROM pg_locks l "
    "WHERE b.pid = 0 AND l.pid IS NULL AND l.locktype = 'transactionid') AS p ON true "
    "WHERE w.pid = ANY(%(sessions)s) AND w.wait_event_type = 'Lock' AND b.pid <> ALL(%(sessions)s) "
    "AND w.query_start < clock_timestamp() - make_interval(secs => %(seconds)s))"
)


def _held(connection: Connection, query: str, parameters: dict[str, object]) -> list[Holder]:
    return [
        Holder(_description(*row), row[5] == "autovacuum worker")
        for row in connection.execute(query.encode(), parameters)
    ]


def _description(
    process: int | None,
    user: str | None,
    application: str | None,
    address: str | None,
    state: str | None,
    kind: str | None,
    prepared: str | None,
    owner: str | None,
    since: object,
    is_visible: bool | None,
) -> str:
    if process is None:
        return f"prepared transaction {prepared!r} (owner {owner}, since {since:%Y-%m-%d %H:%M:%S %Z})"
    facts = [f"user {user}" if user else kind or "a server process"]
    facts += [f"application {application}"] if application else []
    if not is_visible and user:
        facts.append("the rest is hidden from our role, pg_read_all_stats shows it")
    else:
        facts += [f"from {address or 'this machine'}"] if user else []
        facts += [state] if state else []
        facts += [f"transaction open since {since:%Y-%m-%d %H:%M:%S %Z}"] if since else []
    return f"server process {process} ({', '.join(facts)})"


def _listed(there: Sequence[Holder]) -> str:
    return " and ".join(one.text for one in there) or "a transaction that has ended by now"


def _conflicting(mode: str) -> list[str]:
    """The modes that conflict with a mode, as `pg_locks` calls them."""
    weakest = _MODES.index(_WEAKEST_CONFLICT[mode])
    stronger = [one for one in _MODES[weakest:] if (mode, one) != ("SHARE", "SHARE")]
    return ["".join(word.capitalize() for word in one.split()) + "Lock" for one in stronger]


def _deadlock_seconds(connection: Connection) -> float:
    row = connection.execute("SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout'").fetchone()
    return row[0] / 1000 if row else 1.0


def _where(connection: Connection) -> str:
    return f"database {connection.info.dbname!r} on {connection.info.host or 'localhost'}:{connection.info.port}"


__all__ = [
    "ATTEMPT_SECONDS",
    "WAIT_SECONDS",
    "Attempt",
    "Holder",
    "check_constraints",
    "explained",
    "holders",
    "in_attempts",
    "is_waited_for",
    "lock_tables",
    "patience",
    "tell",
    "try_lock",
    "waits",
    "writers",
]
