"""Connections, and psycopg's errors in the user's words. No message ever holds a password."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
from collections.abc import Iterator

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from pydantic import SecretStr

from aquamind_pipeline.errors import DatabaseAwayError, DatabaseError, DatabaseLockedError
from aquamind_pipeline.postgres import locks, logins, session
from aquamind_pipeline.postgres.urls import (
    APPLICATION,
    CONNECT_SECONDS,
    EmbeddedUrl,
    GivenUrl,
    described,
    environment_for,
    explicit,
    is_local,
    options_of,
    without_secrets,
)

Connection = psycopg.Connection[TupleRow]

URL_VARIABLE = "AQUAMIND_DATABASE_URL"
_CANCEL_SECONDS = 5
_DISK_FULL = "53100"
_HEALS = ("08", "40", "53300", "55P03", "57P01", "57P02", "57P03")
"""SQLSTATEs of errors after which another try may succeed: connection lost, conflict with another transaction, server
full, table locked, server going down or coming up."""
_PROTOCOL_VIOLATION = "08P01"
"""PgBouncer's SQLSTATE for whatever it refuses."""
_NETWORK = tuple(
    os.strerror(number)
    for number in (
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ENOENT,  # of a socket: the server makes it when it starts
        errno.EPIPE,
        errno.ETIMEDOUT,
    )
)
_AWAY = re.compile(
    "|".join(
        [
            *map(re.escape, _NETWORK),
            re.escape(f"[Errno {socket.EAI_AGAIN}]"),  # the name server does not answer
            "timeout expired",
            "server closed the connection",
            "no more connections",  # these two come from PgBouncer, in this language only
            "cannot connect to server",
        ]
    )
)
"""Words of libpq, psycopg and PgBouncer after which another try to connect may succeed. Servers say it by SQLSTATE."""
_HINT = re.compile(r"Is the server running (on that host|locally)|This probably means|before or while processing")
_UNCONVERTIBLE = "MULE_INTERNAL"
"""The only encoding of a server that has no conversion to UTF8. It refuses the connection."""
_EVERY_ATTEMPT = "Multiple connection attempts failed. All failures were:"
_ATTEMPT = re.compile(r"^(- host: .*?: )?connection (failed|is bad): ")


@contextlib.contextmanager
def connect(url: SecretStr) -> Iterator[Connection]:
    """A connection with our own settings (`session`) that commits when its block ends well.

    Raises:
        DatabaseAwayError: when the server cannot be reached, or the connection breaks.
        DatabaseError: when the server refuses us, a pooler keeps no sessions, or psycopg raises something else inside.
    """
    with (
        _as_database_errors(url),
        contextlib.closing(_opened(url)) as connection,
        session.begun(connection, described(url), lambda: _opened(url)),
    ):
        try:
            with _cancelling(connection):
                yield connection
        except BaseException:
            with contextlib.suppress(psycopg.Error):  # the connection may be the reason
                connection.rollback()
            raise
        connection.commit()


def require_reachable(url: SecretStr, variable: str) -> None:
    """Refuse a database that cannot be reached, for a program that needs no session of its own.

    Args:
        url: The database.
        variable: The environment variable that has the URL, for the message.

    Raises:
        DatabaseError: when it cannot be reached, or refuses us.
    """
    with _as_database_errors(url, variable), contextlib.closing(_opened(url)):
        pass


@contextlib.contextmanager
def _cancelling(connection: Connection) -> Iterator[None]:
    """Cancel the statement that runs when the block is interrupted: the server would go on, and wait for locks."""
    try:
        yield
    except Exception:
        raise
    except BaseException:  # psycopg cancels after Ctrl-C, but does not know how Dagster interrupts a step
        if connection.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
            with contextlib.suppress(psycopg.Error):
                connection.cancel_safe(timeout=_CANCEL_SECONDS)
            connection.close()
        raise


class _RefusedError(psycopg.OperationalError):
    """The connection was refused, and would be refused at another try, too."""


def _opened(url: SecretStr) -> Connection:
    given = explicit(url)
    # PGAPPNAME and PGCONNECT_TIMEOUT keep their meaning for the user's own URL.
    defaults = {"fallback_application_name": APPLICATION}
    if "PGCONNECT_TIMEOUT" not in os.environ:
        defaults["connect_timeout"] = str(CONNECT_SECONDS)
    parameters = defaults | given | {"client_encoding": "UTF8"}
    where = described(url)
    with environment_for(url):
        for options in logins.options(where, options_of(url)):
            conninfo = make_conninfo(**(parameters | {"options": options}))
            try:
                # A first statement outside of a transaction leaves nothing behind at a pooler.
                return psycopg.connect(conninfo, autocommit=True)
            except psycopg.OperationalError as error:
                if _UNCONVERTIBLE in str(error):
                    raise DatabaseError(
                        f"{where} has the encoding {_UNCONVERTIBLE}, which PostgreSQL does not convert to UTF8: "
                        f"{session.ANOTHER_ENCODING}"
                    ) from None
                if _AWAY.search(str(error)):
                    raise
                sqlstate = logins.sqlstate(conninfo)
                if logins.refuses_options(where, sqlstate):
                    continue
                if sqlstate is not None and sqlstate.startswith(_HEALS) and sqlstate != _PROTOCOL_VIOLATION:
                    raise
                raise _RefusedError(str(error)) from None
    raise AssertionError


def _heals(error: psycopg.Error) -> bool:
    if error.sqlstate is not None:
        return error.sqlstate.startswith(_HEALS)
    return isinstance(error, psycopg.OperationalError) and not isinstance(error, _RefusedError)


@contextlib.contextmanager
def _as_database_errors(url: SecretStr, variable: str = URL_VARIABLE) -> Iterator[None]:
    """Turn psycopg's errors into DatabaseError, one line each."""
    if isinstance(url, GivenUrl):
        variable = url.given_by
    try:
        yield
    except psycopg.Error as error:
        ours = isinstance(url, EmbeddedUrl)
        where = f"the embedded PostgreSQL ({described(url)})" if ours else described(url)
        if error.sqlstate == _DISK_FULL:
            raise DatabaseError(f"{where}: no space left on the server's disk; free some and run again") from None
        if error.sqlstate in locks.BLOCKED:
            raise _blocked(error, url) from None
        text = without_secrets(_reason(error), url)
        kind = DatabaseAwayError if _heals(error) else DatabaseError
        if isinstance(error, psycopg.OperationalError):
            advice = f"its log is {url.log}" if isinstance(url, EmbeddedUrl) else f"check {variable} and the server"
            raise kind(f"{where} cannot be used: {text}; {advice}") from None
        raise kind(f"{where}: {text}") from error


def _reason(error: psycopg.Error) -> str:
    """All that an error says, in one line: of several hosts all of them, without libpq's guesses at the cause."""
    lines = (error.diag.message_primary or str(error)).strip().splitlines()
    if _EVERY_ATTEMPT in lines:
        lines = lines[lines.index(_EVERY_ATTEMPT) + 1 :]
    said = (_ATTEMPT.sub("", line.strip()) for line in lines if not _HINT.search(line))
    return "; ".join(dict.fromkeys(filter(None, said))) or type(error).__name__


def _blocked(error: psycopg.Error, url: SecretStr) -> DatabaseAwayError:
    """The error of a statement that waited too long for a lock, or that PostgreSQL ended to solve a deadlock."""
    try:
        with contextlib.closing(_opened(url)) as other:
            by = locks.explained(other, error)
    except psycopg.Error:
        by = "another transaction"
    if error.sqlstate == locks.DEADLOCK:
        return DatabaseAwayError(f"{described(url)}: deadlock with {by}: run again")
    return DatabaseLockedError(f"{described(url)}: a statement waited too long for {by}: {locks.REMEDY}")


__all__ = [
    "URL_VARIABLE",
    "Connection",
    "connect",
    "described",
    "is_local",
    "require_reachable",
]
