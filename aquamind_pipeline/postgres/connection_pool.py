"""Two connections to one database, and work that is spread over them."""

from __future__ import annotations

import contextlib
import contextvars
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import Any, TypeVar

import psycopg
from psycopg import pq
from pydantic import SecretStr

from aquamind_pipeline.postgres import locks
from aquamind_pipeline.postgres.connection import Connection, connect

CONNECTIONS = 2
"""Partitions that are loaded at once: on two cores two are 1.8 times as fast as one, and a third adds nothing."""
_LOOK_SECONDS = 2.0
"""Between two looks at whether a statement waits for a lock."""
_CANCEL_AGAIN_SECONDS = 0.2
_CANCEL_SECONDS = 5
Item = TypeVar("Item")
Result = TypeVar("Result")


class ConnectionPool:
    """Connections to the database at `url`. Each does one thing at a time.

    Args:
        url: The database.
        connections: The connections that work.
        watch: A further connection, which looks for whoever blocks the others.
    """

    def __init__(self, url: SecretStr, connections: Sequence[Connection], watch: Connection | None = None) -> None:
        self.url, self._connections, self._watch = url, connections, watch

    @property
    def first(self) -> Connection:
        """The connection for work that is done once."""
        return self._connections[0]

    def run(self, work: Callable[[Connection], Result]) -> Result:
        """Do one piece of work on the first connection, so that it can be interrupted while the server works."""
        return self._spread(lambda connection, _: work(connection), [None], self._connections[:1])[0]

    def spread(self, work: Callable[[Connection, Item], Result], over: Iterable[Item]) -> list[Result]:
        """Do the work on each item, on whichever connection is free. Results are in the items' order.

        A failure is raised when the items before the failed one are done. Items that have not begun by then are left
        out. Ctrl-C, SIGTERM and Dagster's interrupts cancel the statements that run.
        """
        return self._spread(work, over, self._connections)

    def _spread(
        self, work: Callable[[Connection, Item], Result], over: Iterable[Item], connections: Sequence[Connection]
    ) -> list[Result]:
        idle: SimpleQueue[Connection] = SimpleQueue()
        for connection in connections:
            idle.put(connection)

        def on_a_free_connection(item: Item) -> Result:
            connection = idle.get()
            try:
                return work(connection, item)
            finally:
                idle.put(connection)

        with ThreadPoolExecutor(len(connections), thread_name_prefix="connection") as threads:
            begun = [threads.submit(contextvars.copy_context().run, on_a_free_connection, item) for item in over]
            try:
                return [self._result(one) for one in begun]
            except Exception:
                _leave_out(begun)
                raise
            except BaseException:
                _leave_out(begun)
                _cancel(connections, begun)
                raise

    def _result(self, work: Future[Result]) -> Result:
        """Wait for a result. Log who blocks a statement that waits."""
        told = -locks.TELL_AGAIN_SECONDS
        while not wait([work], timeout=_LOOK_SECONDS).done:
            if self._watch is None or time.monotonic() - told < locks.TELL_AGAIN_SECONDS:
                continue
            with contextlib.suppress(psycopg.OperationalError):  # what is wrong with the server ends the work, too
                there = locks.waits(self._watch, [one.info.backend_pid for one in self._connections])
                self._watch.commit()
                if there:
                    told = time.monotonic()
                    locks.tell(there)
        return work.result()


def _leave_out(work: Sequence[Future[Any]]) -> None:
    for one in work:
        one.cancel()


def _cancel(connections: Sequence[Connection], work: Sequence[Future[Any]]) -> None:
    """Cancel what the connections do until the work has ended: it may be between two statements."""
    while wait(work, timeout=_CANCEL_AGAIN_SECONDS).not_done:
        for one in connections:
            if one.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
                with contextlib.suppress(psycopg.Error):
                    one.cancel_safe(timeout=_CANCEL_SECONDS)


@contextlib.contextmanager
def connection_pool(url: SecretStr, watch: Connection | None = None) -> Iterator[ConnectionPool]:
    """Open `CONNECTIONS` connections for the block."""
    with contextlib.ExitStack() as opened:
        connections = [opened.enter_context(connect(url)) for _ in range(CONNECTIONS)]
        for one in connections:  # a statement after a lock must see what was committed while we waited for it
            one.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        yield ConnectionPool(url, connections, watch)


__all__ = ["CONNECTIONS", "ConnectionPool", "connection_pool"]
