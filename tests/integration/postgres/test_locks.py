"""Waits for locks of others: short for those who come after us, bounded, named, and ended by Ctrl-C."""

# ruff: noqa: S608 - all names in statements are ours

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline.errors import DatabaseAwayError, DatabaseLockedError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres import locks
from aquamind_pipeline.postgres.connection import connect
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.settings import Settings
from tests.helpers.commands import AQUAMIND
from tests.helpers.database import EVENT, ask, load_months, nobody_loads, we_wait
from tests.helpers.farms import wait_for

Session = psycopg.Connection[tuple[object, ...]]
ONE, TWO = sql.Identifier("public", "one"), sql.Identifier("public", "two")


@pytest.fixture
def tables(database: SecretStr) -> SecretStr:
    with session(database) as connection:
        connection.execute(
            "CREATE TABLE one (id int PRIMARY KEY); CREATE TABLE two (id int); INSERT INTO one VALUES (1)"
        )
    return database


def session(url: SecretStr) -> Session:
    return psycopg.connect(url.get_secret_value(), application_name="analyst")


def locked(url: SecretStr, mode: str) -> None:
    with connect(url) as connection:
        locks.lock_tables(connection, [ONE, TWO], mode)


@pytest.mark.parametrize(
    ("statement", "mode"),
    [
        ("SELECT * FROM one", "ACCESS EXCLUSIVE"),
        ("SELECT * FROM one FOR UPDATE", "EXCLUSIVE"),
        ("UPDATE one SET id = 2", "SHARE"),
        ("LOCK TABLE two IN SHARE MODE", "SHARE ROW EXCLUSIVE"),
        ("LOCK TABLE two IN ACCESS EXCLUSIVE MODE", "ACCESS SHARE"),
    ],
)
def test_who_is_in_the_way_is_named(tables: SecretStr, statement: str, mode: str) -> None:
    with session(tables) as other, locks.patience(0):
        process = other.info.backend_pid
        other.execute(statement.encode())
        with pytest.raises(DatabaseLockedError) as refused:
            locked(tables, mode)
        other.rollback()
        locked(tables, mode)
    said = str(refused.value)
    assert "public.one, public.two cannot be locked" in said
    assert f"server process {process} (user aquamind, application analyst" in said
    assert "idle in transaction, transaction open since" in said
    assert "\n" not in said


def test_a_prepared_transaction_is_named(tables: SecretStr) -> None:
    name = f"prepared_{secrets.token_hex(4)}"
    with session(tables) as other:
        other.execute("LOCK TABLE one IN ROW EXCLUSIVE MODE")
        other.execute(f"PREPARE TRANSACTION '{name}'".encode())
    with locks.patience(0), pytest.raises(DatabaseLockedError) as refused:
        locked(tables, "EXCLUSIVE")
    assert f"prepared transaction '{name}' (owner aquamind, since 2" in str(refused.value)
    with psycopg.connect(tables.get_secret_value(), autocommit=True) as other:
        other.execute(f"ROLLBACK PREPARED '{name}'".encode())
    locked(tables, "EXCLUSIVE")


def test_what_a_role_may_not_see_is_said(tables: SecretStr) -> None:
    role, password = f"role_{secrets.token_hex(4)}", secrets.token_hex(8)
    with session(tables) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'".encode())
        owner.execute(f"GRANT ALL ON one, two TO {role}".encode())
        owner.commit()
        owner.execute("SELECT * FROM one")
        url = SecretStr(f"postgresql://{role}:{password}@{tables.get_secret_value().split('@', 1)[1]}")
        with locks.patience(0), pytest.raises(DatabaseLockedError) as refused:
            locked(url, "ACCESS EXCLUSIVE")
        assert f"server process {owner.info.backend_pid} (user aquamind" in str(refused.value)
        assert "the rest is hidden from our role" in str(refused.value)
        owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def test_what_a_transaction_has_done_outlives_the_wait(tables: SecretStr) -> None:
    """And whoever comes after us is answered while we wait."""
    with session(tables) as reader, session(tables) as later, ThreadPoolExecutor(1) as thread:
        reader.execute("SELECT * FROM two")

        def work() -> None:
            with connect(tables) as connection:
                connection.execute("INSERT INTO one VALUES (2)")
                locks.lock_tables(connection, [TWO], "ACCESS EXCLUSIVE")
                connection.execute("TRUNCATE two")

        working = thread.submit(work)
        wait_for(lambda: we_wait(tables) or working.done())
        for _ in range(3):
            later.execute("SELECT * FROM two")
            later.commit()
        assert not working.done()
        reader.commit()
        working.result()
    assert ask(tables, "SELECT id FROM one ORDER BY 1") == [(1,), (2,)]


def test_others_do_not_lose_a_deadlock_to_us(tables: SecretStr) -> None:
    """Each has what the other wants. We give way before PostgreSQL ends one of the two."""
    with session(tables) as other, ThreadPoolExecutor(1) as thread:
        other.execute("LOCK TABLE two IN SHARE MODE")
        locking = thread.submit(locked, tables, "ACCESS EXCLUSIVE")
        wait_for(lambda: we_wait(tables) or locking.done())
        for _ in range(2):
            other.execute("SELECT * FROM one")
        other.commit()
        locking.result()


def test_a_row_that_is_waited_for_too_long_is_explained(tables: SecretStr) -> None:
    with session(tables) as other:
        other.execute("UPDATE one SET id = 3")

        def update() -> None:
            with connect(tables) as connection:
                connection.execute("SET lock_timeout = 100")
                connection.execute("UPDATE one SET id = 4")

        with pytest.raises(DatabaseLockedError) as refused:
            update()
        assert f"server process {other.info.backend_pid} (user aquamind, application analyst" in str(refused.value)


def test_a_deadlock_is_explained_and_may_be_tried_again(tables: SecretStr) -> None:
    with session(tables) as other, ThreadPoolExecutor(1) as thread:
        other.execute("SET deadlock_timeout = '1min'; LOCK TABLE two")
        other.commit()
        other.execute("LOCK TABLE two")
        begun = []

        def lock_crosswise() -> None:
            with connect(tables) as connection:
                connection.execute("LOCK TABLE one")
                begun.append(thread.submit(other.execute, "LOCK TABLE one"))
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'one'::regclass"
                wait_for(lambda: ask(tables, waiting) == [(1,)])
                connection.execute("LOCK TABLE two")

        with pytest.raises(DatabaseAwayError, match="deadlock with server process") as refused:
            lock_crosswise()
        assert not isinstance(refused.value, DatabaseLockedError)
        begun[0].result()
        assert f"server process {other.info.backend_pid} " in str(refused.value)


def changed(lake: Lake) -> None:
    for month in lake.partitions(EVENT):
        lake.write(EVENT, lake.read(EVENT, month).slice(1), month)


HOLDERS: list[tuple[str, str]] = [
    ("a reader of the table", f"SELECT count(*) FROM {EVENT}"),
    ("a reader of a referenced table", "SELECT count(*) FROM inventory_feed"),
    ("a writer", f"UPDATE {EVENT} SET notes = 'theirs' WHERE id = 1"),
    ("a row that foreign keys need", "SELECT * FROM inventory_feed FOR UPDATE"),
]


@pytest.mark.parametrize("statement", [one for _, one in HOLDERS], ids=[name for name, _ in HOLDERS])
def test_a_load_waits_for_others_says_so_and_goes_on(
    own: SecretStr, a_copy: Settings, statement: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "TELL_SECONDS", 0.0)
    lake = Lake(a_copy.lake_path)
    changed(lake)
    with session(own) as other, session(own) as later, ThreadPoolExecutor(1) as thread:
        other.execute(statement.encode())
        loading = thread.submit(load_months, own, lake, EVENT, lake.partitions(EVENT))
        wait_for(lambda: "because of server process" in caplog.text or loading.done())
        later.execute(f"SELECT count(*) FROM {EVENT}, inventory_feed".encode())
        later.commit()
        other.commit()
        loading.result()
        process = other.info.backend_pid
    assert f"because of server process {process} (user aquamind, application analyst" in caplog.text
    assert all(one.levelno == logging.WARNING for one in caplog.records if one.name == locks.__name__)
    assert ask(own, f"SELECT count(*) FROM {EVENT}") == [(lake.rows(EVENT),)]


def running(*arguments: str, url: SecretStr, settings: Settings) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [AQUAMIND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | {
            "AQUAMIND_PROFILE": "tiny",
            "AQUAMIND_LAKE": str(settings.lake_path),
            "AQUAMIND_DATABASE_URL": url.get_secret_value(),
        },
    )


def load(url: SecretStr, settings: Settings) -> subprocess.Popen[str]:
    return running("load", "--reload", url=url, settings=settings)


def wipe(url: SecretStr, settings: Settings) -> subprocess.Popen[str]:
    return running("wipe", "--no-files", "--yes", url=url, settings=settings)


@pytest.mark.parametrize(
    ("start", "holds", "sent"),
    [
        (load, f"SELECT count(*) FROM {EVENT}", signal.SIGINT),
        (wipe, "SELECT count(*) FROM batch_batch", signal.SIGTERM),
        *(
            pytest.param(*one, marks=pytest.mark.slow)
            for one in (
                (load, "SELECT * FROM batch_batch FOR UPDATE", signal.SIGTERM),
                (load, "LOCK TABLE aquamind_pipeline.load_journal IN EXCLUSIVE MODE", signal.SIGINT),
                (wipe, "LOCK TABLE batch_batch IN EXCLUSIVE MODE", signal.SIGINT),
            )
        ),
    ],
)
def test_an_interrupt_ends_a_command_that_waits(
    own: SecretStr,
    a_copy: Settings,
    start: Callable[[SecretStr, Settings], subprocess.Popen[str]],
    holds: str,
    sent: signal.Signals,
) -> None:
    """While the other one still holds its lock; nothing of ours is left on the server, and nothing is half done."""
    with session(own) as other, session(own) as later:
        other.execute(holds.encode())
        with start(own, a_copy) as process:
            wait_for(lambda: we_wait(own), process)
            process.send_signal(sent)
            _, said = process.communicate()
        assert process.returncode == 130, said
        assert "Interrupted." in said
        assert "Traceback" not in said
        assert other.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        wait_for(lambda: nobody_loads(own))
        later.execute("SELECT count(*) FROM batch_batch")
    assert ask(own, "SELECT count(*) FROM pg_class WHERE relname LIKE '%%-new'") == [(0,)]
    lake = Lake(a_copy.lake_path)
    assert open_target(own).row_counts([EVENT]) == {EVENT: lake.rows(EVENT)}
