"""Rows that others have locked and that ours refer to. We give way: nobody waits for us or loses a deadlock."""

# ruff: noqa: S608 - all names in statements are ours

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
import pytest
from pydantic import SecretStr

from aquamind_pipeline.errors import DatabaseLockedError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres import locks
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.settings import Settings
from tests.conftest import new_database
from tests.helpers.database import EVENT, ask, load_months, we_wait, without_last_days
from tests.helpers.farms import wait_for

Session = psycopg.Connection[tuple[object, ...]]
PURCHASES = "inventory_feedpurchase"
PLACES = "infrastructure_geography"
GEOGRAPHY = (
    f"INSERT INTO {PLACES} (name, description, created_at, updated_at) VALUES ('Faroe Islands', 'theirs', now(), now())"
)


@pytest.fixture(scope="module")
def built(thin: Settings) -> Settings:
    return thin


@pytest.fixture(scope="module")
def guest(server: SecretStr, aquamind_template: SecretStr, built: Settings) -> Iterator[SecretStr]:
    """AquaMind's database without a farm, with a row of others that our rows refer to."""
    with new_database(server, like=aquamind_template) as url:
        change(url, GEOGRAPHY)
        prepare(url, Lake(built.lake_path))
        yield url


@pytest.fixture(scope="module")
def theirs(server: SecretStr, guest: SecretStr, built: Settings) -> Iterator[SecretStr]:
    """AquaMind's database with a farm and its meals."""
    with new_database(server, like=guest) as url:
        load_whole(url, Lake(built.lake_path))
        load_events(url, Lake(built.lake_path))
        yield url


@pytest.fixture(scope="module")
def own(server: SecretStr, built: Settings) -> Iterator[SecretStr]:
    """Our own database with a farm and its meals."""
    with new_database(server) as url:
        prepare(url, Lake(built.lake_path))
        load_whole(url, Lake(built.lake_path))
        load_events(url, Lake(built.lake_path))
        yield url


def prepare(url: SecretStr, lake: Lake) -> None:
    manifest = lake.manifest()
    assert manifest is not None
    open_target(url).prepare(manifest)


def change(url: SecretStr, statement: str) -> None:
    with psycopg.connect(url.get_secret_value(), autocommit=True) as connection:
        connection.execute(statement.encode())


def session(url: SecretStr) -> Session:
    return psycopg.connect(url.get_secret_value(), application_name="analyst")


def as_it_is(lake: Lake) -> None:
    """Nothing is loaded yet."""


def without_first_rows(lake: Lake) -> None:
    for month in lake.partitions(EVENT):
        lake.write(EVENT, lake.read(EVENT, month).slice(1), month)


def of_other_feeds(lake: Lake) -> None:
    rows = lake.read(PURCHASES)
    lake.write(PURCHASES, rows.with_columns(rows["feed_id"].reverse()), None)


def load_whole(url: SecretStr, lake: Lake) -> None:
    open_target(url).load_whole(lake)


def load_events(url: SecretStr, lake: Lake) -> None:
    load_months(url, lake, EVENT, lake.partitions(EVENT))


@dataclass(frozen=True)
class Case:
    """A load, the row that somebody has locked, and what this session wants next."""

    database: str
    prepare: Callable[[Lake], None]
    load: Callable[[SecretStr, Lake], None]
    locked: str
    wanted: str
    table: str = "inventory_feed"


A_FEED = "SELECT * FROM inventory_feed FOR UPDATE"
CASES = {
    "a first load": Case("guest", as_it_is, load_whole, f"SELECT * FROM {PLACES} FOR UPDATE", "batch_batch", PLACES),
    "masters that change": Case("theirs", of_other_feeds, load_whole, A_FEED, PURCHASES),
    "months that are replaced": Case("theirs", without_first_rows, load_events, A_FEED, EVENT),
    "months beside a key that changes": Case(
        "theirs", without_first_rows, load_events, "UPDATE inventory_feed SET id = id + 1000", EVENT
    ),
    "masters of our own database": Case("own", of_other_feeds, load_whole, f"SAVEPOINT here; {A_FEED}", PURCHASES),
}


SLOW = {"months beside a key that changes", "masters that change"}


@pytest.fixture(
    params=[pytest.param(one, id=name, marks=[pytest.mark.slow] if name in SLOW else []) for name, one in CASES.items()]
)
def case(request: pytest.FixtureRequest) -> Case:
    one: Case = request.param
    return one


@pytest.fixture
def url(case: Case, server: SecretStr, request: pytest.FixtureRequest) -> Iterator[SecretStr]:
    with new_database(server, like=request.getfixturevalue(case.database)) as url:
        yield url


def test_others_take_what_they_need_while_we_wait_for_their_row(
    case: Case, url: SecretStr, a_copy: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They wait for none of our locks, so there is no deadlock that one of us could lose."""
    monkeypatch.setattr(locks, "TELL_SECONDS", 0.0)
    lake = Lake(a_copy.lake_path)
    case.prepare(lake)
    with session(url) as other, ThreadPoolExecutor(1) as thread:
        other.execute(case.locked.encode())
        loading = thread.submit(case.load, url, lake)
        wait_for(lambda: "because of server process" in caplog.text or loading.done())
        other.execute(f"LOCK TABLE {case.wanted} IN ROW EXCLUSIVE MODE".encode())
        process = other.info.backend_pid
        other.rollback()
        loading.result()
    assert f"waiting for a lock on a row of public.{case.table} for 1 s" in caplog.text
    assert f"because of server process {process} (user aquamind, application analyst" in caplog.text


def test_the_wait_for_a_row_is_bounded_and_nothing_is_half_done(case: Case, url: SecretStr, a_copy: Settings) -> None:
    lake = Lake(a_copy.lake_path)
    case.prepare(lake)
    before = contents(url)
    with session(url) as other, locks.patience(0):
        other.execute(case.locked.encode())
        message = (
            f"a row of public.{case.table} cannot be locked, waited 1 s for server process {other.info.backend_pid} "
            ".user aquamind, application analyst"
        )
        with pytest.raises(DatabaseLockedError, match=message) as refused:
            case.load(url, lake)
        other.rollback()
    assert "\n" not in str(refused.value)
    assert contents(url) == before
    case.load(url, lake)
    assert contents(url) != before


def contents(url: SecretStr) -> list[object]:
    tables = (EVENT, PURCHASES, "batch_batch", "aquamind_pipeline.load_journal", "aquamind_pipeline.identity")
    return [ask(url, f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t") for table in tables]


@pytest.mark.parametrize("database", ["own", pytest.param("theirs", marks=pytest.mark.slow)])
def test_new_days_wait_for_a_row_and_others_go_on(
    database: str,
    server: SecretStr,
    a_copy: Settings,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(locks, "TELL_SECONDS", 0.0)
    lake = Lake(a_copy.lake_path)
    month = lake.partitions(EVENT)[-2]  # long enough for a day to be a small part
    whole = without_last_days(lake, month, 1)[EVENT]
    with new_database(server, like=request.getfixturevalue(database)) as url:
        load_months(url, lake, EVENT, [month])
        lake.write(EVENT, whole, month)
        rows = lake.rows(EVENT, month)
        with session(url) as other, ThreadPoolExecutor(1) as thread:
            other.execute(A_FEED.encode())
            process = other.info.backend_pid
            loading = thread.submit(load_months, url, lake, EVENT, [month])
            wait_for(lambda: "because of server process" in caplog.text or loading.done())
            other.execute(f"LOCK TABLE {EVENT} IN ROW EXCLUSIVE MODE".encode())
            other.rollback()
            (done,) = loading.result()
        assert 0 < done.sent < rows
        assert f"because of server process {process} " in caplog.text


def test_a_row_for_which_others_queue(own: SecretStr, server: SecretStr, a_copy: Settings) -> None:
    """PostgreSQL then does not say which row it is. The second of them takes it next, and needs our lock as well."""
    lake = Lake(a_copy.lake_path)
    of_other_feeds(lake)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'analyst'"
    with new_database(server, like=own) as url, session(url) as first, session(url) as second:
        with ThreadPoolExecutor(2) as threads:
            first.execute(A_FEED.encode())
            queuing = threads.submit(second.execute, A_FEED.encode())
            wait_for(lambda: ask(url, waiting) == [(1,)])
            loading = threads.submit(load_whole, url, lake)
            wait_for(lambda: we_wait(url) or loading.done())
            first.rollback()
            queuing.result()
            second.execute(f"LOCK TABLE {PURCHASES} IN ROW EXCLUSIVE MODE".encode())
            second.rollback()
            loading.result()


@pytest.mark.slow
def test_a_wipe_whose_trigger_waits_for_a_row(theirs: SecretStr, server: SecretStr) -> None:
    """All locks of the wipe are given back meanwhile, and it ends well."""
    with new_database(server, like=theirs) as url:
        change(url, "CREATE TABLE gone (rows int); INSERT INTO gone VALUES (0)")
        change(
            url,
            "CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN UPDATE public.gone SET rows = rows + 1; RETURN OLD; END'",
        )
        change(url, "CREATE TRIGGER t BEFORE DELETE ON batch_batch FOR EACH ROW EXECUTE FUNCTION count_it()")
        batches = ask(url, "SELECT count(*) FROM batch_batch")
        with session(url) as other, ThreadPoolExecutor(1) as thread:
            other.execute("UPDATE gone SET rows = 7")
            wiping = thread.submit(open_target(url).wipe)
            wait_for(lambda: we_wait(url) or wiping.done())
            other.execute("LOCK TABLE batch_batch IN ROW EXCLUSIVE MODE")
            other.rollback()
            assert wiping.result()
        assert ask(url, "SELECT rows FROM gone") == batches
