"""Where Dagster keeps its own records: SQLite files, or PostgreSQL where AQUAMIND_DAGSTER_DATABASE_URL names one.

SQLite is Dagster's own storage with connections kept open: a build stores some thousand events, and opening the file
anew for each, as the class it extends does, takes longer than generating the farm.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from threading import Lock
from typing import Any

import sqlalchemy as sa
from dagster._core.event_api import EventHandlerFn
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    SqliteEventLogStorage,
    SqliteEventLogStorageWatchdog,
)
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from pydantic import SecretStr
from watchdog.events import FileSystemEvent
from watchdog.observers import Observer

from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.postgres.connection import connect

DATABASE_VARIABLE = "AQUAMIND_DAGSTER_DATABASE_URL"
_LOG = logging.getLogger(__name__)
_FILES_OPEN = 4
"""The index and a few runs: a web server that shows many runs does not run out of file handles."""


class EventLog(SqliteEventLogStorage):
    """Dagster's event log, one engine for each of its files. Files, tables and rows are Dagster's."""

    _obs: Any  # the observer, which the base class makes, too, and stops

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
            engine = sa.create_engine(
                self.conn_string_for_shard(shard), connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
            )
            sa.event.listen(engine, "connect", _relax)
            self._engines[shard] = engine
        self._engines.move_to_end(shard)
        while len(self._engines) > _FILES_OPEN:
            self._engines.popitem(last=False)[1].dispose()
        return self._engines[shard]

    @cached_property
    def supports_asset_checks(self) -> bool:
        """Whether the schema has them, which it is asked for with every check's result."""
        return bool(super().supports_asset_checks)

    def watch(self, run_id: str, cursor: str | None, callback: EventHandlerFn) -> None:
        """Call back with each event of a run after a cursor: how pages follow a run."""
        if self._obs is None:
            self._obs = Observer()
            self._obs.start()
        watchdog = _Watchdog(self, run_id, callback, cursor)
        self._watchers[run_id][callback] = (watchdog, self._obs.schedule(watchdog, self._base_dir, recursive=True))
        watchdog.look()  # an event may have come after the caller read those up to its cursor

    def dispose(self) -> None:
        """Close every file."""
        super().dispose()
        while self._engines:
            self._engines.popitem()[1].dispose()


class _Watchdog(SqliteEventLogStorageWatchdog):
    """Sees the write-ahead log grow, too: Dagster's looks at the file alone, which changes only where it is closed."""

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self._looking, self._grown = Lock(), False

    def dispatch(self, event: FileSystemEvent) -> None:
        if event.event_type == "modified" and event.src_path in (self._log_path, f"{self._log_path}-wal"):
            self.look()

    def look(self) -> None:
        """Call back with what is new. One thread does, so that nothing comes twice, and no other waits for it: it may
        itself wait for the observer, to end the watch.
        """
        self._grown = True
        while self._grown and self._looking.acquire(blocking=False):
            try:
                while self._grown:
                    self._grown = False
                    self._process_log()
            except Exception:  # of a database that is locked, say: the next event brings all since the cursor
                _LOG.exception("events of run %s could not be read", self._run_id)
            finally:
                self._looking.release()


def _relax(connection: Any, _record: object) -> None:
    """In a write-ahead log a power cut may take the last events, never break the file: no sync for each event."""
    connection.execute("PRAGMA synchronous=NORMAL")


class Storage(DagsterSqliteStorage):
    """Dagster's SQLite storage with our event log; dagster.yaml names it."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage: EventLog = EventLog(self._event_log_storage._base_dir)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> DagsterStorage:  # type: ignore[override]
        """What Dagster calls with dagster.yaml's `config`. The URL of PostgreSQL stays in the environment.

        Raises:
            DatabaseError: when that PostgreSQL cannot be used.
        """
        url = os.environ.get(DATABASE_VARIABLE)
        if url:
            return _postgres(SecretStr(url), inst_data)
        return cls.from_local(inst_data=inst_data, **config_value)


def _postgres(url: SecretStr, inst_data: ConfigurableClassData | None) -> DagsterStorage:
    try:
        with connect(url):
            pass
    except DatabaseError as error:  # at once and in one line; Dagster would try for a quarter of a minute
        raise type(error)(f"Dagster's own {error}".replace("AQUAMIND_DATABASE_URL", DATABASE_VARIABLE)) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of psycopg2 and alembic, which only Dagster uses
        from dagster_postgres import DagsterPostgresStorage

    # A plain postgresql:// would pick psycopg 3, which Dagster's SQL does not fit.
    driver = "postgresql+psycopg2://" + url.get_secret_value().partition("://")[2]
    return DagsterPostgresStorage(driver, should_autocreate_tables=True, inst_data=inst_data)


__all__ = ["DATABASE_VARIABLE", "EventLog", "Storage"]
