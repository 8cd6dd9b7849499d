"""Two connections to one database, and work that is spread over them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from pydantic import SecretStr

from aquamind_pipeline.postgres.connection import Connection, connect

CONNECTIONS = 2
"""Partitions that are loaded at once: on two cores two are 1.8 times as fast as one, and a third adds nothing."""
Item = TypeVar("Item")
Result = TypeVar("Result")


class ConnectionPool:
    """Connections to the database at `url`. Each does one thing at a time."""

    def __init__(self, url: SecretStr, connections: Sequence[Connection]) -> None:
        self.url, self._connections = url, connections

    @property
    def first(self) -> Connection:
        """The connection for work that is done once."""
        return self._connections[0]

    def spread(self, work: Callable[[Connection, Item], Result], over: Iterable[Item]) -> list[Result]:
        """Do the work on each item, on whichever connection is free. Results are in the items' order.

        A failure is raised when the items before the failed one are done. Items that have not begun by then are left
        out.
        """
        idle: SimpleQueue[Connection] = SimpleQueue()
        for connection in self._connections:
            idle.put(connection)

        def on_a_free_connection(item: Item) -> Result:
            connection = idle.get()
            try:
                return work(connection, item)
            finally:
                idle.put(connection)

        with ThreadPoolExecutor(len(self._connections), thread_name_prefix="connection") as threads:
            return list(threads.map(on_a_free_connection, over))


@contextlib.contextmanager
def connection_pool(url: SecretStr) -> Iterator[ConnectionPool]:
    """Open `CONNECTIONS` connections for the block."""
    with contextlib.ExitStack() as opened:
        yield ConnectionPool(url, [opened.enter_context(connect(url)) for _ in range(CONNECTIONS)])


__all__ = ["CONNECTIONS", "ConnectionPool", "connection_pool"]
