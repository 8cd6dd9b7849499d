"""PgBouncer between us and the server: refused where it keeps no sessions, and left as it was."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from aquamind_pipeline.errors import DatabaseAwayError, DatabaseError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres import session
from aquamind_pipeline.postgres.connection import connect, require_reachable
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.settings import Settings
from tests.helpers.commands import aquamind, one_line
from tests.helpers.database import ask, load_everything, rows_of

pytestmark = pytest.mark.system

NEEDED = "a direct connection or session pooling is needed"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_pooled", set[str]())


@contextlib.contextmanager
def pooler(url: SecretStr, mode: str, **settings: object) -> Iterator[SecretStr]:
    """PgBouncer in front of a database. The URL through it."""
    credentials, place = url.get_secret_value().removeprefix("postgresql://").split("@")
    user, password = credentials.split(":")
    address, name = place.split("/")
    host, port = address.split(":")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        mine = probe.getsockname()[1]
    folder = Path("/tmp") / f"pgbouncer-{secrets.token_hex(4)}"  # noqa: S108 - an unprivileged user reads it
    folder.mkdir()
    (folder / "users.txt").write_text(f'"{user}" "{password}"\n')
    lines = {
        "listen_addr": "127.0.0.1",
        "listen_port": mine,
        "auth_type": "scram-sha-256",
        "auth_file": folder / "users.txt",
        "pool_mode": mode,
        "unix_socket_dir": "",
        "logfile": folder / "log",
        "admin_users": user,
        **settings,
    }
    (folder / "ini").write_text(
        f"[databases]\n{name} = host={host} port={port} dbname={name}\n[pgbouncer]\n"
        + "".join(f"{key} = {value}\n" for key, value in lines.items())
    )
    if os.geteuid() == 0:  # PgBouncer refuses to run as root
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "nobody")
    as_nobody = ["setpriv", "--reuid", "nobody", "--clear-groups"] if os.geteuid() == 0 else []
    process = subprocess.Popen([*as_nobody, "pgbouncer", "-q", folder / "ini"])
    try:
        through = f"postgresql://{user}:{password}@127.0.0.1:{mine}/{name}"
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", mine)):
                break
            time.sleep(0.05)
        yield SecretStr(through)
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def left_behind(through: SecretStr) -> tuple[object, ...]:
    """What a client of the pooler finds at a server process that we had: settings, prepared statements, locks."""
    with psycopg.connect(through.get_secret_value(), autocommit=True, prepare_threshold=None) as connection:
        row = connection.execute(
            "SELECT count(*) FILTER (WHERE source = 'session' AND name IN ('search_path', 'jit', 'lock_timeout', "
            "'row_security')), (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_locks l "
            "JOIN pg_database d ON d.oid = l.database WHERE locktype = 'advisory' AND datname = current_database()) "
            "FROM pg_settings"
        ).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("round_robin", [0, 1])
def test_a_pooler_without_sessions_is_refused(
    mode: str, round_robin: int, database: SecretStr, built: Settings, tmp_path: Path
) -> None:
    """By every command, in one line, before anything is made. Nothing stays at its server processes."""
    with pooler(database, mode, server_round_robin=round_robin, default_pool_size=3) as through:
        with contextlib.ExitStack() as others:  # so that the pooler has three processes to give
            for _ in range(3):
                one = others.enter_context(psycopg.connect(through.get_secret_value(), autocommit=True))
                one.execute("SELECT 1")
        for _ in range(3):
            with pytest.raises(DatabaseError, match=NEEDED) as refused, connect(through):
                pass
            assert not isinstance(refused.value, DatabaseAwayError)
        where = {"AQUAMIND_HOME": str(tmp_path), "AQUAMIND_DATABASE_URL": through.get_secret_value()}
        one_line(aquamind("build", **where), NEEDED)
        assert not list(tmp_path.rglob("*.parquet"))
        where["AQUAMIND_LAKE"] = str(built.lake_path)
        if round_robin == 0:
            one_line(aquamind("load", **where), NEEDED)
            one_line(aquamind("verify", **where), NEEDED)
            one_line(aquamind("wipe", "--no-files", "--yes", **where), NEEDED)
        for _ in range(4):
            assert left_behind(through) == (0, 0, 0)
        require_reachable(through, "AQUAMIND_DAGSTER_DATABASE_URL")  # Dagster needs no session
    assert ask(database, "SELECT count(*) FROM pg_namespace WHERE nspname = 'aquamind_pipeline'") == [(0,)]


@pytest.mark.parametrize("kind", ["database", "migrated"])
def test_a_pooler_that_keeps_sessions_works(kind: str, request: pytest.FixtureRequest, built: Settings) -> None:
    """Load, comparison and wipe. Nothing stays behind, also where the pooler resets nothing."""
    lake, direct = Lake(built.lake_path), request.getfixturevalue(kind)
    with pooler(direct, "session", server_reset_query="") as through:
        load_everything(through, lake)
        target = open_target(through)
        assert target.row_counts(target.tables) == rows_of(lake)
        assert left_behind(through) == (0, 0, 0)
        assert target.wipe()
        assert left_behind(through) == (0, 0, 0)


def test_commands_work_through_sessions(database: SecretStr, tmp_path: Path) -> None:
    """With no more settings of the pooler's than a user has."""
    with pooler(database, "session") as through:
        where = {"AQUAMIND_HOME": str(tmp_path), "AQUAMIND_DATABASE_URL": through.get_secret_value()}
        for command in (["build"], ["load", "--reload"], ["verify"], ["wipe", "--yes"]):
            done = aquamind(*command, **where)
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("size", [1, 2])
def test_a_pool_that_is_too_small_is_said(
    size: int, database: SecretStr, built: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing waits for ever."""
    monkeypatch.setattr(session, "ANSWER_SECONDS", 2)
    with pooler(database, "session", default_pool_size=size) as through:
        with pytest.raises(DatabaseError, match=r"gave no answer within 2 s: .* its pool is too small or in use"):
            load_everything(through, Lake(built.lake_path))


def test_a_pooler_whose_server_is_away_may_come_back(database: SecretStr, server: SecretStr) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
        gone = SecretStr(
            database.get_secret_value().replace(database.get_secret_value().split(":")[3][:5], str(closed))
        )
    with pooler(gone, "session", server_login_retry=1) as through:
        with pytest.raises(DatabaseAwayError), connect(through):
            pass
    wrong = SecretStr(server.get_secret_value().rpartition("/")[0] + "/nowhere")
    with pooler(wrong, "session") as through:
        with pytest.raises(DatabaseError) as refused, connect(through):
            pass
        assert not isinstance(refused.value, DatabaseAwayError), refused.value
