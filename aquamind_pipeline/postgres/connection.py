"""Connections, and psycopg's errors in the user's words. No message ever holds a password."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from pydantic import SecretStr

from aquamind_pipeline.errors import DatabaseAwayError, DatabaseError, DatabaseLockedError
from aquamind_pipeline.postgres import locks

Connection = psycopg.Connection[TupleRow]

_CONNECT_SECONDS = 10
_CANCEL_SECONDS = 5
_DISK_FULL = "53100"
_HEALS = ("08", "40", "53300", "55P03", "57P01", "57P02", "57P03")
"""SQLSTATEs of errors after which another try may succeed: connection lost, conflict with another transaction, server
full, table locked, server going down or coming up."""


def described(url: SecretStr) -> str:
    """A URL in words, without its password: database, host and port."""
    parts = _parts(url)
    if "service" in parts:
        return f"service {parts['service']!r}"
    return f"database {parts.get('dbname', '?')!r} on {parts.get('host', 'localhost')}:{parts.get('port', 5432)}"


def is_local(url: SecretStr) -> bool:
    """Whether a URL leads to this machine: a socket or a loopback address."""
    host = str(_parts(url).get("host", "" if "service" not in _parts(url) else "service"))
    return host in ("", "localhost", "127.0.0.1", "::1") or host.startswith("/")


def environment(url: str) -> dict[str, str]:
    """Environment variables of libpq for a URL, so that no password stands on a command line."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    return {names[key]: str(value) for key, value in _parts(SecretStr(url)).items() if key in names}


def _parts(url: SecretStr) -> dict[str, Any]:
    text = url.get_secret_value()
    if not text.startswith(("postgresql://", "postgres://")):
        raise DatabaseError("the database URL must look like postgresql://user:password@host:5432/name")
    try:
        return conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        raise DatabaseError(
            "the database URL cannot be read: write postgresql://user:password@host:5432/name, with special "
            "characters in the password as %XX"
        ) from None


@contextlib.contextmanager
def connect(url: SecretStr) -> Iterator[Connection]:
    """A connection in UTC that commits when its block ends well.

    Raises:
        DatabaseAwayError: when the server cannot be reached, or the connection breaks.
        DatabaseError: when the server refuses us, and for whatever else psycopg raises inside.
    """
    parts = _parts(url)
    options: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, "application_name": "aquamind-pipeline"}
    conninfo = make_conninfo(**(options | parts))
    # psycopg leaves a connection open when its commit fails, so it is closed for sure.
    with _as_database_errors(url), contextlib.closing(_opened(conninfo)) as connection, connection:
        connection.execute("SET TIME ZONE 'UTC'")
        connection.commit()
        with _cancelling(connection):
            yield connection


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
    """The server answered and refused us. It would refuse another try, too."""


def _opened(conninfo: str) -> Connection:
    try:
        return psycopg.connect(conninfo)
    except psycopg.OperationalError as error:
        if pq.PGconn.ping(conninfo.encode()) == pq.Ping.OK:
            raise _RefusedError(str(error)) from None
        raise


def _heals(error: psycopg.Error) -> bool:
    if error.sqlstate is not None:
        return error.sqlstate.startswith(_HEALS)
    return isinstance(error, psycopg.OperationalError) and not isinstance(error, _RefusedError)


@contextlib.contextmanager
def _as_database_errors(url: SecretStr) -> Iterator[None]:
    """Turn psycopg's errors into DatabaseError, one line each."""
    try:
        yield
    except psycopg.Error as error:
        where = described(url)
        if error.sqlstate == _DISK_FULL:
            raise DatabaseError(f"{where}: no space left on the server's disk; free some and run again") from None
        if error.sqlstate in locks.BLOCKED:
            raise _blocked(error, url) from None
        reason = (error.diag.message_primary or str(error)).strip().splitlines()
        text = _redacted(reason[-1] if reason else type(error).__name__, url)
        kind = DatabaseAwayError if _heals(error) else DatabaseError
        if isinstance(error, psycopg.OperationalError):
            raise kind(f"{where} cannot be used: {text}; check AQUAMIND_DATABASE_URL and the server") from None
        raise kind(f"{where}: {text}") from error


def _blocked(error: psycopg.Error, url: SecretStr) -> DatabaseAwayError:
    """The error of a statement that waited too long for a lock, or that PostgreSQL ended to solve a deadlock."""
    try:
        with contextlib.closing(psycopg.connect(url.get_secret_value(), connect_timeout=_CONNECT_SECONDS)) as other:
            by = locks.explained(other, error)
    except psycopg.Error:
        by = "another transaction"
    if error.sqlstate == locks.DEADLOCK:
        return DatabaseAwayError(f"{described(url)}: deadlock with {by}: run again")
    return DatabaseLockedError(f"{described(url)}: a statement waited too long for {by}: {locks.REMEDY}")


def _redacted(text: str, url: SecretStr) -> str:
    password = _parts(url).get("password")
    return text.replace(str(password), "***") if password else text


__all__ = ["Connection", "connect", "described", "environment", "is_local"]
