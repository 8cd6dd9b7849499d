"""Sessions of our own: their settings, whether a pooler keeps them, and whether the server can hold our text.

A role, a database or the environment may have settings that would end a load or change it. Each session therefore sets
its own, in one statement right after connecting. It does so by SQL, since poolers refuse libpq's `options`. Time limits
are lifted at the login as well (`logins`), since one of a few milliseconds ends a session before its first statement.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

from aquamind_pipeline.errors import DatabaseError

Connection = psycopg.Connection[TupleRow]

LOCK_TIMEOUT_SECONDS = 60
"""How long a statement waits for a lock, unless its transaction sets another time."""
ANSWER_SECONDS = 30
"""How long to wait for the first answer of a session. A pooler without a free connection gives none."""
LOAD_CONNECTIONS = 6
"""The most connections that a load has open at the same time: one holds the lock and two load; two more put indexes
back while the broken ones of a failed load are still open; and one asks who is in the way."""
_LINUX_ONLY = "client_connection_check_interval"
"""A setting that servers on other systems refuse to change, Windows among them."""
_SETTINGS = {
    # Our names are always qualified. AquaMind's triggers may name tables of public alone.
    "search_path": "pg_catalog, public, pg_temp",
    # How values are written and read.
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "3",  # floats are exact to the last bit
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "quote_all_identifiers": "off",
    _LINUX_ONLY: "2s",  # the statement and the locks of a killed process end soon after it
    # A load takes as long as it takes. Only its waits for locks are bounded.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
    # Which rows we see. A read-only role stays read-only: that is a wish of its owner.
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "row_security": "off",  # a policy raises an error and never hides rows silently
    "restrict_nonsystem_relation_kind": "",  # the report reads temporary views
    "gin_fuzzy_search_limit": "0",
    "synchronize_seqscans": "off",
    # What is made, and how.
    "default_table_access_method": "heap",
    "exit_on_error": "off",
    "client_min_messages": "warning",
    # What would only cost time.
    "jit": "off",
    "debug_parallel_query": "off",
    "vacuum_cost_delay": "0",  # ANALYZE sleeps by it
}
"""Our settings. A server that does not know one of them goes without it.

Left as they are: `default_transaction_read_only`, `session_replication_role` and `role`, since these say what the role
may do; tablespaces, TOAST compression and `synchronous_commit`, since these are for the owner of the server to decide;
memory and the planner's costs.
"""
_TIME_LIMITS = (
    psycopg.errors.QueryCanceled,
    psycopg.errors.IdleSessionTimeout,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
)
_TEMPORARY = "SET search_path = pg_catalog, pg_temp"
_ROUNDS = 5
_pooled: set[str] = set()
"""Addresses of poolers that were found to keep sessions, by this process."""


@contextlib.contextmanager
def begun(connection: Connection, where: str, open_another: Callable[[], Connection]) -> Iterator[None]:
    """Make a new connection a session of ours for the block.

    Args:
        connection: The connection, in autocommit. In the block it has transactions.
        where: The database in words, for messages.
        open_another: Opens another connection to the same database. It is called behind a pooler only.

    Raises:
        DatabaseError: when a pooler gives each transaction or statement another server process, or has none free.
    """
    prepare_threshold, connection.prepare_threshold = connection.prepare_threshold, None
    is_direct = _settle(connection, where)
    if is_direct:
        connection.prepare_threshold = prepare_threshold
    else:
        _require_session_pooling(connection, where, open_another)
        _settle(connection, where, pooled=True)
    connection.autocommit = False
    try:
        yield
    finally:
        if not is_direct:
            _leave_nothing(connection)


def hide_public(connection: Connection) -> None:
    """Let a session find temporary tables and views by their plain names, and no tables of the schema public."""
    connection.execute(_TEMPORARY)


ANOTHER_ENCODING = "make a database with ENCODING 'UTF8' TEMPLATE template0, and use that"


def require_encoding(connection: Connection, text: str) -> None:
    """Refuse a database whose encoding cannot hold a text.

    Args:
        connection: The database.
        text: All characters that are going to be written; more than once does not matter.

    Raises:
        DatabaseError: when a character would be refused, or come back as another one.
    """
    encoding = connection.info.parameter_status("server_encoding")
    beyond = sorted({character for character in text if not character.isascii()})
    if encoding == "UTF8" or not beyond:
        return
    # SQL_ASCII stores bytes and knows no characters.
    lost = [one for one in beyond if encoding == "SQL_ASCII" or not _comes_back(connection, one)]
    if lost:
        raise DatabaseError(
            f"database {connection.info.dbname!r} has the encoding {encoding}, which cannot hold {' '.join(lost)}: "
            f"{ANOTHER_ENCODING}"
        )


def _comes_back(connection: Connection, character: str) -> bool:
    try:
        with connection.transaction():
            row = connection.execute("SELECT %s::text", (character,)).fetchone()
    except (psycopg.errors.UntranslatableCharacter, psycopg.errors.CharacterNotInRepertoire):
        return False
    return row == (character,)


def _settle(connection: Connection, where: str, *, pooled: bool = False) -> bool:
    """Set our settings. Without `pooled`, only on a direct connection. Returns whether the connection is direct.

    One statement asks and sets. Behind a pooler, the process that answers has another number than the one that the
    login named, and nothing is set: the next transaction may be another client's.
    """
    named = connection.info.backend_pid
    values = sql.SQL(", ").join(sql.SQL("({}, {})").format(name, value) for name, value in _SETTINGS.items())
    # Operators, too, could be found in another schema.
    statement = sql.SQL(
        "SELECT pg_catalog.pg_backend_pid(), (SELECT pg_catalog.count(pg_catalog.set_config(s.name, v.value, false)) "
        "FROM (VALUES {values}) AS v (name, value), pg_catalog.pg_settings s "
        "WHERE s.name OPERATOR(pg_catalog.=) v.name AND s.context OPERATOR(pg_catalog.=) 'user' "
        "AND (s.name OPERATOR(pg_catalog.<>) {linux_only} OR pg_catalog.version() OPERATOR(pg_catalog.~) 'linux') "
        "AND ({pooled} OR pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) {named}))"
    ).format(values=values, pooled=pooled, named=named, linux_only=_LINUX_ONLY)
    return _first_value(connection, statement, where) == named


def _require_session_pooling(connection: Connection, where: str, open_another: Callable[[], Connection]) -> None:
    """Refuse a pooler that keeps no sessions.

    Two connections are open. If it keeps sessions, each has one server process for itself.
    """
    if connection.info.dsn in _pooled:
        return
    query = sql.SQL("SELECT pg_catalog.pg_backend_pid()")
    with contextlib.closing(open_another()) as another:
        another.prepare_threshold = None
        processes: tuple[set[object], set[object]] = (set(), set())
        for _ in range(_ROUNDS):
            for seen, one in zip(processes, (connection, another), strict=True):
                seen.add(_first_value(one, query, where))
    if processes[0] & processes[1] or any(len(seen) > 1 for seen in processes):
        raise DatabaseError(
            f"{where} is reached through a pooler in transaction or statement mode: "
            "a direct connection or session pooling is needed"
        )
    _pooled.add(connection.info.dsn)


def _first_value(connection: Connection, query: sql.SQL | sql.Composed, where: str) -> object:
    """The first value of an answer.

    Raises:
        DatabaseError: when no answer comes.
    """
    timed_out = threading.Event()

    def hang_up() -> None:
        timed_out.set()
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(ANSWER_SECONDS, hang_up)
    timer.daemon = True
    timer.start()
    try:
        row = connection.execute(query).fetchone()
    except _TIME_LIMITS as error:  # a pooler has sessions that no option of ours reaches
        raise DatabaseError(
            f"{where}: {error.diag.message_primary}, before our session could lift this limit: raise it for the role "
            "or the database (ALTER ROLE … SET …)"
        ) from None
    except psycopg.OperationalError:
        if not timed_out.is_set():
            raise
        raise DatabaseError(
            f"{where} gave no answer within {ANSWER_SECONDS} s: if there is a pooler, its pool is too small or in use "
            f"(a load takes up to {LOAD_CONNECTIONS} connections)"
        ) from None
    finally:
        timer.cancel()
    assert row is not None
    return row[0]


def _leave_nothing(connection: Connection) -> None:
    """Undo our settings behind a pooler. It may give the server process to another client as it is."""
    if not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE:
        with contextlib.suppress(psycopg.Error):
            connection.autocommit = True
            connection.execute("DISCARD ALL")


__all__ = [
    "ANOTHER_ENCODING",
    "ANSWER_SECONDS",
    "LOAD_CONNECTIONS",
    "LOCK_TIMEOUT_SECONDS",
    "begun",
    "hide_public",
    "require_encoding",
]
