"""What tests share: small farms, a built lake, and one real PostgreSQL server.

Polars reads its environment when it is imported, and Dagster's telemetry when it runs, so both are set first.

Workers of pytest-xdist share the processor's cores, and so the threads of Polars: more of them only wake each other.
Processes that tests start have as many threads as a user's. Tests that compare bytes compare both
(`test_the_same_bytes_in_any_order_and_process`, `test_a_killed_build_is_built_again`).
"""

from __future__ import annotations

import os
import sys

os.environ["TZ"] = "UTC"
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
# Hundreds of commands are started: each would compile the package anew.
for _name in [n for n in os.environ if n.startswith("AQUAMIND_") or n in ("DAGSTER_HOME", "PYTHONDONTWRITEBYTECODE")]:
    del os.environ[_name]
sys.dont_write_bytecode = False  # and pytest would compile each file of tests anew
_workers = os.environ.get("PYTEST_XDIST_WORKER_COUNT")
if _workers and "POLARS_MAX_THREADS" not in os.environ:
    os.environ["POLARS_MAX_THREADS"] = str(max(1, (os.cpu_count() or 1) // int(_workers)))
    import polars as pl

    pl.thread_pool_size()  # starts the threads
    del os.environ["POLARS_MAX_THREADS"]

from aquamind_pipeline.orchestration.garbage_collection import collect_rarely, skip_loaded_objects

collect_rarely()  # as processes of the pipeline do, before the other imports

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres.server import EmbeddedServer
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.settings import Settings, load_settings
from aquamind_pipeline.simulation.profile import Profile
from tests.helpers.database import load_everything
from tests.helpers.farms import Made, make_lake, thin_out
from tests.helpers.objects import BUCKET, s3_server, set_in
from tests.helpers.oracle import HERE, oracles
from tests.helpers.places import DATA

AQUAMIND_SCHEMA = DATA / "aquamind_schema.sql"
_SERVERS_BYTES = 4 << 30
"""What the files of a server may need at most."""

for _name, _examples in (("default", 6), ("thorough", 40)):
    # `make test-slow` runs the properties with the thorough profile, too.
    settings.register_profile(
        _name,
        deadline=None,
        max_examples=_examples,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        phases=[Phase.explicit, Phase.generate],  # a farm is printed as drawn: shrinking one takes minutes
    )
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--oracle", type=Path, default=HERE, help="a folder of oracle batches")


def pytest_collection_finish() -> None:
    if _workers:
        skip_loaded_objects()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "oracle_folder" in metafunc.fixturenames:
        folders = oracles(metafunc.config.getoption("--oracle"))
        metafunc.parametrize("oracle_folder", folders, ids=[folder.name for folder in folders])


@pytest.fixture(scope="session")
def tiny() -> Profile:
    return load_profile("tiny")


@pytest.fixture(scope="session")
def tiny_made(tiny: Profile) -> Made:
    return Made(tiny)


@pytest.fixture(scope="session")
def new_home() -> Iterator[Callable[[], Path]]:
    """Make a new folder, which the unprivileged user of a root session's PostgreSQL can reach, too."""
    parent = Path(tempfile.mkdtemp(prefix="aquamind-tests-"))
    parent.chmod(0o755)

    def new() -> Path:
        folder = Path(tempfile.mkdtemp(dir=parent))
        folder.chmod(0o755)
        return folder

    yield new
    shutil.rmtree(parent)


@pytest.fixture
def home(new_home: Callable[[], Path]) -> Path:
    """Such a folder, for one test."""
    return new_home()


@pytest.fixture(scope="session")
def server_home() -> Iterator[Path]:
    """The home of `server`, in memory if there is room.

    Making and dropping a database makes and deletes 300 files, which takes ext4 most of the time of both.
    """
    with tempfile.TemporaryDirectory(prefix="aquamind-tests-", dir=_in_memory()) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def _in_memory() -> Path | None:
    """Linux's folder whose files are in memory."""
    folder = Path("/dev/shm")  # noqa: S108
    has_room = folder.is_dir() and shutil.disk_usage(folder).free >= _SERVERS_BYTES
    return folder if has_room else None


@pytest.fixture(scope="session")
def tiny_lake(new_home: Callable[[], Path]) -> Settings:
    """The tiny farm's lake, made by the library alone.

    A build in Dagster gives the same bytes (`test_full_build_is_recorded_and_arrives`).
    """
    settings = load_settings(profile="tiny", home=new_home())
    make_lake(settings)
    return settings


@pytest.fixture(scope="session")
def built(tiny_lake: Settings) -> Settings:
    """The lake that tests of a file look at. Read only: tests that write take `a_copy`."""
    return tiny_lake


@pytest.fixture(scope="session")
def thin(new_home: Callable[[], Path], tiny_lake: Settings) -> Settings:
    """The tiny farm's lake with a tenth of the rows of its two largest tables, which are fewer than planned. Read only.

    In AquaMind's database the server looks up each reference of each row, which takes most of the time of a load.
    Files with tests of such loads let `built` be this one.
    """
    folder = new_home() / "lake"
    shutil.copytree(tiny_lake.lake_path, folder)
    thin_out(Lake(folder))
    return load_settings(profile="tiny", home=folder.parent, lake=folder)


@pytest.fixture
def a_copy(built: Settings, tmp_path: Path) -> Settings:
    """The built lake, to be changed."""
    shutil.copytree(built.lake_path, tmp_path / "lake")
    return load_settings(profile="tiny", home=tmp_path, lake=tmp_path / "lake")


@pytest.fixture(scope="session")
def server(server_home: Path) -> Iterator[SecretStr]:
    """One embedded PostgreSQL for all tests. It takes prepared transactions, as a server of others may.

    It does not wait for the disk, which takes most of the time of making and dropping a database. No test ends the
    power of the machine. Its password is hashed once, not 4,096 times: tests connect thousands of times.
    """
    place = EmbeddedServer(server_home)
    with place.running("postgres") as url, psycopg.connect(url.get_secret_value(), autocommit=True) as connection:
        connection.execute("SET scram_iterations = 1")
        password = connection.info.password
        connection.execute(sql.SQL("ALTER ROLE CURRENT_USER PASSWORD {}").format(sql.Literal(password)))
        connection.execute("ALTER SYSTEM SET max_prepared_transactions = 2")
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET full_page_writes = off")
    with place.running("postgres") as url:
        yield url


@pytest.fixture
def database(server: SecretStr) -> Iterator[SecretStr]:
    """The URL of a new, empty database."""
    with new_database(server) as url:
        yield url


@pytest.fixture(scope="session")
def aquamind_template(server: SecretStr) -> Iterator[SecretStr]:
    """A database as AquaMind's migrations make it. Read only: PostgreSQL copies it for tests that write."""
    with new_database(server) as url:
        with psycopg.connect(url.get_secret_value()) as connection:
            connection.execute(AQUAMIND_SCHEMA.read_bytes())
        yield url


@pytest.fixture
def migrated(server: SecretStr, aquamind_template: SecretStr) -> Iterator[SecretStr]:
    """A new database as AquaMind's migrations make it."""
    with new_database(server, like=aquamind_template) as url:
        yield url


@pytest.fixture(scope="session")
def loaded_own(server: SecretStr, built: Settings) -> Iterator[SecretStr]:
    """A database of our own with the tiny farm. Read only: tests that write take a copy."""
    with new_database(server) as url:
        load_everything(url, Lake(built.lake_path))
        yield url


@pytest.fixture
def own(server: SecretStr, loaded_own: SecretStr) -> Iterator[SecretStr]:
    """A copy of our own database with the tiny farm, to write to."""
    with new_database(server, like=loaded_own) as url:
        yield url


@pytest.fixture(scope="session")
def loaded_aquamind(server: SecretStr, aquamind_template: SecretStr, built: Settings) -> Iterator[SecretStr]:
    """AquaMind's database with the tiny farm. Read only: tests that write take a copy."""
    with new_database(server, like=aquamind_template) as url:
        load_everything(url, Lake(built.lake_path))
        yield url


@contextlib.contextmanager
def new_database(server: SecretStr, like: SecretStr | None = None) -> Iterator[SecretStr]:
    """A database for the block, empty or a copy of another."""
    name = f"test_{secrets.token_hex(4)}"
    with psycopg.connect(server.get_secret_value(), autocommit=True) as connection:
        template = like.get_secret_value().rpartition("/")[2] if like else "template1"
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        yield SecretStr(server.get_secret_value().rsplit("/", 1)[0] + "/" + name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test writes where the user keeps data, and none sees another's DAGSTER_HOME."""
    monkeypatch.setenv("AQUAMIND_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", "")


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """One S3 server for all tests, as the variables that lead to it."""
    with s3_server(tmp_path_factory.mktemp("s3")) as variables:
        yield variables


@pytest.fixture
def bucket(s3: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a new prefix in a bucket, and the environment that leads to it."""
    set_in(monkeypatch, s3)
    return f"s3://{BUCKET}/{secrets.token_hex(4)}/lake"
