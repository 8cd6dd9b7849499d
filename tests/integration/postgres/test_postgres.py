"""The load, against a real PostgreSQL."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import psycopg
import pytest
from polars.testing import assert_frame_equal
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline import report
from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseAwayError, DatabaseError, TransientError
from aquamind_pipeline.lake import Lake, Manifest
from aquamind_pipeline.pipeline import check_results
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.comparison import compared, differences
from aquamind_pipeline.postgres.connection import connect
from aquamind_pipeline.postgres.copying import Loaded
from aquamind_pipeline.postgres.server import EmbeddedServer
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.postgres.targets.own import INDEXED_COST
from aquamind_pipeline.schema.frames import complete, full_schema, primary_key, references
from aquamind_pipeline.settings import Settings
from tests.conftest import new_database
from tests.helpers import farms
from tests.helpers.database import (
    EVENT,
    FISH,
    SAMPLES,
    STATES,
    ask,
    load_everything,
    load_months,
    nobody_loads,
    row_counts,
    rows_of,
    without_last_days,
)
from tests.helpers.farms import wait_for

TABLES = {name: REGISTRY.table(name) for name in REGISTRY.aquamind}


@pytest.fixture
def lake(built: Settings) -> Lake:
    return Lake(built.lake_path)


@pytest.fixture
def loaded(server: SecretStr, loaded_own: SecretStr) -> Iterator[SecretStr]:
    with new_database(server, like=loaded_own) as url:
        yield url


def test_every_value_arrives(loaded: SecretStr, lake: Lake) -> None:
    """Every cell of every table, read back and compared with the lake."""
    with psycopg.connect(loaded.get_secret_value()) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        for name, table in TABLES.items():
            wanted = complete(lake.scan(name), table).collect().sort(primary_key(table))
            columns = sql.SQL(", ").join(
                # JSON comes back as text, so that it can be compared as text
                sql.SQL("{}::text").format(sql.Identifier(c.name)) if str(c.type) == "JSONB" else sql.Identifier(c.name)
                for c in table.columns
            )
            query = sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(name))
            found = pl.DataFrame(connection.execute(query).fetchall(), schema=dict(full_schema(table)), orient="row")
            found = found.sort(primary_key(table))
            for one in (c.name for c in table.columns if str(c.type) == "JSONB"):
                theirs, ours = ([text and json.loads(text) for text in rows[one]] for rows in (found, wanted))
                assert theirs == ours
                found, wanted = found.drop(one), wanted.drop(one)
            assert_frame_equal(found, wanted, check_exact=True)


AGGREGATES_DIFFER = """
SELECT sample.id FROM batch_growthsample sample LEFT JOIN (
    SELECT growth_sample_id AS id, count(*) AS size,
        round(avg(weight_g), 2) AS weight, round(stddev_pop(weight_g), 2) AS weight_deviation,
        round(avg(length_cm), 2) AS length, round(stddev_pop(length_cm), 2) AS length_deviation,
        round(100 * avg(weight_g) / power(avg(length_cm), 3), 2) AS condition,
        min(weight_g) AS lightest, max(weight_g) AS heaviest
    FROM batch_individualgrowthobservation GROUP BY growth_sample_id
) fish USING (id)
WHERE (sample_size, avg_weight_g, std_deviation_weight, avg_length_cm, std_deviation_length, condition_factor,
    min_weight_g, max_weight_g)
    IS DISTINCT FROM (size, weight, weight_deviation, length, length_deviation, condition, lightest, heaviest)
"""


def test_samples_are_what_postgresql_computes_of_their_fish(loaded: SecretStr) -> None:
    """Also where a mean lies exactly between two numbers, which AquaMind leaves to PostgreSQL: it rounds up."""
    halves = (
        "SELECT count(*) FROM (SELECT sum(weight_g) FROM batch_individualgrowthobservation GROUP BY growth_sample_id"
    )
    assert ask(loaded, halves + " HAVING mod(100 * avg(weight_g), 1) = 0.5) tied")[0][0] > 0, (
        "the test needs such means"
    )
    assert ask(loaded, AGGREGATES_DIFFER) == []


def test_the_second_load_changes_nothing(loaded: SecretStr, lake: Lake) -> None:
    before = row_counts(loaded)
    stamps = ask(loaded, "SELECT table_name, partition, loaded_at FROM aquamind_pipeline.load_journal ORDER BY 1, 2")
    again = load_everything(loaded, lake)
    assert all(one.skipped for one in again)
    assert row_counts(loaded) == before == rows_of(lake)
    assert (
        ask(loaded, "SELECT table_name, partition, loaded_at FROM aquamind_pipeline.load_journal ORDER BY 1, 2")
        == stamps
    )


def test_keys_and_indexes_are_in_place_and_valid(loaded: SecretStr, lake: Lake) -> None:
    """Every foreign key, on parents and partitions, validated; no index invalid; partitions attached."""
    wanted = sum(len(table.foreign_key_constraints) for table in TABLES.values())
    enforced = ask(
        loaded,
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated "
        "AND conrelid::regclass::text = ANY(%s) AND conparentid = 0",
        list(REGISTRY.aquamind),
    )
    assert enforced == [(wanted,)]
    assert ask(loaded, "SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == [(0,)]
    assert ask(loaded, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    for name in REGISTRY.monthly:
        on_parent = {c.name for c in REGISTRY.table(name).columns for _ in c.foreign_keys}
        partitions = ask(loaded, "SELECT inhrelid FROM pg_inherits WHERE inhparent = %s::regclass", name)
        assert len(partitions) == len(lake.partitions(name))
        for (partition,) in partitions:
            keys = ask(
                loaded,
                "SELECT a.attname FROM pg_constraint c JOIN pg_attribute a "
                "ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] WHERE c.conrelid = %s AND c.contype = 'f'",
                partition,
            )
            assert {column for (column,) in keys} == on_parent
            assert len(keys) == len(on_parent), "every key once, not again by ATTACH"
    with pytest.raises(DatabaseError, match="violates foreign key"), connect(loaded) as connection:
        connection.execute("UPDATE public.inventory_feedingevent SET feed_id = 999")


def test_aquamind_can_go_on_inserting(loaded: SecretStr) -> None:
    """Sequences stand after our ids, in plain tables and in partitioned ones."""
    for name, table in TABLES.items():
        key = primary_key(table)[0]
        if key in references(table):  # a summary has the id of what it sums up
            continue
        following = ask(loaded, "SELECT pg_get_serial_sequence(%s, %s)", name, key)
        most = ask(loaded, f"SELECT max({key}) FROM {name}")[0][0]  # noqa: S608 - names of our own
        assert following[0][0], name
        assert ask(loaded, "SELECT nextval(%s)", following[0][0]) == [(most + 1,)], name  # type: ignore[operator]


def test_what_goes_wrong_in_the_database_is_seen(loaded: SecretStr, lake: Lake, built: Settings) -> None:
    """A lost row, a changed value, a doubled population: the faults for the rules arrived, content and verified."""

    def failed(name: str) -> set[str]:
        return {one.rule for one in compared(open_target(loaded), lake, [name]) if not one.passed}

    assert failed(EVENT) == failed(STATES) == set()
    with psycopg.connect(loaded.get_secret_value()) as connection:
        connection.execute("UPDATE inventory_feedingevent SET amount_kg = amount_kg + 0.0001 WHERE id = 1")
    assert failed(EVENT) == {"content"}
    with psycopg.connect(loaded.get_secret_value()) as connection:
        connection.execute("DELETE FROM inventory_feedingevent WHERE id = 1")
    assert failed(EVENT) == {"arrived", "content"}
    with psycopg.connect(loaded.get_secret_value()) as connection:
        connection.execute(
            "UPDATE batch_actualdailyassignmentstate SET population = population * 2 WHERE day_number > 30"
        )
        connection.execute("UPDATE batch_batchcontainerassignment SET is_active = false WHERE is_active")
        connection.execute("DELETE FROM batch_actualdailyassignmentstate WHERE id = 1")
    verified, _ = report.verify(loaded, built.farm)
    wrong = {check.name for check in verified.checks if not check.passed}
    assert wrong >= {"no doubling", "volumes", "utilisation"}


def test_a_database_without_rows_fails_its_report(database: SecretStr, built: Settings, tmp_path: Path) -> None:
    """As a load that was killed early leaves it."""
    open_target(database).prepare(Manifest.of(built.farm))
    verified, shown = report.verify(database, built.farm)
    report.save_page(verified, shown, pl.DataFrame(schema=check_results.SCHEMA), tmp_path / "page.html")
    wrong = {check.name for check in verified.checks if not check.passed}
    assert wrong >= {"batches", "volumes", "one batch", "utilisation"}


def test_a_changed_id_is_seen(loaded: SecretStr, lake: Lake) -> None:
    with psycopg.connect(loaded.get_secret_value()) as connection:
        connection.execute("UPDATE inventory_feedingevent SET id = -1 WHERE id = 1")
    _, content = compared(open_target(loaded), lake, [EVENT])
    assert content.sample["column"].to_list() == ["id"]


def test_a_lake_that_is_newer_than_the_database_has_not_arrived(loaded: SecretStr, a_copy: Settings) -> None:
    lake = Lake(a_copy.lake_path)
    lake.write(EVENT, lake.read(EVENT, "2026-06"), "2026-07")
    arrived, content = compared(open_target(loaded), lake, [EVENT])
    assert not arrived.passed
    assert content.sample.rows() == [(EVENT, "2026-07", "(rows)", str(lake.rows(EVENT, "2026-07")), "not loaded")]


def test_a_comparison_with_a_damaged_file_has_failed(loaded: SecretStr, a_copy: Settings) -> None:
    """And one that finds no database has not been made: the step is tried again."""
    lake = Lake(a_copy.lake_path)
    lake.damage(EVENT, "2026-06", keep=0.5)
    found = {
        one.rule: (one.passed, one.detail.partition(":")[0]) for one in compared(open_target(loaded), lake, [EVENT])
    }
    assert found == dict.fromkeys(("arrived", "content"), (False, "cannot be checked"))
    nobody = SecretStr("postgresql://nobody@localhost:1/nothing")
    with pytest.raises(TransientError):
        compared(open_target(nobody), lake, [EVENT])


def change_month(settings: Settings, table: str, month: str) -> Lake:
    lake = Lake(settings.lake_path)
    lake.write(table, lake.read(table, month).slice(1), month)
    return lake


def test_changed_months_are_swapped_side_by_side(loaded: SecretStr, a_copy: Settings) -> None:
    """All months of all tables replaced by two connections at once: no deadlock, no doubles, nothing else touched."""
    lake = Lake(a_copy.lake_path)
    for name in REGISTRY.monthly:
        for month in lake.partitions(name):
            change_month(a_copy, name, month)
    again = load_everything(loaded, lake)
    assert {one.table for one in again if not one.skipped} == set(REGISTRY.monthly)
    assert row_counts(loaded) == rows_of(lake)


@pytest.mark.parametrize(
    ("days", "why"), [(2, ""), (25, "too many"), (2, "a row lacks"), (2, "no partition"), (2, "a row was deleted")]
)
def test_new_days_of_a_month_are_added_to_it(loaded: SecretStr, a_copy: Settings, days: int, why: str) -> None:
    """A night sends new rows only, and the month's table stays; unless something tells against it."""
    lake, month = Lake(a_copy.lake_path), "2026-05"
    whole = without_last_days(lake, month, days)
    before = {one.table: one.rows for one in load_everything(loaded, lake) if one.partition == month}
    stood = {name: ask(loaded, "SELECT %s::regclass::oid", table_of(name, month)) for name in whole}
    for name, rows in whole.items():
        lake.write(name, rows, month)
    if why == "a row lacks":
        change_month(a_copy, EVENT, month)
    elif why == "no partition":
        with connect(loaded) as connection:
            connection.execute(f"DROP TABLE {table_of(EVENT, month)}".encode())
    elif why == "a row was deleted":
        with connect(loaded) as connection:
            table = table_of(EVENT, month)
            connection.execute(f"DELETE FROM {table} WHERE id = (SELECT min(id) FROM {table})".encode())  # noqa: S608
    again = {one.table: one for one in load_everything(loaded, lake) if one.partition == month}
    assert {name: one.rows for name, one in again.items()} == {name: lake.rows(name, month) for name in whole}
    for name, one in again.items():
        many = one.rows - before[name] > before[name] // INDEXED_COST
        replaced = why == "too many" or many or (name == EVENT and why != "")
        assert one.sent == (one.rows if replaced else one.rows - before[name]), name
        assert (ask(loaded, "SELECT %s::regclass::oid", table_of(name, month)) != stood[name]) == replaced
    assert differences(open_target(loaded), lake, {name: [month] for name in whole}).is_empty()
    with pytest.raises(DatabaseError, match="violates foreign key"), connect(loaded) as connection:
        connection.execute("UPDATE public.batch_mortalityevent SET batch_id = 999")


def table_of(name: str, month: str) -> str:
    return f"aquamind_pipeline.{name}_{month.replace('-', '_')}"


def test_a_month_that_left_the_lake_leaves_the_database(loaded: SecretStr, a_copy: Settings) -> None:
    lake = Lake(a_copy.lake_path)
    names = [name for name in REGISTRY.monthly if not REGISTRY[name].snapshot]
    for name in names:
        lake.remove(name, "2026-06")
    load_everything(loaded, lake)
    assert row_counts(loaded, names) == {name: lake.rows(name) for name in names}


def test_master_rows_follow_the_lake(loaded: SecretStr, a_copy: Settings) -> None:
    """Changed, new and vanished rows; foreign keys are checked at the end, so order does not matter."""
    lake = Lake(a_copy.lake_path)
    feeds = lake.read("inventory_feed")
    changed = feeds.with_columns(brand=pl.lit("Other"))
    extra = changed.tail(1).with_columns(id=pl.lit(99, pl.Int64))
    lake.write("inventory_feed", pl.concat([changed, extra]))
    open_target(loaded).load_whole(lake)
    assert ask(loaded, "SELECT count(*), count(*) FILTER (WHERE id = 99) FROM inventory_feed") == [
        (feeds.height + 1, 1)
    ]
    lake.write("inventory_feed", feeds)
    open_target(loaded).load_whole(lake)
    assert ask(loaded, "SELECT count(*) FROM inventory_feed") == [(feeds.height,)]


def test_an_orphan_stops_its_month_and_only_that(loaded: SecretStr, a_copy: Settings) -> None:
    """A row that refers to nothing: the month's transaction fails as a whole, the old month stays."""
    lake = Lake(a_copy.lake_path)
    rows = lake.read(EVENT, "2026-04")
    lake.write(EVENT, rows.with_columns(feed_id=pl.lit(999, pl.Int64)), "2026-04")
    with pytest.raises(DatabaseError, match="violates foreign key constraint"):
        load_months(loaded, lake, EVENT, lake.partitions(EVENT))
    assert row_counts(loaded, [EVENT])[EVENT] == lake.rows(EVENT)
    assert ask(loaded, "SELECT count(*) FROM inventory_feedingevent WHERE feed_id = 999") == [(0,)]
    assert ask(loaded, "SELECT count(*) FROM pg_tables WHERE tablename LIKE '%%-new'") == [(0,)]


def _die_between_months(url: SecretStr, folder: Path) -> None:
    """Load one table until two of its months are done."""
    lake, done = Lake(folder), itertools.count(1)
    manifest = lake.manifest()
    assert manifest is not None
    open_target(url).prepare(manifest)
    open_target(url).load_whole(lake)

    def die_after_two() -> None:
        if next(done) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    load_months(url, lake, EVENT, lake.partitions(EVENT), on_done=die_after_two)


def test_a_killed_load_goes_on(a_copy: Settings, database: SecretStr) -> None:
    """SIGKILL between months, then again: the same rows as without the kill."""
    lake = Lake(a_copy.lake_path)
    process = multiprocessing.get_context("spawn").Process(
        target=_die_between_months, args=(database, Path(a_copy.lake_path))
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    wait_for(lambda: nobody_loads(database))
    months = journalled(database) - len(REGISTRY.whole)
    assert 2 <= months <= len(lake.partitions(EVENT))
    load_everything(database, lake)
    assert row_counts(database) == rows_of(lake)


def journalled(url: SecretStr) -> int:
    """Partitions that the database says it has."""
    return int(str(ask(url, "SELECT count(*) FROM aquamind_pipeline.load_journal")[0][0]))


def test_a_servers_crash_leaves_whole_months(home: Path, lake: Lake, tmp_path: Path) -> None:
    """The server stopped without a checkpoint in the middle of the load: after recovery the load goes on."""
    folder = home / "crash"
    server = EmbeddedServer(folder)
    manifest = lake.manifest()
    assert manifest is not None
    with server.running("farm") as url:
        open_target(url).prepare(manifest)
        open_target(url).load_whole(lake)
        done = 0

        def crash_after_two() -> None:
            nonlocal done
            done += 1
            if done == 2:
                server._control("stop", "--mode=immediate")

        with pytest.raises(DatabaseError):
            load_months(url, lake, EVENT, lake.partitions(EVENT), on_done=crash_after_two)
    with server.running("farm") as url:
        load_everything(url, lake)
        assert row_counts(url) == rows_of(lake)


def test_a_stale_files_number_is_not_the_server(home: Path) -> None:
    """After a crash the file names a process that was the server's: whoever has the number now is a stranger."""
    server = EmbeddedServer(home / "stale")
    with server.running("farm"):
        path = server.folder / "cluster" / "postmaster.pid"
        _, *rest = path.read_text().splitlines()
        assert server.url("farm") is not None
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as gone:
        for stranger in (1, gone.pid, os.getpid()):
            path.write_text("\n".join([str(stranger), *rest]) + "\n")
            assert server.url("farm") is None, stranger
        gone.communicate(b"\n")
    with server.running("farm") as url:
        assert ask(url, "SELECT 1") == [(1,)]


@pytest.fixture
def small_disk(home: Path, server: SecretStr) -> Iterator[Path]:
    """A disk of a few megabytes that the server may write to."""
    with farms.small_disk(home / "disk", "12m") as folder:
        os.chown(folder, 65534, 65534)
        folder.chmod(0o700)
        yield folder


def test_a_full_disk_of_the_server_is_said_and_healed(
    database: SecretStr, server: SecretStr, lake: Lake, small_disk: Path
) -> None:
    """PostgreSQL runs out of space in the middle of the readings; with more space the same load goes on."""
    space = sql.Identifier(small_disk.name)
    name = sql.Identifier(database.get_secret_value().rsplit("/", 1)[1])
    with psycopg.connect(server.get_secret_value(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(space, sql.Literal(str(small_disk))))
        connection.execute(sql.SQL("ALTER DATABASE {} SET default_tablespace = {}").format(name, space))
        with pytest.raises(DatabaseError, match="no space left on the server"):
            load_everything(database, lake)
        held = journalled(database)
        assert held > len(REGISTRY.whole), "full before the first event"
        subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
        assert any(not one.skipped for one in load_everything(database, lake))
        assert journalled(database) > held
        assert row_counts(database) == {name: lake.rows(name) for name in REGISTRY.aquamind}
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        connection.execute(sql.SQL("DROP TABLESPACE {}").format(space))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))  # for the fixture to drop


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda url: url.replace("@", "x@"),
            "password authentication failed",
        ),
        (lambda url: url.rsplit("/", 1)[0] + "/nowhere", 'database "nowhere" does not exist'),
        (lambda url: url.replace("127.0.0.1", "no.such.host.invalid"), "cannot be used"),
        (lambda url: "postgresql://a:b%zz@x/y", "cannot be read|cannot be used"),
    ],
)
def test_a_bad_url_is_said_in_one_line(server: SecretStr, spoil: Callable[[str], str], message: str) -> None:
    url = SecretStr(spoil(server.get_secret_value()))
    with pytest.raises(DatabaseError, match=message) as caught, connect(url):
        pass
    assert "\n" not in str(caught.value)
    password = server.get_secret_value().split(":")[2].split("@")[0]
    assert password not in str(caught.value)


def test_other_farms_and_foreign_tables_are_left_alone(loaded: SecretStr, database: SecretStr, lake: Lake) -> None:
    manifest = lake.manifest()
    assert manifest is not None
    other = Manifest("tiny", 7, manifest.version, "0123456789abcdef", manifest.as_of)
    with pytest.raises(DatabaseError, match="holds another farm .*wipe --no-files"):
        open_target(loaded).prepare(other)
    assert open_target(loaded).wipe()
    assert not open_target(loaded).wipe()
    assert ask(loaded, "SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'aquamind_pipeline')") == [(0,)]
    with psycopg.connect(loaded.get_secret_value()) as connection:
        connection.execute("CREATE TABLE batch_batch (id int)")
    with pytest.raises(DatabaseError, match="tables that are not ours"):
        open_target(loaded).prepare(manifest)


def test_one_load_at_a_time(loaded: SecretStr, lake: Lake) -> None:
    with connect(loaded) as connection:
        journal.lock(connection, loaded)
        with pytest.raises(DatabaseError, match="is being loaded by another process .server process"):
            open_target(loaded).load_whole(lake)


def test_months_of_two_loads_exclude_each_other(loaded: SecretStr, a_copy: Settings, lake: Lake) -> None:
    """While one loads, another one with a lake of its own is refused, whatever table it loads; then it may."""
    theirs = change_month(a_copy, STATES, "2026-04")

    def others_load() -> list[Loaded]:
        return load_months(loaded, theirs, STATES, ["2026-04"])

    def refused() -> None:
        with pytest.raises(DatabaseAwayError, match="is being loaded by another process .server process"):
            others_load()

    assert load_months(loaded, lake, EVENT, lake.partitions(EVENT), on_done=refused)
    assert not others_load()[0].skipped


def test_the_server_listens_on_loopback_and_asks_for_a_password(server: SecretStr) -> None:
    assert ask(server, "SHOW listen_addresses") == [("127.0.0.1",)]
    url = server.get_secret_value()
    without = url.replace(url.split(":")[2].split("@")[0], "")
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(without)


def test_every_reference_is_enforced_where_postgresql_can() -> None:
    """What is no foreign key leads to a table kept by month, or is none in AquaMind either, and says why."""
    for name, table in TABLES.items():
        enforced = {column.name for column in table.columns if column.foreign_keys}
        for column, (target, _) in references(table).items():
            why = table.columns[column].info.get("unenforced") or ""
            assert (column in enforced) == (target in REGISTRY.whole and not why.startswith("AquaMind")), (
                f"{name}.{column}"
            )
            assert (column in enforced) != bool(why), f"{name}.{column}"


def test_a_farm_of_a_version_with_fewer_tables_is_wiped(loaded: SecretStr) -> None:
    """This program's further tables are not there, and nobody misses them."""
    with psycopg.connect(loaded.get_secret_value()) as connection:
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(FISH)))
        connection.execute("UPDATE aquamind_pipeline.farm SET catalogue = 'an earlier one'")
    out = open_target(loaded).wipe()
    assert out is not None
    assert FISH not in out
    assert out[SAMPLES][0] > 0
    assert open_target(loaded).wipe() is None
