"""Where Dagster keeps its records: SQLite files, or PostgreSQL when AQUAMIND_DAGSTER_DATABASE_URL is set.

The SQLite storage is Dagster's own with open connections. A build stores some thousand events. Dagster's class opens
the file anew for each event, which takes longer than generating the farm.

Both storages also note which process executes a run, and wait for places in pools as `pool_waits` says.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import dagster as dg
import sqlalchemy as sa

# dagster.yaml may name a storage class, but Dagster exports none. Ours extend these to keep Dagster's files, tables and
# rows.
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.storage.runs.sqlite import sqlite_run_storage

# The storage of runs, events and schedules together, which `storage.custom` of dagster.yaml expects.
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from pydantic import SecretStr
from watchdog.events import FileSystemEvent
from watchdog.observers import Observer

from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.orchestration.compat.paths import accept_any_folder
from aquamind_pipeline.orchestration.compat.pool_waits import PoolWaits
from aquamind_pipeline.orchestration.records import DATABASE_VARIABLE, dagster_home
from aquamind_pipeline.orchestration.run_health import PROCESS_TAG, START_TAG, process_tags, this_process
from aquamind_pipeline.orchestration.run_locks import RunLocks
from aquamind_pipeline.postgres import urls
from aquamind_pipeline.postgres.connection import require_reachable

if TYPE_CHECKING:
    from dagster_postgres import DagsterPostgresStorage

_LOG = logging.getLogger(__name__)
_OPEN_FILES = 4
"""How many files stay open: the index and a few runs. A web server that shows many runs needs a limit."""
_LOCK_WAIT_SECONDS = 30
"""How long SQLite waits for another writer. Dagster's own class waits as long."""


_DATA_VERSION, _DATA_VERSION_IS_OURS = "dagster/data_version", "dagster/data_version_is_user_provided"
"""Tags of a materialisation that Dagster's pages compare to say whether an asset is in sync."""


class _EventProcesses(PoolWaits):
    """An event log that notes which process executes a run of Dagster's user interface. Commands note it themselves.

    It leaves out two kinds of events that tell a reader nothing. They would be more than half of a run's events.
    """

    _without_outputs: frozenset[str] = frozenset()
    """Runs whose outputs are left out."""

    locks: RunLocks | None = None
    """The lock files of runs; None if the records are in PostgreSQL."""

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event. If this process begins to work for a run with it, note the process first."""
        known = event.dagster_event
        if known is not None and self._left_out(event):
            return
        if known is not None and _begins_here(known):
            if self.locks is not None:
                self.locks.hold(event.run_id)
            run = self._instance.get_run_by_id(event.run_id)
            if run is not None and known.step_key is None and run.tags.get(PROCESS_TAG) != this_process():
                self._instance.add_run_tags(event.run_id, process_tags())
        super().store_event(_with_own_version(event))

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store several events, except those that are left out."""
        kept = [_with_own_version(event) for event in events if not self._left_out(event)]
        if kept:
            super().store_event_batch(kept)

    def _left_out(self, event: dg.EventLogEntry) -> bool:
        """Whether a run's page does without an event.

        Dagster plans each check by an event and a row of its table of checks. The row is kept, so that pages show which
        checks are still to come.
        """
        known = event.dagster_event
        if known is None:
            return False
        if known.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
            self.store_asset_check_event(event, None)
            return True
        return known.is_successful_output and event.run_id in self._without_outputs

    def leave_out_outputs(self, run_id: str) -> None:
        """Store no outputs of a run, which are one event for each table and for each check.

        Our steps hand nothing to each other, so outputs say nothing that materialisations and results do not say.
        """
        self._without_outputs |= {run_id}


def leave_out_outputs(instance: dg.DagsterInstance, run_id: str) -> None:
    """Store no outputs of a run that executes its steps in this process.

    Executors that only watch their steps, as Dask's does, read outputs to know which step is next.
    """
    if isinstance(instance.event_log_storage, _EventProcesses):
        instance.event_log_storage.leave_out_outputs(run_id)


def _with_own_version(event: dg.EventLogEntry) -> dg.EventLogEntry:
    """Give each month of a table its own data version, the hash of its file.

    A step has one data version for all partitions that it makes, and Dagster offers no other way.
    """
    known = event.dagster_event
    if known is None or known.event_type != dg.DagsterEventType.ASSET_MATERIALIZATION:
        return event
    data = known.step_materialization_data
    made = data.materialization
    digest = made.metadata.get("sha256")
    if made.partition is None or digest is None:
        return event
    tags = dict(made.tags or {}) | {_DATA_VERSION: str(digest.value), _DATA_VERSION_IS_OURS: "true"}
    data = data._replace(materialization=made._replace(tags=tags))
    return event._replace(dagster_event=known._replace(event_specific_data=data))


def _begins_here(event: dg.DagsterEvent) -> bool:
    """Whether an event says that this process executes a run or a step."""
    if event.event_type not in (dg.DagsterEventType.ENGINE_EVENT, dg.DagsterEventType.STEP_WORKER_STARTED):
        return False
    number = event.engine_event_data.metadata.get("pid")
    return number is not None and str(number.value) == str(os.getpid())


class _RunProcesses(SqlRunStorage):
    """Records of runs that note which process executes a run."""

    locks: RunLocks | None = None
    """The lock files of runs; None if the records are in PostgreSQL."""

    def add_run(self, dagster_run: dg.DagsterRun) -> dg.DagsterRun:
        """Add a run. A command that is to execute it holds its lock from now on.

        A run that repeats another one gets copies of its tags. The tags of that run's process are left out.
        """
        process = dagster_run.tags.get(PROCESS_TAG)
        if process == this_process():
            if self.locks is not None:
                self.locks.hold(dagster_run.run_id)
        elif process is not None:
            other = (PROCESS_TAG, START_TAG)
            tags = {name: value for name, value in dagster_run.tags.items() if name not in other}
            dagster_run = dagster_run._replace(tags=tags)
        return super().add_run(dagster_run)

    def handle_run_event(self, run_id: str, event: dg.DagsterEvent, update_timestamp: Any = None) -> None:
        """Change the status of a run. When the run has ended, its lock is released."""
        super().handle_run_event(run_id, event, update_timestamp)
        if self.locks is not None and event.event_type in _ENDS:
            self.locks.release(run_id)


_ENDS = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)


class RunStorage(_RunProcesses, sqlite_run_storage.SqliteRunStorage):
    """Dagster's records of runs in SQLite, with lock files of runs."""


class EventLog(_EventProcesses, sqlite_event_log.SqliteEventLogStorage):
    """Dagster's event log with one engine per file. Files, tables and rows are Dagster's."""

    _obs: Any  # the observer; the base class declares it, starts it in its own `watch` and stops it

    def __init__(self, base_dir: str) -> None:
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._known_tables: set[str] = set()
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
        with suppress(FileNotFoundError):  # of a run that has no event yet: what was left out came first
            os.utime(self.path_for_shard(event.run_id))

    def has_table(self, table_name: str) -> bool:
        """Whether the schema has a table. Remembered, because Dagster asks with every materialisation and check."""
        if table_name not in self._known_tables and super().has_table(table_name):
            self._known_tables.add(table_name)
        return table_name in self._known_tables

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


class _Watchdog(sqlite_event_log.SqliteEventLogStorageWatchdog):
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
    """Dagster's SQLite storage with our records of runs and our event log; dagster.yaml names this class."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        accept_any_folder()
        super().__init__(base_dir, inst_data)
        locks = RunLocks(Path(base_dir).absolute() / "running")
        self._run_storage: RunStorage = RunStorage(self._run_storage._conn_string)
        self._event_log_storage: EventLog = EventLog(self._event_log_storage._base_dir)
        self._run_storage.locks = self._event_log_storage.locks = locks

    @classmethod
    def config_type(cls) -> Any:
        """The entry's `config` in dagster.yaml: `base_dir`, the folder of the files. Default: DAGSTER_HOME."""
        return {"base_dir": dg.Field(dg.StringSource, is_required=False)}

    @classmethod
    def from_config_value(  # type: ignore[override] # Dagster calls it for the storage, whichever class that is
        cls, inst_data: Any, config_value: Any
    ) -> DagsterSqliteStorage | DagsterPostgresStorage:
        """Make the storage from dagster.yaml.

        Without DAGSTER_HOME, the folder is that of our commands. So `dagster dev` in the project's folder shows what
        they recorded.

        Args:
            inst_data: This entry of dagster.yaml as Dagster stores it; only passed on.
            config_value: The entry's `config`. The URL of PostgreSQL is never there, only in the environment.

        Raises:
            ConfigError: when a setting or the folder cannot be used.
            DatabaseError: when that PostgreSQL cannot be used.
        """
        url = os.environ.get(DATABASE_VARIABLE)
        if url:
            return _postgres(SecretStr(url), inst_data)
        base_dir = config_value.get("base_dir") or os.environ.get("DAGSTER_HOME")
        if not base_dir:
            from aquamind_pipeline.settings import load_settings  # slow, and rarely needed

            base_dir = str(dagster_home(load_settings()))
        return cls.from_local(base_dir, inst_data)


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
        from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage, PostgresRunStorage

    class PostgresRuns(_RunProcesses, PostgresRunStorage):
        """Dagster's records of runs in PostgreSQL."""

    class PostgresEvents(_EventProcesses, PostgresEventLogStorage):
        """Dagster's event log in PostgreSQL."""

    # SQLAlchemy may choose psycopg 3 for a plain postgresql:// URL, and Dagster's SQL needs psycopg 2.
    driver = "postgresql+psycopg2://" + url.get_secret_value().partition("://")[2]
    storage = DagsterPostgresStorage(driver, should_autocreate_tables=True, inst_data=inst_data)
    storage._run_storage = PostgresRuns(driver, should_autocreate_tables=False)
    storage._event_log_storage = PostgresEvents(driver, should_autocreate_tables=False)
    return storage


__all__ = ["EventLog", "RunStorage", "Storage", "leave_out_outputs"]
