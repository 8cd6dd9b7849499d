"""What a login needs to say, and why a server refused it.

A role or a database may have time limits of a few milliseconds, which end a session before its first statement. So the
login itself lifts them (libpq's `options`). Servers and poolers that refuse such options get a login with fewer.

psycopg gives no SQLSTATE for a refused login, and its text is in the server's language. libpq's trace of another login
has the SQLSTATE.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
from collections.abc import Iterator, Sequence

from psycopg import pq

_OPTIONS = (
    ("statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "transaction_timeout"),
    ("statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"),  # before PostgreSQL 17
    ("statement_timeout", "idle_in_transaction_session_timeout"),  # before PostgreSQL 14
    (),
)
"""Time limits to lift at a login, in the order in which we try."""
_UNKNOWN_PARAMETER = "42704"
_NO_OPTIONS = ("08P01", "0A000")
"""How poolers refuse options: PgBouncer as a violation of the protocol, others as a feature that they lack."""
_TRACED_ERROR = re.compile(rb'ErrorResponse\t S "[^"]*" (?:V "[A-Z]+" )?C "([0-9A-Z]{5})"')
_ANSWER_SECONDS = 10
_READ_BYTES = 1 << 16
_taken: dict[str, int] = {}
"""Which of `_OPTIONS` a server takes, by its address."""


def options(where: str, given: str) -> Iterator[str]:
    """The options for each try to log in. Ask `refuses_options` before the next one.

    Args:
        where: The server and database, in words.
        given: The user's own options, which come first.
    """
    while True:
        limits = _OPTIONS[_taken.get(where, 0)]
        yield " ".join([given, *(f"-c {name}=0" for name in limits)]).strip()


def refuses_options(where: str, sqlstate: str | None) -> bool:
    """Whether a login may have failed because of our options, so that one with fewer of them is worth a try."""
    place, last = _taken.get(where, 0), len(_OPTIONS) - 1
    if place == last or sqlstate not in (_UNKNOWN_PARAMETER, *_NO_OPTIONS):
        return False
    _taken[where] = place + 1 if sqlstate == _UNKNOWN_PARAMETER else last
    return True


def sqlstate(conninfo: str) -> str | None:
    """Log in once more, and say with which SQLSTATE the server refuses it; None if it does not, or does not answer.

    The trace stays in memory, since it may hold the password.
    """
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)  # a trace that is too long is cut off
        os.set_blocking(reading, False)
        login = pq.PGconn.connect_start(conninfo.encode())
        if login.status == pq.ConnStatus.BAD:
            return None
        login.trace(writing)
        _finish(login)
        login.untrace()  # writes what is still in its buffer
        login.finish()
        with contextlib.suppress(BlockingIOError):
            found = _TRACED_ERROR.findall(os.read(reading, _READ_BYTES))
            return found[-1].decode() if found else None
        return None
    finally:
        os.close(reading)
        os.close(writing)


def _finish(login: pq.abc.PGconn) -> None:
    while True:
        match login.connect_poll():
            case pq.PollingStatus.READING:
                waits: tuple[Sequence[int], Sequence[int]] = ([login.socket], [])
            case pq.PollingStatus.WRITING:
                waits = ([], [login.socket])
            case _:
                return
        if not any(select.select(*waits, [], _ANSWER_SECONDS)):
            return


__all__ = ["options", "refuses_options", "sqlstate"]
