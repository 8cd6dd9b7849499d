"""Where Dagster keeps its records: SQLite files, or PostgreSQL when AQUAMIND_DAGSTER_DATABASE_URL is set.

The SQLite storage is Dagster's own with open connections. A build stores some thousand events. Dagster's class opens
the file anew for each event, which takes longer than generating the farm.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

import dagster as dg
import sqlalchemy as sa

# dagster.yaml may name a storage class, but Dagster exports none. Ours extends these to keep Dagster's files, tables
# and rows.
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    SqliteEventLogStorage,
    SqliteEventLogStorageWatchdog,
)

# The storage of runs, events and schedules together, which `storage.custom` of dagster.yaml expects.
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from pydantic import SecretStr
from watchdog.events import FileSystemEvent
from watchdog.observers import Observer

from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.postgres import urls
from aquamind_pipeline.postgres.connection import require_reachable

if TYPE_CHECKING:
    from dagster_postgres import DagsterPostgresStorage

DATABASE_VARIABLE = "AQUAMIND_DAGSTER_DATABASE_URL"
"""The environment variable with the URL of the PostgreSQL database for Dagster's records."""
_LOG = logging.getLogger(__name__)
_OPEN_FILES = 4
"""How many files stay open: the index and a few runs. A web server that shows many runs needs a limit."""
_LOCK_WAIT_SECONDS = 30
"""How long SQLite waits for another writer. Dagster's own class waits as long."""


class EventLog(SqliteEventLogStorage):
    """Dagster's event log with one engine per file. Files, tables and rows are Dagster's."""

    _obs: Any  # the observer; the base class declares it, starts it in its own `watch` and stops it

    def __init__(self, base_dir: str) -> None:
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        super().__init__(base_dir)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> sa.Engine:
        if shard not in self._engines:
            engine = sa.create_engine(self.conn_string_for_shard(shard), connect_args={"timeout": _LOCK_WAIT_SECONDS})
            sa.event.listen(engine, "connect", _sync_less)
            self._engines[shard] = engine
        self._engines.move_to_end(shard)
        while len(self._engines) > _OPEN_FILES:
            self._engines.popitem(last=False)[1].dispose()
        return self._engines[shard]

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event, then touch the run's file, so that those who watch it look.

        SQLite shows a commit to readers only after it has written the write-ahead log. A reader that is woken by that
        write may come too early, and nothing would wake it again.
        """
        super().store_event(event)
        os.utime(self.path_for_shard(event.run_id))

    @cached_property
    def supports_asset_checks(self) -> bool:
        """Whether the schema has tables for check results. Cached, because Dagster asks with every result."""
        return bool(super().supports_asset_checks)

    def watch(self, run_id: str, cursor: str | None, callback: Callable[[dg.EventLogEntry, str], object]) -> None:
        """Call back with each event of a run after a cursor. Dagster's pages follow a run this way."""
        if self._obs is None:
            self._obs = Observer()
            self._obs.start()
        watchdog = _Watchdog(self, run_id, callback, cursor)
        self._watchers[run_id][callback] = (watchdog, self._obs.schedule(watchdog, self._base_dir, recursive=True))
        watchdog.look()  # events may have come between the caller's cursor and the start of the watch

    def dispose(self) -> None:
        """Close every file."""
        super().dispose()
        while self._engines:
            self._engines.popitem()[1].dispose()


class _Watchdog(SqliteEventLogStorageWatchdog):
    """Calls back with each event of a run once, whichever thread notices it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._reading, self._changed = Lock(), False

    def dispatch(self, event: FileSystemEvent) -> None:
        if event.event_type == "modified" and event.src_path == self._log_path:
            self.look()

    def look(self) -> None:
        """Call back with new events.

        One thread reads at a time, so that no event comes twice. Other threads do not wait for it: the callback may
        end the watch, which waits for the observer's thread.
        """
        self._changed = True
        while self._changed and self._reading.acquire(blocking=False):
            try:
                while self._changed:
                    self._changed = False
                    self._process_log()
            except Exception:  # a locked database, for example; the next touch brings everything after the cursor
                _LOG.exception("events of run %s could not be read", self._run_id)
            finally:
                self._reading.release()


def _sync_less(connection: Any, _record: object) -> None:
    """Do not sync to disk after each event. With a write-ahead log, a power cut loses at most the last events."""
    connection.execute("PRAGMA synchronous=NORMAL")


class Storage(DagsterSqliteStorage):
    """Dagster's SQLite storage with our event log; dagster.yaml names this class."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage: EventLog = EventLog(self._event_log_storage._base_dir)

    @classmethod
    def from_config_value(  # type: ignore[override] # Dagster calls it for the storage, whichever class that is
        cls, inst_data: Any, config_value: Any
    ) -> DagsterSqliteStorage | DagsterPostgresStorage:
        """Make the storage from dagster.yaml.

        Args:
            inst_data: This entry of dagster.yaml as Dagster stores it; only passed on.
            config_value: The entry's `config`. The URL of PostgreSQL is never there, only in the environment.

        Raises:
            DatabaseError: when that PostgreSQL cannot be used.
        """
        url = os.environ.get(DATABASE_VARIABLE)
        if url:
            return _postgres(SecretStr(url), inst_data)
        return cls.from_local(inst_data=inst_data, **config_value)


def _postgres(url: SecretStr, inst_data: Any) -> DagsterPostgresStorage:
    try:
        urls.parsed(url)
    except DatabaseError as error:
        raise DatabaseError(f"{DATABASE_VARIABLE}: {error}") from None
    try:
        require_reachable(url, DATABASE_VARIABLE)
    except DatabaseError as error:  # Dagster itself would retry for seconds and end in a traceback
        raise type(error)(f"Dagster's own {error}") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of psycopg2 and alembic, which only Dagster uses
        from dagster_postgres import DagsterPostgresStorage

    # SQLAlchemy may choose psycopg 3 for a plain postgresql:// URL, and Dagster's SQL needs psycopg 2.
    driver = "postgresql+psycopg2://" + url.get_secret_value().partition("://")[2]
    return DagsterPostgresStorage(driver, should_autocreate_tables=True, inst_data=inst_data)


__all__ = ["DATABASE_VARIABLE", "EventLog", "Storage"]
