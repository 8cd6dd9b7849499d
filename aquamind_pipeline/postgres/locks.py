"""Locks of tables: taken in short attempts, for a bounded time, and with the name of whoever is in the way.

A session that waits for a lock lets nobody pass who comes later. So an attempt is short, and between two attempts the
sessions of others go on. An attempt is also shorter than PostgreSQL's `deadlock_timeout` (1 s): where others and we
wait for each other, we give way before PostgreSQL ends somebody's transaction.
"""

from __future__ import annotations

import logging
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
TELL_SECONDS = 3.0
"""A wait that is longer is logged, with who is in the way."""
TELL_AGAIN_SECONDS = 15.0
DEADLOCK, _TIMEOUT = "40P01", "55P03"
BLOCKED = (DEADLOCK, _TIMEOUT)
"""SQLSTATEs of statements that another transaction was in the way of."""
REMEDY = "wait until it ends, or end it (SELECT pg_terminate_backend(PROCESS)), then run again"
_AUTOVACUUM_SECONDS = 1.0
"""Autovacuum gives way to whoever has waited `deadlock_timeout` for it. So an attempt against it takes longer."""

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


class _HeldError(Exception):
    """An attempt got a table's lock too late."""

    def __init__(self, tables: Sequence[sql.Identifier], mode: str) -> None:
        self.tables, self.mode = tables, mode


class Attempt:
    """One attempt to lock what a piece of work needs. It is over when its seconds are over."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection, self._ends = connection, time.monotonic() + seconds
        self._seconds = seconds

    def lock(self, tables: Sequence[sql.Identifier], mode: str) -> None:
        """Lock these tables, in this order. Partitions are locked only if they are named, too.

        Raises:
            _HeldError: when somebody holds one of them for too long. `in_attempts` tries again.
        """
        for table in tables:
            left = int(1000 * (self._ends - time.monotonic()))
            if left < 1:
                raise _HeldError(tables, mode)
            self._connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(left))
            try:
                self._connection.execute(sql.SQL("LOCK TABLE ONLY {} IN {} MODE").format(table, sql.SQL(mode)))
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                raise _HeldError(tables, mode) from None

    def begin_anew(self) -> None:
        """Give the locks that follow the whole time of an attempt, after other work."""
        self._ends = time.monotonic() + self._seconds

    def require(self, is_free: bool, tables: Sequence[sql.Identifier], mode: str) -> None:
        """Give up this attempt unless something is free.

        Raises:
            _HeldError: when it is not.
        """
        if not is_free:
            raise _HeldError(tables, mode)


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


def in_attempts(connection: Connection, work: Callable[[Attempt], Result]) -> Result:
    """Do work that needs locks. An attempt that does not get them is undone, and the work begins again.

    Args:
        connection: A connection. It begins a transaction unless it is in one.
        work: Takes locks by `Attempt.lock` and works with them. It may run several times.

    Raises:
        DatabaseLockedError: when somebody was in the way for `WAIT_SECONDS`. The message names who.
    """
    began, told, seconds = time.monotonic(), 0.0, ATTEMPT_SECONDS
    timeout = connection.execute("SELECT current_setting('lock_timeout'), 1").fetchone()  # in a transaction from here
    assert timeout is not None
    while True:
        try:
            with connection.transaction():  # a savepoint
                done = work(Attempt(connection, seconds))
                connection.execute("SELECT set_config('lock_timeout', %s, true)", (timeout[0],))
                return done
        except _HeldError as held:
            tables, mode = held.tables, held.mode
        except psycopg.errors.DeadlockDetected:
            tables, mode = (), "ACCESS EXCLUSIVE"
        waited = time.monotonic() - began
        there = holders(connection, tables, mode)
        names = ", ".join(table.as_string().replace('"', "") for table in tables[:3])
        names += f" and {len(tables) - 3} more" if len(tables) > 3 else ""
        if waited >= _patience.get():
            raise DatabaseLockedError(
                f"{_where(connection)}: {names} cannot be locked, waited {waited:.0f} s for {_listed(there)}: {REMEDY}"
            )
        if waited >= TELL_SECONDS and (not told or waited - told >= TELL_AGAIN_SECONDS):
            told = waited
            _logger.warning(
                "waiting for a lock on %s for %.0f s (at most %.0f s) because of %s",
                names,
                waited,
                _patience.get(),
                _listed(there),
            )
        seconds = ATTEMPT_SECONDS
        if there and all(one.is_autovacuum for one in there):
            seconds = _deadlock_seconds(connection) + _AUTOVACUUM_SECONDS
        # On the server, since a cancelled statement ends this wait as well.
        connection.execute("SELECT pg_sleep(%s)", (PAUSE_SECONDS,))


def holders(connection: Connection, tables: Sequence[sql.Identifier], mode: str) -> list[Holder]:
    """Other sessions that have, or wait for, a lock of these tables that conflicts with a mode."""
    return _held(connection, _HOLDERS, {"tables": [t.as_string() for t in tables], "modes": _conflicting(mode)})


def writers(connection: Connection, tables: Sequence[sql.Identifier]) -> list[Holder]:
    """Other sessions with a transaction that has written rows of these tables, or is about to."""
    return holders(connection, tables, "SHARE")


def is_waited_for(connection: Connection) -> bool:
    """Whether another session waits for a lock that this session has."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_locks w JOIN pg_locks m ON m.relation = w.relation AND m.database = w.database "
        "WHERE NOT w.granted AND m.granted AND m.pid = pg_backend_pid() AND w.pid <> m.pid)"
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
    "explained",
    "holders",
    "in_attempts",
    "is_waited_for",
    "lock_tables",
    "patience",
    "tell",
    "waits",
    "writers",
]
