"""What a load needs is asked before anything is made: rights, roles, connections and names, of real databases."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.definitions import BUILD_FARM, LOAD_DATABASE
from aquamind_pipeline.errors import DatabaseAwayError, DatabaseError
from aquamind_pipeline.lake import Lake, Manifest
from aquamind_pipeline.months import months_between
from aquamind_pipeline.orchestration.run_jobs import run_job
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.postgres.server import EmbeddedServer
from aquamind_pipeline.postgres.session import LOAD_CONNECTIONS
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.postgres.targets.aquamind.grants import grants
from aquamind_pipeline.settings import Settings, load_settings
from tests.conftest import new_database
from tests.helpers.commands import aquamind, one_line
from tests.helpers.database import ask, load_everything, row_counts, rows_of
from tests.helpers.farms import digests


@pytest.fixture
def farm(built: Settings) -> Manifest:
    return Manifest.of(built.farm)


def run(url: SecretStr, statement: str, **names: str) -> None:
    with psycopg.connect(url.get_secret_value(), autocommit=True) as connection:
        quoted = {name: sql.Identifier(value).as_string() for name, value in names.items()}
        connection.execute(statement.format(**quoted).encode())


@contextlib.contextmanager
def role(url: SecretStr, *rights: str) -> Iterator[tuple[str, SecretStr]]:
    """A new role with these rights on a database: its name, and the URL with which it connects."""
    name, password = f"guest_{secrets.token_hex(4)}", secrets.token_hex(8)
    start, database = url.get_secret_value().rsplit("/", 1)
    run(url, f"CREATE ROLE {{role}} LOGIN PASSWORD '{password}'", role=name)
    run(url, "REVOKE TEMPORARY, CREATE ON DATABASE {database} FROM PUBLIC", database=database)
    for right in rights:
        run(url, right, role=name, database=database)
    try:
        yield name, SecretStr(f"postgresql://{name}:{password}@{start.split('@', 1)[1]}/{database}")
    finally:
        run(url, "ALTER ROLE {role} RESET ALL; DROP OWNED BY {role} CASCADE; DROP ROLE {role}", role=name)


ALL_RIGHTS = (
    "GRANT TEMPORARY, CREATE ON DATABASE {database} TO {role}",
    "GRANT USAGE, CREATE ON SCHEMA public TO {role}",
)
OWN = [
    (ALL_RIGHTS[:0], "lacks rights in the schema public: run as its owner GRANT USAGE, CREATE ON SCHEMA public TO"),
    (ALL_RIGHTS[1:], "may not make temporary tables: run as the owner of the database GRANT TEMPORARY ON DATABASE"),
    (
        ("GRANT TEMPORARY ON DATABASE {database} TO {role}", ALL_RIGHTS[1]),
        "may not make the schema aquamind_pipeline: run as the owner of the database CREATE SCHEMA aquamind_pipeline",
    ),
    ((*ALL_RIGHTS, "CREATE SCHEMA aquamind_pipeline"), "lacks rights in the schema aquamind_pipeline, which belongs"),
    (
        (*ALL_RIGHTS, "ALTER ROLE {role} SET default_transaction_read_only = on"),
        r"is read-only for role guest_\w+ .default_transaction_read_only.: run ALTER ROLE",
    ),
    (
        (*ALL_RIGHTS, f"ALTER ROLE {{role}} CONNECTION LIMIT {LOAD_CONNECTIONS - 1}"),
        f"needs {LOAD_CONNECTIONS} connections, and the limit of role guest_.* allows {LOAD_CONNECTIONS - 1}: ALTER",
    ),
    (
        (*ALL_RIGHTS, "ALTER DATABASE {database} CONNECTION LIMIT 2"),
        "connections, and the limit of the database test_.* allows 2: ALTER DATABASE .* CONNECTION LIMIT -1",
    ),
    (
        (*ALL_RIGHTS, "CREATE VIEW auth_user AS SELECT 1 AS id"),
        "public.auth_user is there already .a view., and is not ours: rename it",
    ),
    (
        (*ALL_RIGHTS, "CREATE TYPE batch_batch AS ENUM ('a')"),
        "public.batch_batch is there already .a type., and is not",
    ),
    ((*ALL_RIGHTS, "DROP SCHEMA public"), "has no schema public: run CREATE SCHEMA public"),
]


@pytest.mark.parametrize(("rights", "message"), OWN)
def test_a_database_of_our_own_is_asked_first(
    database: SecretStr, farm: Manifest, rights: tuple[str, ...], message: str
) -> None:
    with role(database, *rights) as (_, url):
        with pytest.raises(DatabaseError, match=message) as refused:
            open_target(url).require_fit(farm)
        assert "\n" not in str(refused.value)
        made = ask(database, "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('aquamind_pipeline')")
        assert made == [(0,)]


def test_exactly_these_rights_and_connections_suffice(database: SecretStr, built: Settings) -> None:
    """The limits are not stricter than a load."""
    limit = f"ALTER ROLE {{role}} CONNECTION LIMIT {LOAD_CONNECTIONS}"
    lake = Lake(built.lake_path)
    with role(database, *ALL_RIGHTS, limit) as (_, url):
        open_target(url).require_fit(Manifest.of(built.farm))
        load_everything(url, lake)
        assert row_counts(url) == rows_of(lake)
        open_target(url).require_fit(Manifest.of(built.farm))
        with role(database, *ALL_RIGHTS, "GRANT USAGE, CREATE ON SCHEMA aquamind_pipeline TO {role}") as (
            other,
            theirs,
        ):
            grant = "GRANT SELECT ON ALL TABLES IN SCHEMA aquamind_pipeline TO {role}"
            run(database, grant, role=other)
            with pytest.raises(
                DatabaseError, match=r"belong to role guest_\w+, so role guest_\w+ may not load into them"
            ):
                open_target(theirs).require_fit(Manifest.of(built.farm))


def test_connections_that_others_use_are_waited_for(database: SecretStr, farm: Manifest) -> None:
    """Another try may succeed."""
    with role(database, *ALL_RIGHTS, f"ALTER ROLE {{role}} CONNECTION LIMIT {LOAD_CONNECTIONS}") as (_, url):
        with psycopg.connect(url.get_secret_value()):
            message = (
                rf"needs {LOAD_CONNECTIONS} connections, and of {LOAD_CONNECTIONS} .the limit of role .* 1 are in use"
            )
            with pytest.raises(DatabaseAwayError, match=message):
                open_target(url).require_fit(farm)


THEIRS = [
    (
        "REVOKE INSERT ON batch_batch FROM {role}",
        "lacks INSERT on batch_batch: run as the owner of the database `aquamind",
    ),
    (
        "REVOKE UPDATE, DELETE ON ALL TABLES IN SCHEMA public FROM {role}",
        r"lacks UPDATE, DELETE on \w+; UPDATE, DELETE on \w+; UPDATE, DELETE on \w+ and \d+ more: run",
    ),
    (
        "REVOKE SELECT ON environmental_environmentalreading FROM {role}",
        "lacks SELECT on environmental_environmentalreading",
    ),
    (
        "REVOKE UPDATE ON SEQUENCE batch_batch_id_seq FROM {role}",
        "lacks USAGE, SELECT, UPDATE on sequence public.batch_batch_id_seq",
    ),
    ("ALTER SCHEMA aquamind_pipeline OWNER TO CURRENT_USER", "lacks rights in the schema aquamind_pipeline"),
    ("REVOKE INSERT ON batch_historicalbatch FROM {role}", "lacks INSERT on batch_historicalbatch"),
]


@pytest.fixture(scope="module")
def shared(server: SecretStr, aquamind_template: SecretStr) -> Iterator[SecretStr]:
    """AquaMind's database for these tests. Each ends by taking out its role, and with it our schema."""
    with new_database(server, like=aquamind_template) as url:
        yield url


@pytest.mark.parametrize(("change", "message"), THEIRS)
def test_aquaminds_database_is_asked_first(shared: SecretStr, farm: Manifest, change: str, message: str) -> None:
    """Each right that lacks is named."""
    with role(shared) as (name, url):
        run(shared, grants(name, url.get_secret_value().rsplit("/", 1)[1]).replace("{", "{{").replace("}", "}}"))
        open_target(url).require_fit(farm, history=True)
        run(shared, change, role=name)
        with pytest.raises(DatabaseError, match=message) as refused:
            open_target(url).require_fit(farm, history=True)
        assert "\n" not in str(refused.value)
    run(shared, "DROP SCHEMA IF EXISTS aquamind_pipeline")


def test_a_standby_is_refused(home: Path, farm: Manifest) -> None:
    server = EmbeddedServer(home / "standby")
    with server.running("farm") as url:
        for setting in ("wal_level = replica", "hot_standby = on"):
            run(url, f"ALTER SYSTEM SET {setting}")
    with server.running("farm"):
        pass
    (server.folder / "cluster" / "standby.signal").touch()
    with server.running("farm") as url, pytest.raises(DatabaseError, match="is a standby, which only reads"):
        open_target(url).require_fit(farm)


def test_build_and_load_ask_before_anything_is_made(database: SecretStr, built: Settings, tmp_path: Path) -> None:
    """No folder, no schema: neither of a lake nor of Dagster."""
    home = tmp_path / "new"
    with role(database, *ALL_RIGHTS, "ALTER ROLE {role} SET default_transaction_read_only = on") as (_, url):
        places = {"AQUAMIND_DATABASE_URL": url.get_secret_value(), "AQUAMIND_HOME": str(home)}
        for arguments in (["build"], ["build", "--month", "2026-03"], ["load", "--lake", str(built.lake_path)]):
            one_line(aquamind(*arguments, **places), "is read-only for role guest_")
            assert not home.exists(), arguments
    closed = "postgresql://nobody:secret@127.0.0.1:1/farm"
    done = aquamind("build", AQUAMIND_DATABASE_URL=closed, AQUAMIND_HOME=str(home))
    one_line(done, "127.0.0.1:1 cannot be used")
    assert not home.exists()
    assert "secret" not in done.stderr
    assert ask(database, "SELECT to_regnamespace('aquamind_pipeline')") == [(None,)]


def test_a_night_asks_before_anything_is_made(database: SecretStr, a_copy: Settings) -> None:
    """It begins with other steps than a whole build."""
    before = digests(a_copy.lake_path)
    names = [name for name in REGISTRY if name not in REGISTRY.lasting]
    with role(database) as (_, url):
        settings = load_settings(
            profile="tiny",
            home=a_copy.home,
            lake=a_copy.lake_path,
            database_url=url,
            since="2026-05",
            as_of="2026-06-10",
        )
        months = months_between(settings.farm.epoch, settings.farm.as_of)[-2:]
        with pytest.raises(DatabaseError, match="lacks rights in the schema public"):
            run_job(Workspace(settings), BUILD_FARM, months, assets=[*names, "postgres_master", "postgres_events"])
    assert digests(a_copy.lake_path) == before


@pytest.mark.parametrize("step", ["postgres_events", pytest.param("postgres_states", marks=pytest.mark.slow)])
def test_a_run_of_one_step_asks_first(step: str, database: SecretStr, a_copy: Settings) -> None:
    """As people start it on Dagster's pages."""
    load_everything(database, Lake(a_copy.lake_path))
    with role(database, "GRANT TEMPORARY ON DATABASE {database} TO {role}") as (name, url):
        run(database, "GRANT USAGE ON SCHEMA aquamind_pipeline TO {role}", role=name)
        run(database, "GRANT SELECT ON ALL TABLES IN SCHEMA aquamind_pipeline TO {role}", role=name)
        settings = load_settings(profile="tiny", home=a_copy.home, lake=a_copy.lake_path, database_url=url)
        months = months_between(settings.farm.epoch, settings.farm.as_of)
        with pytest.raises(DatabaseError, match="may not load|lacks rights in the schema aquamind_pipeline, which"):
            run_job(Workspace(settings), LOAD_DATABASE, months, assets=[step])


def test_a_long_farm_name_gets_a_database_of_its_own(server: SecretStr) -> None:
    """PostgreSQL cuts off names after 63 bytes, so two farms would have shared one."""
    short = load_settings(profile="tiny")
    assert short.database_name == "aquamind_tiny"
    faults = ("duplicated-readings", "doubled-transfers", "lost-batches")
    long = [load_settings(profile="tiny", faults=faults[:end]) for end in (2, 3)]
    assert all(len(one.database_name.encode()) <= 63 for one in long)
    assert len({one.database_name for one in long}) == 2
    with new_database(server) as url:
        for one in long:
            run(url, "CREATE DATABASE {name}", name=one.database_name)
            assert ask(url, "SELECT count(*) FROM pg_database WHERE datname = %s", one.database_name) == [(1,)]
            run(url, "DROP DATABASE {name}", name=one.database_name)
