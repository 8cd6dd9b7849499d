"""Our sessions with settings, names and encodings of others, and the embedded server with variables of libpq's."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import pq, sql
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseAwayError, DatabaseError, TransientError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.orchestration.run_config import RunOptions
from aquamind_pipeline.postgres import comparison, logins, session
from aquamind_pipeline.postgres.connection import connect
from aquamind_pipeline.postgres.server import EmbeddedServer
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.postgres.targets.aquamind import target as aquamind_target
from aquamind_pipeline.report import verify
from aquamind_pipeline.settings import Settings, load_settings
from tests.helpers.commands import AQUAMIND, aquamind, one_line
from tests.helpers.database import ask, load_everything, rows_of
from tests.helpers.farms import wait_for
from tests.helpers.reports import AS_THIN, failed

HOSTILE = {
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Tokyo",
    "array_nulls": "off",
    "backslash_quote": "off",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "client_min_messages": "debug1",
    "debug_parallel_query": "on",
    "default_transaction_deferrable": "on",
    "default_transaction_isolation": "serializable",
    "exit_on_error": "on",
    "extra_float_digits": "-15",
    "gin_fuzzy_search_limit": "1",
    "idle_in_transaction_session_timeout": "1s",
    "idle_session_timeout": "1s",
    "jit_above_cost": "0",
    "lock_timeout": "1ms",
    "quote_all_identifiers": "on",
    "restrict_nonsystem_relation_kind": "view",
    "standard_conforming_strings": "off",
    "statement_timeout": "1s",
    "synchronize_seqscans": "on",
    "transaction_timeout": "1s",
    "transform_null_equals": "on",
    "vacuum_cost_delay": "100ms",
}
"""What a role may set that would end a load, or change what it writes."""


@pytest.fixture(scope="module")
def built(thin: Settings) -> Settings:
    return thin


@pytest.fixture
def lake(built: Settings) -> Lake:
    return Lake(built.lake_path)


@pytest.fixture
def alice(server: SecretStr) -> Iterator[str]:
    """A role with hostile settings, as its name."""
    name = f"alice_{secrets.token_hex(4)}"
    with psycopg.connect(server.get_secret_value(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(sql.Identifier(name)))
        for setting, value in HOSTILE.items():
            connection.execute(
                sql.SQL("ALTER ROLE {} SET {} = {}").format(sql.Identifier(name), sql.Identifier(setting), value)
            )
        yield name
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


SHADOWS = {
    "to_regclass(pg_catalog.text)": "regclass",
    "pg_backend_pid()": "int4",
    "set_config(pg_catalog.text, pg_catalog.text, boolean)": "text",
    "pg_try_advisory_lock(int)": "bool",
    "pg_try_advisory_xact_lock(int)": "bool",
    "pg_get_serial_sequence(pg_catalog.text, pg_catalog.text)": "text",
    "now()": "timestamptz",
    "length(pg_catalog.text)": "int4",
    "never(pg_catalog.text, pg_catalog.text)": "bool",
}
"""Functions with the names of PostgreSQL's own, and the types that they return."""


@contextlib.contextmanager
def owned_by(role: str, url: SecretStr) -> Iterator[SecretStr]:
    """Give a role a database with its tables, and a schema of its own name with the names of ours. The role's URL."""
    place = url.get_secret_value()
    me, database = sql.Identifier(role), sql.Identifier(place.rpartition("/")[2])
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, me))
        connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(me))
        connection.execute(sql.SQL("CREATE SCHEMA {0} AUTHORIZATION {0}").format(me))
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in tables:
            connection.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(sql.Identifier("public", name), me))
        for name in (*REGISTRY.aquamind, "user", "pg_class", "pg_constraint", "pg_settings", "load_journal"):
            table = sql.Identifier(role, name)
            connection.execute(sql.SQL("CREATE TABLE {} (id bigserial PRIMARY KEY, note text)").format(table))
            connection.execute(sql.SQL("INSERT INTO {} (note) VALUES ('of alice')").format(table))
            connection.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(table, me))
        for signature, kind in SHADOWS.items():
            connection.execute(
                sql.SQL(
                    "CREATE FUNCTION {}.{} RETURNS pg_catalog.{} LANGUAGE sql AS 'SELECT NULL::pg_catalog.{}'"
                ).format(me, sql.SQL(signature), sql.Identifier(kind), sql.SQL(kind))
            )
        for name in ("date", "bigint", "text", "timestamptz"):
            connection.execute(sql.SQL("CREATE TYPE {} AS (of_alice int)").format(sql.Identifier(role, name)))
        connection.execute(
            sql.SQL(
                "CREATE OPERATOR {0}.= (LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text, FUNCTION = {0}.never)"
            ).format(me)
        )
        path = sql.SQL("ALTER ROLE {0} IN DATABASE {1} SET search_path = {0}, pg_catalog, public").format(me, database)
        connection.execute(path)
        yield SecretStr(f"postgresql://{role}:x@{place.rpartition('@')[2]}")
        connection.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(me))
        connection.execute(sql.SQL("ALTER ROLE {} IN DATABASE {} RESET ALL").format(me, database))


def of_alice(url: SecretStr, role: str) -> dict[str, object]:
    """All rows of the role's own tables."""
    names = [name for (name,) in ask(url, "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1", role)]
    return {str(name): ask(url, f'SELECT * FROM "{role}"."{name}"') for name in names}  # noqa: S608 - a test's own names


@pytest.mark.parametrize("kind", ["aquamind", pytest.param("own", marks=pytest.mark.slow)])
def test_a_role_with_settings_and_names_of_its_own(
    kind: str,
    request: pytest.FixtureRequest,
    alice: str,
    built: Settings,
    lake: Lake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Load, reload, verify and wipe work as with any role, and what is not ours stays as it was."""
    monkeypatch.setattr(aquamind_target, "REBUILD_ROWS", 5_000)  # indexes of large tables come off and are built again
    url: SecretStr = request.getfixturevalue("migrated" if kind == "aquamind" else "database")
    with owned_by(alice, url) as hers:
        theirs = of_alice(url, alice)
        load_everything(hers, lake)
        target = open_target(hers)
        assert target.kind == kind
        target.distrust(REGISTRY.whole)
        target.load_whole(lake)
        assert target.row_counts(target.tables) == rows_of(lake)
        results = comparison.compared(target, lake, REGISTRY.aquamind)
        assert [result.detail for result in results if not result.passed] == []
        report, _ = verify(hers, built.farm)
        assert failed(report) == AS_THIN
        units = "SELECT DISTINCT unit FROM public.environmental_environmentalparameter WHERE name = 'temperature'"
        assert ask(url, units) == [("°C",)]
        assert of_alice(url, alice) == theirs
        assert open_target(hers).wipe()
        assert of_alice(url, alice) == theirs
        if kind == "aquamind":
            assert ask(url, "SELECT count(*) FROM public.batch_batch") == [(0,)]


def test_a_session_has_our_settings(alice: str, server: SecretStr, database: SecretStr) -> None:
    """Also after a rollback. A role that is read-only by its owner's wish stays so."""
    with psycopg.connect(server.get_secret_value(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(sql.Identifier(alice))
        )
    hers = SecretStr(f"postgresql://{alice}:x@{database.get_secret_value().rpartition('@')[2]}")
    with connect(hers) as connection:
        connection.rollback()
        shown = dict(connection.execute("SELECT name, setting FROM pg_settings WHERE source = 'session'").fetchall())
        assert not {name for name, value in HOSTILE.items() if shown.get(name, value) == value} - {"jit_above_cost"}
        assert (shown["TimeZone"], shown["search_path"]) == ("UTC", "pg_catalog, public, pg_temp")
        assert shown["lock_timeout"] == str(session.LOCK_TIMEOUT_SECONDS * 1000)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE public.one ()")


LIMITS = ("statement_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")


def test_time_limits_of_a_millisecond_do_not_end_a_session(
    alice: str, server: SecretStr, database: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would end it before its first statement. The user's own options for the server stay."""
    with psycopg.connect(server.get_secret_value(), autocommit=True) as connection:
        for limit in LIMITS:
            connection.execute(
                sql.SQL("ALTER ROLE {} SET {} = '1ms'").format(sql.Identifier(alice), sql.Identifier(limit))
            )
    hers = f"postgresql://{alice}:x@{database.get_secret_value().rpartition('@')[2]}"
    for url in (hers, f"{hers}?options=-c%20work_mem%3D77MB"):
        for _ in range(5):
            with connect(SecretStr(url)) as connection:
                connection.execute("SELECT pg_sleep(0.01)")
                memory = connection.execute("SHOW work_mem").fetchone()
                assert (memory == ("77MB",)) is ("work_mem" in url)
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=88MB")
    with connect(SecretStr(hers)) as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("88MB",)


def test_a_full_server_is_known_in_every_language(alice: str, server: SecretStr, database: SecretStr) -> None:
    """By its SQLSTATE: another try may succeed, and the message is the server's own."""
    hers = SecretStr(f"postgresql://{alice}:x@{database.get_secret_value().rpartition('@')[2]}")
    with psycopg.connect(server.get_secret_value(), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT 1").format(sql.Identifier(alice)))
    with connect(hers), pytest.raises(DatabaseAwayError, match="check AQUAMIND_DATABASE_URL"), connect(hers):
        pass
    wait_for(lambda: logins.sqlstate(hers.get_secret_value()) is None)  # the server has seen that the first one is gone
    assert logins.sqlstate(hers.get_secret_value().replace(":x@", ":wrong@")) == "28P01"


def test_a_message_names_the_option_that_gave_the_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = "postgresql://a:b@127.0.0.1:1/x"
    monkeypatch.setenv("THEIR_DATABASE", away)
    settings = RunOptions(database="THEIR_DATABASE").applied(load_settings(profile="tiny", home=tmp_path))
    assert settings.database_url is not None
    with pytest.raises(DatabaseAwayError, match=r"check the run's option database \(THEIR_DATABASE\) and the server"):
        open_target(settings.database_url)
    done = aquamind("build", "--database-url", away, AQUAMIND_HOME=str(tmp_path / "home"))
    one_line(done, "Connection refused; check --database-url and the server")


def test_row_security_raises_and_never_hides(alice: str, database: SecretStr) -> None:
    with psycopg.connect(database.get_secret_value()) as connection:
        connection.execute("CREATE TABLE seen (id int); ALTER TABLE seen ENABLE ROW LEVEL SECURITY")
        connection.execute("CREATE POLICY none_of_them ON seen USING (false)")
        connection.execute(sql.SQL("GRANT SELECT ON seen TO {}").format(sql.Identifier(alice)))
    hers = SecretStr(f"postgresql://{alice}:x@{database.get_secret_value().rpartition('@')[2]}")
    with pytest.raises(DatabaseError, match="row-level security"), connect(hers) as connection:
        connection.execute("SELECT * FROM public.seen")
    with psycopg.connect(database.get_secret_value()) as connection:
        connection.execute(sql.SQL("REVOKE SELECT ON seen FROM {}").format(sql.Identifier(alice)))


@contextlib.contextmanager
def encoded(server: SecretStr, encoding: str) -> Iterator[SecretStr]:
    """A database with an encoding of its own. The locale C allows any."""
    name = f"test_{secrets.token_hex(4)}"
    with psycopg.connect(server.get_secret_value(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} ENCODING {} LOCALE 'C' TEMPLATE template0").format(
                sql.Identifier(name), encoding
            )
        )
        yield SecretStr(server.get_secret_value().rpartition("/")[0] + "/" + name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "EUC_JP"])
def test_an_encoding_that_has_our_letters(
    encoding: str, server: SecretStr, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server converts, whatever the environment says of us."""
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN2")
    with encoded(server, encoding) as url:
        manifest = lake.manifest()
        assert manifest is not None
        target = open_target(url)
        target.prepare(manifest)
        target.load_whole(lake)
        with psycopg.connect(url.get_secret_value(), client_encoding="UTF8") as connection:
            units = "SELECT unit, length(unit) FROM environmental_environmentalparameter WHERE name = 'temperature'"
            assert connection.execute(units).fetchall() == [("°C", 2)]


@pytest.mark.parametrize("encoding", ["ISO_8859_5", "SQL_ASCII"])
def test_an_encoding_that_lacks_our_letters(encoding: str, server: SecretStr, lake: Lake) -> None:
    """It is refused in one line, and nothing is made."""
    manifest = lake.manifest()
    assert manifest is not None
    with encoded(server, encoding) as url:
        for refuse in (open_target(url).require_fit, open_target(url).prepare):
            with pytest.raises(DatabaseError, match=f"the encoding {encoding}, which cannot hold °: make a") as refused:
                refuse(manifest)
            assert "\n" not in str(refused.value)
        assert ask(url, "SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'aquamind_pipeline')") == [(0,)]


def test_an_encoding_that_is_not_converted(server: SecretStr) -> None:
    with encoded(server, "MULE_INTERNAL") as url, pytest.raises(DatabaseError) as refused:
        open_target(url)
    assert str(refused.value).endswith(
        "has the encoding MULE_INTERNAL, which PostgreSQL does not convert to UTF8: "
        "make a database with ENCODING 'UTF8' TEMPLATE template0, and use that"
    )
    assert not isinstance(refused.value, TransientError)


def test_only_what_heals_is_tried_again(server: SecretStr, tmp_path: Path) -> None:
    """And every word that helps is said, in one line."""
    good = server.get_secret_value()
    password = good.split(":")[2].split("@")[0]
    for wrong, words in {
        good.replace(password, "wr%2Fong"): "password authentication failed",
        good + "_missing": "does not exist",
        good + "?sslmode=require": "server does not support SSL, but SSL was required",
        good + "?sslmode=never": "invalid sslmode value",
        good + "?target_session_attrs=standby": "server is not in hot standby mode",
        "postgresql://a:b@no.such.host.invalid/x": "no.such.host.invalid",
        "postgresql:///?service=unknown": 'definition of service "unknown" not found',
    }.items():
        with pytest.raises(DatabaseError, match=words) as refused, connect(SecretStr(wrong)):
            pass
        assert not isinstance(refused.value, TransientError), words
        assert "\n" not in str(refused.value)
        assert not any(secret in str(refused.value) for secret in (password, "wr/ong", "wr%2Fong"))
    for away, words in {
        "postgresql://a:b@127.0.0.1:1/x": 'server at "127.0.0.1", port 1 failed: Connection refused; check AQUAMIND',
        "postgresql://a:b@127.0.0.1:1,127.0.0.2:2/x": 'port 1 failed: .*"127.0.0.2", port 2 failed: Connection refused',
        f"postgresql:///x?host={tmp_path}": f'on socket "{tmp_path}/.s.PGSQL.5432" failed: No such file or directory',
    }.items():
        with pytest.raises(DatabaseAwayError, match=words) as refused, connect(SecretStr(away)):
            pass
        assert "\n" not in str(refused.value)


def test_the_first_look_at_a_database_does_not_wait(tmp_path: Path) -> None:
    """A database that is away is said at once, and nothing is made. A wipe warns of a place that it cannot tell."""
    where = {"AQUAMIND_HOME": str(tmp_path / "home")}
    away = aquamind("build", AQUAMIND_DATABASE_URL="postgresql://a:b@127.0.0.1:1/x", **where)
    one_line(away, 'server at "127.0.0.1", port 1 failed: Connection refused; check AQUAMIND_DATABASE_URL')
    assert not (tmp_path / "home").exists()
    wiped = aquamind("wipe", "--dry-run", AQUAMIND_DATABASE_URL="postgresql://", PGSERVICE="unknown", **where)
    assert "warning: service 'unknown' is not on this machine" in wiped.stderr
    assert 'definition of service "unknown" not found' in wiped.stderr


def hostile_variables(folder: Path) -> dict[str, str]:
    """Every variable of libpq's, each leading astray."""
    (folder / "services").write_text("[elsewhere]\nhost=127.0.0.1\nport=1\n")
    (folder / "pgpass").write_text("*:*:*:*:wrong\n")
    names = [o.envvar.decode() for o in pq.Conninfo.get_defaults() if o.envvar] + ["PGTZ", "PGDATESTYLE", "PGGEQO"]
    return dict.fromkeys(names, "nonsense") | {
        "PGSERVICE": "elsewhere",
        "PGSERVICEFILE": str(folder / "services"),
        "PGPASSFILE": str(folder / "pgpass"),
        "PGHOSTADDR": "127.0.0.9",
        "PGPORT": "1",
        "PGSSLMODE": "require",
        "PGCONNECT_TIMEOUT": "x",
        "PGTARGETSESSIONATTRS": "standby",
    }


@pytest.mark.parametrize("service", ["elsewhere", "unknown"])
def test_no_variable_of_libpqs_leads_astray_from_the_embedded_server(
    service: str, server: SecretStr, server_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (hostile_variables(tmp_path) | {"PGSERVICE": service}).items():
        monkeypatch.setenv(name, value)
    with EmbeddedServer(server_home).running("postgres") as url, connect(url) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("postgres",)
        assert os.environ["PGSERVICE"] == service
    where = {"AQUAMIND_PROFILE": "tiny", "AQUAMIND_HOME": str(server_home)}
    done = subprocess.run(
        [AQUAMIND, "db", "psql", "-c", "SELECT 'here'"],
        env=os.environ | where,
        capture_output=True,
        text=True,
        check=False,
    )
    # Its database is not there. So psql reached the server, and none of the variables was in its way.
    assert 'database "aquamind_tiny" does not exist' in done.stderr


def test_a_users_own_url_keeps_libpqs_variables(server: SecretStr, monkeypatch: pytest.MonkeyPatch) -> None:
    good = server.get_secret_value()
    monkeypatch.setenv("PGPASSWORD", good.split(":")[2].split("@")[0])
    monkeypatch.setenv("PGAPPNAME", "a name of theirs")
    without = SecretStr(f"postgresql://aquamind@{good.rpartition('@')[2]}")
    with connect(without) as connection:
        assert connection.execute("SHOW application_name").fetchone() == ("a name of theirs",)
    monkeypatch.setenv("PGSSLMODE", "require")
    with pytest.raises(DatabaseError, match="SSL was required; check AQUAMIND_DATABASE_URL"), connect(without):
        pass


def test_an_embedded_server_that_cannot_be_used_is_not_left_running(home: Path) -> None:
    """The message is about the embedded server, since no URL is set."""
    place = EmbeddedServer(home / "locked out")
    with place.running("postgres"):
        pass
    (home / "locked out" / "postgres" / "password").write_text("another\n")
    with pytest.raises(DatabaseError) as refused, place.running("postgres"):
        pass
    assert str(refused.value).startswith("the embedded PostgreSQL (database 'postgres' on 127.0.0.1:")
    assert "AQUAMIND_DATABASE_URL" not in str(refused.value)
    assert "password authentication failed" in str(refused.value)
    assert place.url("postgres") is None
