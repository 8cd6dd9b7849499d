"""The load into a database that AquaMind's migrations made, beside rows of others, on a real PostgreSQL."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline import report
from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseAwayError, DatabaseError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres.comparison import compared, differences
from aquamind_pipeline.postgres.connection import Connection, connect
from aquamind_pipeline.postgres.copying import copy_frame
from aquamind_pipeline.postgres.journal import Entry
from aquamind_pipeline.postgres.server import EmbeddedServer
from aquamind_pipeline.postgres.targets import AquaMindTarget, open_target
from aquamind_pipeline.postgres.targets.aquamind import fit, id_blocks
from aquamind_pipeline.postgres.targets.aquamind import target as aquamind_target
from aquamind_pipeline.postgres.targets.aquamind.grants import grants
from aquamind_pipeline.settings import Settings, load_settings
from tests.conftest import new_database
from tests.helpers import farms
from tests.helpers.commands import AQUAMIND
from tests.helpers.database import (
    EVENT,
    FISH,
    HELD_REBUILDS,
    HOLD_REBUILDS,
    LET_REBUILDS_GO,
    SAMPLES,
    STATES,
    ask,
    definitions,
    load_everything,
    load_months,
    nobody_loads,
    row_counts,
    rows_of,
    without_last_days,
)
from tests.helpers.farms import wait_for
from tests.helpers.reports import AS_THIN, failed

UTF_8 = os.environ | {"PGCLIENTENCODING": "UTF8", "PYTHONUTF8": "1"}
Contents = dict[str, list[tuple[object, ...]]]

THEIRS = """
INSERT INTO auth_user VALUES (1, '!', NULL, true, 'someone', '', '', '', true, true, now()),
  (2, '!', NULL, true, 'else', '', '', '', true, true, now());
INSERT INTO batch_species (id, name, scientific_name, description, created_at, updated_at)
  VALUES (7, 'Atlantic Salmon', 'Salmo salar', 'theirs', now(), now());
INSERT INTO batch_lifecyclestage (id, name, species_id, "order", description, created_at, updated_at)
  VALUES (31, 'Egg&Alevin', 7, 1, 'theirs', now(), now()), (30, 'Fry', 7, 2, 'theirs', now(), now());
INSERT INTO infrastructure_geography (id, name, description, created_at, updated_at)
  VALUES (99, 'Faroe Islands', 'theirs', now(), now());
INSERT INTO batch_batch (id, batch_number, species_id, lifecycle_stage_id, status, batch_type, start_date, notes,
  created_at, updated_at) VALUES (1, 'FI-OLD-1', 7, 30, 'ACTIVE', 'STANDARD', '2020-01-01', 'theirs', now(), now());
SELECT setval(pg_get_serial_sequence('batch_batch', 'id'), 1), setval(pg_get_serial_sequence('auth_user', 'id'), 2);
"""
"""Rows of others: some that ours are the same as, under other ids, and some that use the ids of ours."""


@pytest.fixture
def aquamind(migrated: SecretStr) -> SecretStr:
    """AquaMind's database with some rows in it."""
    with psycopg.connect(migrated.get_secret_value()) as connection:
        connection.execute(THEIRS.encode())
    return migrated


@pytest.fixture(scope="module")
def built(thin: Settings) -> Settings:
    return thin


@pytest.fixture(scope="module")
def lake(built: Settings) -> Lake:
    return Lake(built.lake_path)


@dataclass(frozen=True)
class Both:
    """AquaMind's database with these rows and the farm, and what it held before the farm.

    Read only: tests that write take a copy.
    """

    url: SecretStr
    before: Contents


@pytest.fixture(scope="module")
def both(server: SecretStr, aquamind_template: SecretStr, lake: Lake) -> Iterator[Both]:
    with new_database(server, like=aquamind_template) as url:
        with psycopg.connect(url.get_secret_value()) as connection:
            connection.execute(THEIRS.encode())
        before = contents(url)
        load_everything(url, lake)
        yield Both(url, before)


@pytest.fixture
def loaded(server: SecretStr, both: Both) -> Iterator[SecretStr]:
    with new_database(server, like=both.url) as url:
        yield url


def contents(url: SecretStr) -> Contents:
    """Every row of every table of the registry."""
    with psycopg.connect(url.get_secret_value()) as connection:
        return {
            name: sorted(connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(name))), key=str)
            for name in REGISTRY.aquamind
        }


def test_our_rows_arrive_beside_theirs(both: Both, lake: Lake) -> None:
    """All of ours, by count and content; all of theirs as before, and used where they are the same."""
    aquamind = both.url
    after = contents(aquamind)
    for name, rows in both.before.items():
        assert set(map(str, rows)) <= set(map(str, after[name])), name
    assert row_counts(aquamind) == rows_of(lake)
    for name in REGISTRY.aquamind:
        parts = lake.partitions(name) if name in REGISTRY.monthly else [None]
        assert differences(open_target(aquamind), lake, {name: parts}).is_empty()
    fish = ask(aquamind, "SELECT count(*) FROM batch_batch WHERE species_id = 7 AND id > 1")
    assert fish == [(lake.rows("batch_batch"),)]
    assert ask(aquamind, "SELECT count(*) FROM batch_species") == [(1,)]
    stages = ask(aquamind, 'SELECT id, "order" FROM batch_lifecyclestage ORDER BY "order"')
    assert [row[0] for row in stages[:2]] == [31, 30]
    assert len(stages) == 6


def test_differences_are_found(loaded: SecretStr, lake: Lake) -> None:
    """A value changed behind our back, by so little that counts cannot see it."""
    with psycopg.connect(loaded.get_secret_value()) as connection:
        connection.execute(
            "UPDATE inventory_feedingevent SET amount_kg = amount_kg + 0.0001 WHERE id = "
            "(SELECT max(id) FROM inventory_feedingevent WHERE feeding_date = '2026-04-30')"
        )
    found = differences(open_target(loaded), lake, {EVENT: lake.partitions(EVENT)})
    assert found.select("partition", "column").rows() == [("2026-04", "amount_kg")]


def test_a_month_that_never_came_is_a_difference(loaded: SecretStr, a_copy: Settings) -> None:
    lake = Lake(a_copy.lake_path)
    lake.write(EVENT, lake.read(EVENT, "2026-06"), "2026-07")
    assert differences(open_target(loaded), lake, {EVENT: ["2026-06", "2026-07"]})["database"].to_list() == [
        "not loaded"
    ]


def test_loading_again_changes_nothing(loaded: SecretStr, lake: Lake) -> None:
    before = contents(loaded)
    assert all(done.skipped for done in load_everything(loaded, lake))
    assert contents(loaded) == before


def someone(connection: Connection) -> int:
    """Feed as the application does; the row's id."""
    row = connection.execute(
        "INSERT INTO inventory_feedingevent SELECT (e).* FROM (SELECT jsonb_populate_record(f, jsonb_build_object("
        "'id', nextval(pg_get_serial_sequence('inventory_feedingevent', 'id')), 'notes', 'theirs')) AS e "
        "FROM inventory_feedingevent f LIMIT 1) AS one RETURNING id"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_aquamind_goes_on_with_ids_of_its_own(loaded: SecretStr, a_copy: Settings) -> None:
    """A row that the application inserts takes the next id, and keeps it when we load on."""
    with psycopg.connect(loaded.get_secret_value()) as connection:
        row = someone(connection)
    lake = Lake(a_copy.lake_path)
    lake.write(EVENT, lake.read(EVENT, "2026-04").slice(1), "2026-04")
    lake.remove(EVENT, "2026-05")
    load_everything(loaded, lake)
    assert row_counts(loaded, [EVENT])[EVENT] == lake.rows(EVENT)
    assert ask(loaded, "SELECT notes FROM inventory_feedingevent WHERE id = %s", row) == [("theirs",)]
    assert ask(loaded, "SELECT count(*), count(DISTINCT id) FROM inventory_feedingevent") == [
        (lake.rows(EVENT) + 1, lake.rows(EVENT) + 1)
    ]


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        ("2026-05-29", ""),
        pytest.param("2026-05-29", "taken", marks=pytest.mark.slow),
        pytest.param("2026-05-31", "no ids", marks=pytest.mark.slow),
        pytest.param("2026-05-29", "a row lacks", marks=pytest.mark.slow),
    ],
)
def test_new_days_of_a_month_are_added_to_it(aquamind: SecretStr, a_copy: Settings, ends: str, why: str) -> None:
    """While a month goes on, its rows keep their ids, and those of new days follow on; unless something tells against
    it. Rows of others that have come between stay.
    """
    lake, month = Lake(a_copy.lake_path), "2026-05"
    whole = without_last_days(lake, month, 2)
    lake.claim(a_copy.farm.model_copy(update={"as_of": date.fromisoformat(ends)}))
    before = {one.table: one.rows for one in load_everything(aquamind, lake) if one.partition == month}
    ids = {name: ask(aquamind, f"SELECT id FROM {name} ORDER BY id") for name in whole}  # noqa: S608
    for name, rows in whole.items():
        lake.write(name, rows, month)
    if why == "a row lacks":
        lake.write(EVENT, lake.read(EVENT, month).slice(1), month)
    elif why == "taken":  # the sequence was reset, as django-admin sqlsequencereset does, and AquaMind went on
        of_month = "SELECT last_id FROM aquamind_pipeline.load_journal WHERE table_name = %s AND partition = %s"
        ((last,),) = ask(aquamind, of_month, EVENT, month)
        with psycopg.connect(aquamind.get_secret_value()) as connection:
            connection.execute("SELECT setval(pg_get_serial_sequence('inventory_feedingevent', 'id'), %s)", (last,))
            assert someone(connection) == int(str(last)) + 1
    lake.claim(a_copy.farm)
    again = {one.table: one for one in load_everything(aquamind, lake) if one.partition == month}
    for name, one in again.items():
        replaced = one.rows != before[name] and (why == "no ids" or (name == EVENT and why != ""))
        assert one.sent == (one.rows if replaced else one.rows - before[name]), name
        stayed = set(ids[name]) <= set(ask(aquamind, f"SELECT id FROM {name}"))  # noqa: S608
        assert stayed != replaced, name
    assert differences(open_target(aquamind), lake, {name: lake.partitions(name) for name in whole}).is_empty()
    assert row_counts(aquamind, whole) == {name: lake.rows(name) for name in whole}
    open_target(aquamind).wipe()
    theirs = int(why == "taken")
    assert ask(aquamind, "SELECT count(*) FROM inventory_feedingevent") == [(theirs,)]


def test_a_farm_that_reaches_less_far_takes_the_place_of_one_that_reached_further(
    loaded: SecretStr, lake: Lake, tmp_path: Path
) -> None:
    """Also where a batch is gone that later months refer to, in the transaction that deletes it."""
    shorter = load_settings(profile="tiny", home=tmp_path, as_of=date(2026, 3, 10))
    farms.make_lake(shorter)
    earlier = Lake(shorter.lake_path)
    assert earlier.rows("batch_batch") < lake.rows("batch_batch")
    load_everything(loaded, earlier)
    assert row_counts(loaded) == rows_of(earlier)
    load_everything(loaded, lake)
    assert row_counts(loaded) == rows_of(lake)


def test_indexes_are_taken_off_and_built_again(
    aquamind: SecretStr, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large load ends with the very indexes and keys that it found."""
    before = definitions(aquamind)
    monkeypatch.setattr(aquamind_target, "REBUILD_ROWS", 100)
    load_everything(aquamind, lake)
    assert definitions(aquamind) == before
    assert ask(aquamind, "SELECT count(*) FROM aquamind_pipeline.suspended") == [(0,)]
    assert row_counts(aquamind, [EVENT])[EVENT] == lake.rows(EVENT)


def test_a_load_that_fails_puts_indexes_back(
    aquamind: SecretStr, a_copy: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An orphan in one month, and Ctrl-C: the error is told, and AquaMind's tables have their keys."""
    before = definitions(aquamind)
    monkeypatch.setattr(aquamind_target, "REBUILD_ROWS", 100)
    lake = Lake(a_copy.lake_path)
    rows = lake.read(EVENT, "2026-04")
    lake.write(EVENT, rows.with_columns(feed_id=pl.lit(None, pl.Int64)), "2026-04")
    with pytest.raises(DatabaseError, match="feed_id"):
        load_everything(aquamind, lake)
    assert definitions(aquamind) == before
    lake.write(EVENT, rows, "2026-04")

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_months(aquamind, lake, EVENT, lake.partitions(EVENT), on_done=stop)
    assert definitions(aquamind) == before
    assert ask(aquamind, "SELECT count(*) FROM aquamind_pipeline.suspended") == [(0,)]
    load_everything(aquamind, lake)
    assert row_counts(aquamind, [EVENT])[EVENT] == lake.rows(EVENT)


def _die_without_indexes(url: SecretStr, folder: Path) -> None:
    aquamind_target.REBUILD_ROWS = 100
    AquaMindTarget._load_month = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment, method-assign]
    load_everything(url, Lake(folder))


def _load_until_interrupted(url: SecretStr, folder: Path) -> None:
    aquamind_target.REBUILD_ROWS = 100
    try:
        load_everything(url, Lake(folder))
    except KeyboardInterrupt:
        sys.exit(130)


def test_ctrl_c_during_the_rebuild_leaves_all_indexes(aquamind: SecretStr, lake: Lake) -> None:
    """The statement that builds is cancelled, and all that is off is built again before the process ends."""
    before = definitions(aquamind)
    with psycopg.connect(aquamind.get_secret_value(), autocommit=True) as other:
        other.execute(HOLD_REBUILDS.encode())
        process = multiprocessing.get_context("spawn").Process(
            target=_load_until_interrupted, args=(aquamind, lake.folder)
        )
        process.start()
        builders = wait_for(lambda: other.execute(HELD_REBUILDS.encode()).fetchall() or not process.is_alive())
        assert process.is_alive()
        assert definitions(aquamind) != before
        os.kill(process.pid or 0, signal.SIGINT)
        wait_for(
            lambda: not set(other.execute(HELD_REBUILDS.encode()).fetchall()) & set(builders) or not process.is_alive()
        )
        other.execute(LET_REBUILDS_GO.encode())
        process.join()
    assert process.exitcode == 130
    assert definitions(aquamind) == before
    assert ask(aquamind, "SELECT count(*) FROM aquamind_pipeline.suspended") == [(0,)]


@pytest.mark.parametrize("mended_by", ["load", pytest.param("wipe", marks=pytest.mark.slow)])
def test_a_load_that_is_killed_without_indexes_is_mended(aquamind: SecretStr, lake: Lake, mended_by: str) -> None:
    before = definitions(aquamind)
    process = multiprocessing.get_context("spawn").Process(target=_die_without_indexes, args=(aquamind, lake.folder))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    wait_for(lambda: nobody_loads(aquamind))
    assert definitions(aquamind) != before
    if mended_by == "wipe":
        open_target(aquamind).wipe()
    else:
        load_everything(aquamind, lake)
        assert row_counts(aquamind) == rows_of(lake)
    assert definitions(aquamind) == before


def test_months_of_two_loads_exclude_each_other(loaded: SecretStr, lake: Lake) -> None:
    def refused() -> None:
        for another in (lambda: load_months(loaded, lake, STATES, []), lambda: open_target(loaded).wipe()):
            with pytest.raises(DatabaseAwayError, match="is being loaded by another process .server process"):
                another()

    assert load_months(loaded, lake, EVENT, lake.partitions(EVENT), on_done=refused)


def test_wipe_takes_out_ours_and_only_ours(both: Both, loaded: SecretStr, lake: Lake) -> None:
    planned = open_target(loaded).wipe(dry_run=True)
    assert row_counts(loaded) == rows_of(lake)
    assert open_target(loaded).wipe() == planned
    assert contents(loaded) == both.before
    assert open_target(loaded).wipe() is None


def test_wipe_keeps_what_others_use(loaded: SecretStr) -> None:
    """Somebody puts their batch into a container of ours: it stays, with its rack, hall, station and type."""
    with psycopg.connect(loaded.get_secret_value()) as connection:
        connection.execute(
            "INSERT INTO batch_batchcontainerassignment SELECT (e).* FROM (SELECT jsonb_populate_record(a, "
            """'{"id": 1000000, "batch_id": 1, "is_active": false}') AS e """
            "FROM batch_batchcontainerassignment a ORDER BY id LIMIT 1) AS one"
        )
    out = open_target(loaded).wipe()
    assert out is not None
    kept = ask(
        loaded,
        "SELECT c.id, p.id, h.id FROM batch_batchcontainerassignment a JOIN infrastructure_container c "
        "ON c.id = a.container_id JOIN infrastructure_container p ON p.id = c.parent_container_id "
        "JOIN infrastructure_hall h ON h.id = c.hall_id",
    )
    assert len(kept) == 1
    assert out["infrastructure_container"][1] == 2
    assert out["infrastructure_hall"][1] == 1
    assert ask(loaded, "SELECT count(*) FROM infrastructure_container") == [(2,)]
    assert ask(loaded, "SELECT count(*) FROM batch_batch") == [(1,)]


def test_history_of_masters_is_an_option(aquamind: SecretStr, lake: Lake) -> None:
    """One first row for every master that we make, and none twice."""
    manifest = lake.manifest()
    assert manifest is not None
    open_target(aquamind).prepare(manifest)
    open_target(aquamind).load_whole(lake)
    assert ask(aquamind, "SELECT count(*) FROM batch_historicalbatch") == [(0,)]
    open_target(aquamind).wipe()
    for _ in range(2):
        open_target(aquamind).prepare(manifest)
        open_target(aquamind).load_whole(lake, history=True)
    rows = ask(aquamind, "SELECT history_type, count(*), count(DISTINCT id) FROM batch_historicalbatch GROUP BY 1")
    assert rows == [("+", lake.rows("batch_batch"), lake.rows("batch_batch"))]
    open_target(aquamind).wipe()
    assert ask(aquamind, "SELECT count(*) FROM batch_historicalbatch") == [(0,)]


def test_the_user_of_history_rows_owns_the_farm(aquamind: SecretStr, lake: Lake) -> None:
    manifest = lake.manifest()
    assert manifest is not None
    open_target(aquamind).prepare(manifest)
    open_target(aquamind).load_whole(lake, history=True)
    query = "SELECT DISTINCT username FROM {} h LEFT JOIN auth_user u ON u.id = h.history_user_id"
    for table in ("batch_historicalbatch", "infrastructure_historicalhall"):
        assert ask(aquamind, query.format(table)) == [("aquamind-pipeline",)]


def test_somebody_else_can_own_the_farm(aquamind: SecretStr, lake: Lake) -> None:
    """Scenario pages show a user's own scenarios. A wipe leaves the user alone, and another owner needs a wipe."""
    manifest, target = lake.manifest(), open_target(aquamind)
    assert manifest is not None
    with pytest.raises(DatabaseError, match=r"no user nobody: .*createsuperuser.*AQUAMIND_OWNER"):
        target.require_fit(manifest, owner="nobody")
    target.require_fit(manifest, owner="else")
    target.prepare(manifest)
    with pytest.raises(DatabaseError, match="no user nobody"):
        target.load_whole(lake, owner="nobody")
    for _ in range(2):
        target.load_whole(lake, owner="else", history=True)
    owners = "SELECT DISTINCT u.username FROM {} LEFT JOIN auth_user u ON u.id = {}"
    for table, column in (
        ("scenario", "created_by_id"),
        ("batch_batchtransferworkflow", "initiated_by_id"),
        ("batch_historicalbatch", "history_user_id"),
    ):
        assert ask(aquamind, owners.format(table, column)) == [("else",)]
    assert ask(aquamind, "SELECT count(*) FROM auth_user") == [(2,)]
    target.load_whole(lake)
    with pytest.raises(DatabaseError, match=r"belongs to the user else since.*`aquamind wipe --no-files` first"):
        target.require_fit(manifest, owner="someone")
    target.wipe()
    assert ask(aquamind, "SELECT username FROM auth_user ORDER BY id") == [("someone",), ("else",)]
    target.prepare(manifest)
    target.load_whole(lake, owner="someone")
    assert ask(aquamind, owners.format("scenario", "created_by_id")) == [("someone",)]


def test_the_report_is_about_ours(loaded: SecretStr, built: Settings) -> None:
    """Somebody else's batch in the same tables changes nothing in it."""
    verified, _ = report.verify(loaded, built.farm)
    assert failed(verified) == AS_THIN


def fish_that_do_not_match(url: SecretStr) -> list[tuple[object, ...]]:
    """Samples whose fish are not theirs: a size or mean differs, or a fish is of another day."""
    return ask(
        url,
        "SELECT s.id, s.avg_weight_g, avg(f.weight_g) FROM batch_growthsample s "
        "LEFT JOIN batch_individualgrowthobservation f ON f.growth_sample_id = s.id GROUP BY s.id "
        "HAVING count(f.id) <> s.sample_size OR abs(avg(f.weight_g) - s.avg_weight_g) > 0.005 "
        "OR bool_or(f.created_at::date <> s.sample_date)",
    )


def test_children_refer_to_their_parents_by_the_ids_that_these_have_here(loaded: SecretStr, lake: Lake) -> None:
    """The fish of each sample are its own, under ids that are not the lake's."""
    assert fish_that_do_not_match(loaded) == []
    assert ask(loaded, f"SELECT count(*) FROM {FISH}") == [(lake.rows(FISH),)]  # noqa: S608 - a name of ours
    real = {row[0] for row in ask(loaded, f"SELECT id FROM {SAMPLES}")}  # noqa: S608 - a name of ours
    assert real != set(lake.read(SAMPLES)["id"])


def test_a_parents_month_that_is_replaced_brings_its_children_again(loaded: SecretStr, a_copy: Settings) -> None:
    """Their file is the same, but their parents have other ids."""
    lake, month = Lake(a_copy.lake_path), "2026-05"
    samples = lake.read(SAMPLES, month)
    lake.write(SAMPLES, samples.with_columns(avg_length_cm=pl.col("avg_length_cm") + 1), month)
    again = {(one.table, one.partition): one.sent for one in load_everything(loaded, lake) if not one.skipped}
    assert again == {(SAMPLES, month): samples.height, (FISH, month): lake.rows(FISH, month)}
    assert fish_that_do_not_match(loaded) == []
    assert differences(open_target(loaded), lake, {name: lake.partitions(name) for name in (SAMPLES, FISH)}).is_empty()


def test_children_leave_with_their_parents_month(loaded: SecretStr, a_copy: Settings) -> None:
    lake, month = Lake(a_copy.lake_path), "2026-05"
    rows = lake.rows(FISH) - lake.rows(FISH, month)
    lake.remove(SAMPLES, month)
    target = open_target(loaded)
    with target.loading() as pool:
        assert target.drop_vanished(pool, lake, target.monthly) == [f"{SAMPLES} {month}"]
    assert row_counts(loaded, [FISH]) == {FISH: rows}
    assert fish_that_do_not_match(loaded) == []


def _die_after_a_parents_month(url: SecretStr, folder: Path) -> None:
    lake = Lake(folder)
    load_months(url, lake, SAMPLES, lake.partitions(SAMPLES), on_done=lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_a_load_that_is_killed_between_parents_and_children_is_healed(loaded: SecretStr, a_copy: Settings) -> None:
    lake = Lake(a_copy.lake_path)
    for month in lake.partitions(SAMPLES):
        rows = lake.read(SAMPLES, month)
        lake.write(SAMPLES, rows.with_columns(avg_length_cm=pl.col("avg_length_cm") + 1), month)
    process = multiprocessing.get_context("spawn").Process(
        target=_die_after_a_parents_month, args=(loaded, lake.folder)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    wait_for(lambda: nobody_loads(loaded))
    assert row_counts(loaded, [FISH])[FISH] < lake.rows(FISH)
    assert fish_that_do_not_match(loaded) != []
    load_everything(loaded, lake)
    assert row_counts(loaded) == rows_of(lake)
    assert fish_that_do_not_match(loaded) == []


def test_children_are_not_loaded_before_their_parents(loaded: SecretStr, a_copy: Settings) -> None:
    """Their references would be translated by a file that is not the loaded one."""
    lake = Lake(a_copy.lake_path)
    for name in (SAMPLES, FISH):
        lake.write(name, lake.read(name, "2026-05").slice(10), "2026-05")
    with pytest.raises(DatabaseError, match=f"{FISH} 2026-05 needs the rows of {SAMPLES} 2026-05"):
        load_months(loaded, lake, FISH, ["2026-05"])


def test_ids_of_a_table_with_children_follow_its_days(lake: Lake) -> None:
    """New days come after earlier ones, so that a later file gives the earlier rows the same ids."""
    definition, month = REGISTRY[SAMPLES], "2026-05"
    rows = lake.read(SAMPLES, month)
    assert not rows["sample_date"].is_sorted(), "the file's order would do"
    whole = id_blocks.in_order_of_ids(rows, definition)
    part = id_blocks.in_order_of_ids(rows.filter(pl.col("sample_date") < pl.date(2026, 5, 20)), definition)
    assert 0 < part.height < whole.height
    assert whole["id"].head(part.height).to_list() == part["id"].to_list()
    ids = id_blocks.ids_of_month(lake, definition, month, Entry("", rows.height, 1001, 1000 + rows.height))
    assert ids["lake_id"].to_list() == whole["id"].to_list()
    assert ids["id"].to_list() == list(range(1001, 1001 + rows.height))
    meals = lake.read(EVENT, month)
    assert id_blocks.in_order_of_ids(meals, REGISTRY[EVENT]) is meals


def faroes(lake: Lake) -> int:
    """The lake's id of the geography that is in THEIRS, too."""
    places = lake.read("infrastructure_geography")
    return int(places.row(by_predicate=pl.col("name") == "Faroe Islands", named=True)["id"])


def test_reference_rows_are_found_with_what_they_refer_to(aquamind: SecretStr, lake: Lake) -> None:
    """A carrier and its tank are there, under other ids, with nulls where the tank has neither hall nor area."""
    carriers = lake.read("infrastructure_transportcarrier")
    carrier = carriers.filter(pl.col("geography_id") == faroes(lake)).row(0, named=True)
    tanks = lake.read("infrastructure_container").filter(pl.col("carrier_id") == carrier["id"])
    tank = tanks.row(0, named=True)
    with psycopg.connect(aquamind.get_secret_value()) as connection:
        connection.execute(
            "INSERT INTO infrastructure_transportcarrier (id, name, carrier_type, geography_id, capacity_m3, "
            "license_plate, imo_number, captain_contact, active, created_at, updated_at) "
            "VALUES (777, %s, 'TRUCK', 99, 1, '', '', '', true, now(), now())",
            (carrier["name"],),
        )
        connection.execute(
            "INSERT INTO infrastructure_containertype (id, name, category, max_volume_m3, description, created_at, "
            "updated_at) VALUES (66, 'theirs', 'TANK', 1, '', now(), now())"
        )
        connection.execute(
            "INSERT INTO infrastructure_container (id, name, container_type_id, carrier_id, hierarchy_role, volume_m3, "
            "max_biomass_kg, feed_recommendations_enabled, active, created_at, updated_at) "
            "VALUES (888, %s, 66, 777, 'HOLDING', 1, 1, true, true, now(), now())",
            (tank["name"],),
        )
    load_everything(aquamind, lake)
    query = "SELECT id, created FROM aquamind_pipeline.identity WHERE table_name = %s AND lake_id = %s"
    assert ask(aquamind, query, "infrastructure_transportcarrier", carrier["id"]) == [(777, False)]
    assert ask(aquamind, query, "infrastructure_container", tank["id"]) == [(888, False)]
    others = ask(aquamind, "SELECT count(*) FROM infrastructure_container WHERE carrier_id = 777")
    assert others == [(tanks.height,)], "the carrier's other tanks are ours"


LIGHT = "environmental_photoperioddata"
LEFT_OUT = (
    FISH,
    LIGHT,
    *(name for name, one in REGISTRY.items() if one.app == "harvest"),
)
"""Tables that no table of a database without them refers to: some of an app, and whole apps."""


def move(url: SecretStr, names: Iterable[str], source: str, destination: str) -> None:
    with psycopg.connect(url.get_secret_value()) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS aside")
        for name in names:
            table, schema = sql.Identifier(source, name), sql.Identifier(destination)
            connection.execute(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(table, schema))


def test_tables_of_an_app_that_is_not_installed_are_left_out(aquamind: SecretStr, lake: Lake, built: Settings) -> None:
    """The farm is loaded, compared and reported without them. When they are there, the next load brings their rows."""
    before = contents(aquamind)
    move(aquamind, LEFT_OUT, "public", "aside")
    target = open_target(aquamind)
    assert set(target.left_out) == set(LEFT_OUT)
    load_everything(aquamind, lake)
    assert row_counts(aquamind) == {name: rows for name, rows in rows_of(lake).items() if name not in LEFT_OUT}
    assert [one for one in compared(target, lake, REGISTRY.aquamind) if not one.passed] == []
    target.require_loaded(lake, {name: [None] for name in REGISTRY.whole})
    verified, _ = report.verify(aquamind, built.farm)
    assert failed(verified) == AS_THIN
    said = next(check.detail for check in verified.checks if check.name == "volumes")
    assert said.endswith(f"left out, since this database does not have them: {', '.join(target.left_out)}")
    move(aquamind, LEFT_OUT, "aside", "public")
    again = load_everything(aquamind, lake)
    assert {one.table for one in again if not one.skipped} == set(LEFT_OUT)
    assert row_counts(aquamind) == rows_of(lake)
    open_target(aquamind).wipe()
    assert contents(aquamind) == before


def test_a_farm_is_wiped_where_an_app_is_gone_by_now(loaded: SecretStr) -> None:
    with psycopg.connect(loaded.get_secret_value()) as connection:
        connection.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.SQL(", ").join(map(sql.Identifier, LEFT_OUT))))
    out = open_target(loaded).wipe()
    assert out is not None
    assert not set(out) & set(LEFT_OUT)
    assert ask(loaded, "SELECT count(*) FROM inventory_feedingevent") == [(0,)]


def test_a_database_of_another_django_project_is_refused(database: SecretStr, lake: Lake) -> None:
    """It has users, too, but nothing of a farm."""
    with psycopg.connect(database.get_secret_value()) as connection:
        connection.execute("CREATE TABLE auth_user (id int GENERATED BY DEFAULT AS IDENTITY, username varchar(150))")
    with pytest.raises(DatabaseError, match="broodstock_eggsupplier is missing, and batch_creationworkflow refers"):
        load_everything(database, lake)
    assert ask(database, "SELECT count(*) FROM auth_user") == [(0,)]


def test_a_row_of_others_with_the_key_of_ours_is_named(aquamind: SecretStr, lake: Lake) -> None:
    """An area of theirs that is ours, too, has a day of light already. Indexes are taken off as far as that is safe."""
    area = lake.read("infrastructure_area").filter(pl.col("geography_id") == faroes(lake)).row(0, named=True)
    month = lake.partitions(LIGHT)[1]
    with psycopg.connect(aquamind.get_secret_value()) as connection:
        connection.execute(
            "INSERT INTO infrastructure_area (id, name, geography_id, latitude, longitude, max_biomass, active, "
            "created_at, updated_at) VALUES (555, %s, 99, 62, -7, 1, true, now(), now())",
            (area["name"],),
        )
        connection.execute(
            "INSERT INTO environmental_photoperioddata (area_id, date, day_length_hours, is_interpolated, created_at, "
            "updated_at) VALUES (555, %s, 12, false, now(), now())",
            (f"{month}-10",),
        )
    before = definitions(aquamind)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(aquamind_target, "REBUILD_ROWS", 100)
        with pytest.raises(DatabaseError, match=f"{LIGHT} {month}: somebody else's row has the key of one of ours"):
            load_everything(aquamind, lake)
    assert definitions(aquamind) == before
    with psycopg.connect(aquamind.get_secret_value()) as connection:
        connection.execute("DELETE FROM environmental_photoperioddata WHERE area_id = 555 AND day_length_hours = 12")
    load_everything(aquamind, lake)
    assert row_counts(aquamind) == rows_of(lake)


MISFITS = [
    ("ALTER TABLE batch_batch DROP COLUMN notes CASCADE", "column batch_batch.notes is missing"),
    ("DROP TABLE harvest_harvestevent CASCADE", "harvest_harvestevent is missing, and harvest_harvestlot refers to it"),
    ("DROP TABLE batch_growthsample CASCADE", f"batch_growthsample is missing, and {FISH} refers to it"),
    (
        "DROP TABLE broodstock_eggsupplier, batch_creationworkflow, batch_creationaction CASCADE",
        "table broodstock_eggsupplier is missing, and batch_creationworkflow refers to it",
    ),
    (
        "ALTER TABLE inventory_feedingevent ALTER amount_kg TYPE numeric(6,2)",
        "amount_kg is numeric(6,2), which does not hold our numeric(10, 4)",
    ),
    (
        "ALTER TABLE batch_batch ALTER batch_number TYPE varchar(8)",
        "batch_number is character varying(8), which does not hold our varchar(50)",
    ),
    ("ALTER TABLE batch_batch ADD secret text NOT NULL", "batch_batch.secret must not be null, and we do not know it"),
]


@pytest.mark.parametrize(
    ("change", "message"), [*MISFITS[:3], *(pytest.param(*one, marks=pytest.mark.slow) for one in MISFITS[3:])]
)
def test_a_schema_that_does_not_fit_is_refused(migrated: SecretStr, lake: Lake, change: str, message: str) -> None:
    """With what does not fit, and before anything is written."""
    with psycopg.connect(migrated.get_secret_value()) as connection:
        connection.execute(change.encode())
    with pytest.raises(DatabaseError) as refused:
        load_everything(migrated, lake)
    assert message in str(refused.value)
    assert ask(migrated, "SELECT to_regnamespace('aquamind_pipeline')") == [(None,)]


def test_wider_types_fit(migrated: SecretStr, lake: Lake) -> None:
    with psycopg.connect(migrated.get_secret_value()) as connection:
        connection.execute("ALTER TABLE batch_batch ALTER batch_number TYPE text")
        connection.execute("ALTER TABLE inventory_feedingevent ALTER amount_kg TYPE numeric(14,5)")
        connection.execute("ALTER TABLE batch_mortalityevent ALTER count TYPE bigint")
        connection.execute("ALTER TABLE batch_batch ADD colour text NOT NULL DEFAULT 'silver'")
    assert fit.misfits(fit.their_tables(migrated)) == []
    load_everything(migrated, lake)
    assert row_counts(migrated, [EVENT])[EVENT] == lake.rows(EVENT)


def test_a_batch_number_of_somebody_else_is_refused(aquamind: SecretStr, lake: Lake) -> None:
    number = lake.read("batch_batch")["batch_number"][0]
    with psycopg.connect(aquamind.get_secret_value()) as connection:
        connection.execute("UPDATE batch_batch SET batch_number = %s WHERE id = 1", (number,))
    before = contents(aquamind)
    with pytest.raises(DatabaseError, match=f"batch_batch.batch_number {number} … are there already"):
        load_everything(aquamind, lake)
    assert contents(aquamind) == before


def test_a_role_with_the_granted_rights_can_load_and_wipe(aquamind: SecretStr, lake: Lake) -> None:
    """No superuser, no ownership, no right to make schemas: what `aquamind db grants` gives is enough.

    It makes the role, and does no harm to a role that exists.
    """
    role, password = f"loader_{secrets.token_hex(4)}", secrets.token_hex(8)
    name = aquamind.get_secret_value().rsplit("/", 1)[1]
    with psycopg.connect(aquamind.get_secret_value(), autocommit=True) as connection:
        said: list[str] = []
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        connection.execute(grants(role, name).encode())
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password)))
        connection.execute(grants(role, name).encode())
        assert said[0] == f"role {role} was made and has no password yet: set one in psql with \\password {role}"
        assert not [text for text in said[1:] if "was made" in text]
    host = aquamind.get_secret_value().split("@", 1)[1]
    theirs = SecretStr(f"postgresql://{role}:{password}@{host}")
    before = contents(aquamind)
    load_everything(theirs, lake)
    assert row_counts(theirs) == {table: lake.rows(table) for table in REGISTRY.aquamind}
    open_target(theirs).wipe()
    assert contents(aquamind) == before
    with psycopg.connect(aquamind.get_secret_value(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {0}").format(sql.Identifier(role)))
        connection.execute(sql.SQL("DROP ROLE {0}").format(sql.Identifier(role)))


def test_printed_grants_work_in_psql(migrated: SecretStr, tmp_path: Path) -> None:
    """`aquamind db grants ROLE | psql` makes the role, whatever its name holds, and may be run again."""
    name = migrated.get_secret_value().rsplit("/", 1)[1]
    psql = [EmbeddedServer(tmp_path).psql(), "-v", "ON_ERROR_STOP=1", "-d", migrated.get_secret_value()]
    may = "SELECT has_database_privilege(%s, %s, 'CONNECT') AND has_table_privilege(%s, 'batch_batch', 'INSERT')"
    with psycopg.connect(migrated.get_secret_value(), autocommit=True) as connection:
        for suffix in ("", ' "Rôle\'s" \\x :name $$ %', "$grants$ $grants_$"):
            role = f"loader_{secrets.token_hex(4)}{suffix}"
            command = [AQUAMIND, "db", "grants", role, "--database", name]
            printed = subprocess.run(command, capture_output=True, check=True, env=UTF_8)
            for _ in range(2):
                done = subprocess.run(psql, input=printed.stdout, capture_output=True, check=False, env=UTF_8)
                assert (done.returncode, done.stdout) == (0, b"DO\n"), done.stderr.decode()
            assert connection.execute(may, [role, name, role]).fetchone() == (True,)
            connection.execute(sql.SQL("DROP OWNED BY {0}").format(sql.Identifier(role)))
            connection.execute(sql.SQL("DROP ROLE {0}").format(sql.Identifier(role)))


def test_who_may_not_make_the_role_is_told(database: SecretStr) -> None:
    name, role = database.get_secret_value().rsplit("/", 1)[1], f"weak_{secrets.token_hex(4)}"
    with psycopg.connect(database.get_secret_value(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        with pytest.raises(psycopg.Error, match="role new_one does not exist, and you may not make it: run CREATE"):
            connection.execute(grants("new_one", name).encode())
        connection.execute("RESET ROLE")
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def _terminate(_: Connection, url: SecretStr) -> None:
    """Somebody ends our session."""
    ask(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'aquamind-pipeline' "
        "AND datname = current_database() AND state <> 'idle'",
    )


def _cancel(connection: Connection, _: SecretStr) -> None:
    """The server cancels our statement."""
    connection.execute("SET LOCAL statement_timeout = 1")
    connection.execute("SELECT pg_sleep(10)")


@pytest.mark.parametrize("disturb", [_terminate, pytest.param(_cancel, marks=pytest.mark.slow)])
def test_a_disturbed_copy_is_healed_by_the_next_load(
    aquamind: SecretStr, lake: Lake, monkeypatch: pytest.MonkeyPatch, disturb: Callable[[Connection, SecretStr], None]
) -> None:
    """A connection that drops, or a query that is cancelled, in the middle of a COPY."""
    real = copy_frame
    calls = 0

    def disturbed(connection: Connection, *arguments: object, **options: object) -> int:
        nonlocal calls
        calls += 1
        mine = calls
        rows = real(connection, *arguments, **options)  # type: ignore[arg-type]
        if mine == len(REGISTRY.whole) + 3:
            disturb(connection, aquamind)  # its rows are there and not yet committed
            connection.execute("SELECT 1")
        return rows

    with monkeypatch.context() as once:
        once.setattr(aquamind_target, "copy_frame", disturbed)
        with pytest.raises(DatabaseError):
            load_everything(aquamind, lake)
    load_everything(aquamind, lake)
    assert row_counts(aquamind) == rows_of(lake)
    totals = {name: len(rows) for name, rows in contents(aquamind).items()}
    assert totals["batch_batch"] == lake.rows("batch_batch") + 1
    assert {name: totals[name] for name in REGISTRY.monthly} == {n: lake.rows(n) for n in REGISTRY.monthly}


def test_no_password_is_ever_shown(loaded: SecretStr, lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the journal, not in an error, not in a log."""
    password = loaded.get_secret_value().split(":")[2].split("@")[0]
    open_target(loaded).distrust(["batch_batch"])
    open_target(loaded).load_whole(lake)
    for name in ("farm", "load_journal", "identity", "suspended"):
        rows = ask(loaded, f"SELECT * FROM aquamind_pipeline.{name}")  # noqa: S608 - our own names
        assert password not in str(rows)
    with pytest.raises(DatabaseError) as refused, connect(loaded) as connection:
        connection.execute(sql.SQL("SELECT {}::int").format(sql.Literal(password)))
    assert password not in str(refused.value)
    assert password not in caplog.text


def test_frames_are_small(lake: Lake) -> None:
    """The tiny farm has several months, batches and stays, or the tests above prove little."""
    assert len(lake.partitions(EVENT)) > 3
    assert lake.read("batch_batch").height > 3
    assert lake.read("batch_batchcontainerassignment").filter(pl.col("departure_date").is_not_null()).height > 10
