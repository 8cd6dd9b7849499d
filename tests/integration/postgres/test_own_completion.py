"""Comments and indexes of our own database, also of one that was loaded before they existed."""

# ruff: noqa: S608 - all names in statements are ours

from __future__ import annotations

import psycopg
import pytest
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.environmental import readings
from aquamind_pipeline.errors import DatabaseLockedError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres import ddl, locks
from aquamind_pipeline.postgres.completion import as_ascii
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.settings import Settings
from tests.helpers.database import EVENT, ask, load_everything, load_months

MONTH = "2026-05"
READINGS = readings.READINGS.name
LOOKUPS = [ddl.index_name(index) for name in REGISTRY.aquamind for index in ddl.lookups(REGISTRY.table(name))]
COMMENTS = """
    SELECT n.nspname || '.' || c.relname || coalesce('.' || a.attname, ''), d.description
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (SELECT 0 AS attnum, NULL AS attname UNION ALL SELECT attnum, attname FROM pg_attribute
      WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) a
    LEFT JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = a.attnum
    WHERE n.nspname IN ('public', 'aquamind_pipeline') AND c.relkind IN ('r', 'p') AND NOT c.relispartition
"""
"""Every table and column, with its comment."""
INDEXES = """
    SELECT i.indrelid::regclass::text, pg_get_indexdef(p.indexrelid), bool_and(i.indisvalid) FROM pg_index i
    JOIN pg_inherits h ON h.inhrelid = i.indexrelid JOIN pg_index p ON p.indexrelid = h.inhparent GROUP BY 1, 2
"""
"""Each index of each partition, by the parent's index to which it belongs."""
QUESTIONS = {
    "last reading of a sensor": f"SELECT value FROM {READINGS} WHERE sensor_id = 1 ORDER BY reading_time DESC LIMIT 1",
    "readings of a batch": f"SELECT avg(value) FROM {READINGS} WHERE batch_id = 1",
    "readings of an assignment": f"SELECT avg(value) FROM {READINGS} WHERE batch_container_assignment_id = 1",
    "readings of a container": f"SELECT avg(value) FROM {READINGS} WHERE container_id = 1",
    "feedings of an assignment": f"SELECT sum(amount_kg) FROM {EVENT} WHERE batch_assignment_id = 1",
    "feedings of a batch": f"SELECT sum(amount_kg) FROM {EVENT} WHERE batch_id = 1",
    "deaths of an assignment": "SELECT sum(count) FROM batch_mortalityevent WHERE assignment_id = 1",
    "states of an assignment": "SELECT max(date) FROM batch_actualdailyassignmentstate WHERE assignment_id = 1",
    "weights of a sample": "SELECT avg(weight_g) FROM batch_individualgrowthobservation WHERE growth_sample_id = 1",
}


def execute(url: SecretStr, *statements: str) -> None:
    with psycopg.connect(url.get_secret_value(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def make_old(url: SecretStr) -> None:
    """Take away what an older version did not make."""
    told = ask(url, COMMENTS)
    columns = [str(name) for name, _ in told if str(name).count(".") == 2]
    execute(
        url,
        *(f"COMMENT ON TABLE {name} IS NULL" for name, _ in told if str(name).count(".") == 1),
        *(f'COMMENT ON COLUMN {name.rpartition(".")[0]}."{name.rpartition(".")[2]}" IS NULL' for name in columns),
        *(f"DROP INDEX public.{name}" for name in LOOKUPS),
    )


def test_every_table_and_column_has_a_comment(loaded_own: SecretStr, loaded_aquamind: SecretStr) -> None:
    """With units. AquaMind's tables have none of ours."""
    told = dict(ask(loaded_own, COMMENTS))
    assert [name for name, comment in told.items() if not comment] == []
    assert told["public.batch_batch"] == REGISTRY["batch_batch"].meaning
    assert told["public.inventory_feedingevent.amount_kg"] == "Feed given in this meal [kg]"
    assert told["public.batch_growthsample.avg_length_cm"] == "Mean length of a fish [cm]"
    assert told["public.infrastructure_hall.area_sqm"] == "Area [m²]; 1000 in all of the pipeline's rows"
    assert [name for name, comment in ask(loaded_aquamind, COMMENTS) if comment] == []


def test_comments_can_be_written_in_any_encoding(loaded_own: SecretStr) -> None:
    """An encoding may lack m³, so a database of another encoding than UTF-8 gets m3 (`test_sessions` loads some)."""
    told = [str(comment) for _, comment in ask(loaded_own, COMMENTS)]
    assert [one for one in map(as_ascii, told) if not one.isascii()] == []
    assert as_ascii("Fulton's K: 100 × weight [g] / length [cm]³") == "Fulton's K: 100 x weight [g] / length [cm]3"


@pytest.mark.parametrize("question", QUESTIONS)
def test_usual_questions_find_an_index_in_every_partition(loaded_own: SecretStr, question: str) -> None:
    """The planner is asked to avoid sequential scans, since it would read a table as small as these from its begin."""
    with psycopg.connect(loaded_own.get_secret_value()) as connection:
        connection.execute("SET enable_seqscan = off")
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {QUESTIONS[question]}".encode()))
    assert "Seq Scan" not in plan
    conditions = QUESTIONS[question].partition("WHERE ")[2].partition(" ")[0]
    assert f"Index Cond: ({conditions} = 1)" in plan


def test_a_database_of_an_older_version_gets_what_it_lacks(own: SecretStr, a_copy: Settings) -> None:
    """A load without anything new completes it; a month that is replaced, and a new one, are complete too."""
    comments, indexes = set(ask(own, COMMENTS)), set(ask(own, INDEXES))
    assert all(valid for *_, valid in indexes)
    make_old(own)
    assert set(ask(own, INDEXES)) < indexes
    lake = Lake(a_copy.lake_path)
    assert all(one.skipped for one in load_everything(own, lake))
    assert set(ask(own, COMMENTS)) == comments
    assert set(ask(own, INDEXES)) == indexes
    assert open_target(own).in_the_way_of_wipe() == []
    lake.write(EVENT, lake.read(EVENT, MONTH).slice(1), MONTH)
    assert load_months(own, lake, EVENT, [MONTH])
    assert set(ask(own, INDEXES)) == indexes
    assert open_target(own).wipe()


def test_comments_of_others_stay(own: SecretStr, a_copy: Settings) -> None:
    """On a table, on a column, on a partition of ours and on a column of theirs."""
    theirs = {
        f"public.{EVENT}": "Ask Anna",
        f"public.{EVENT}.amount_kg": "kilograms",
        f"public.{EVENT}.remark": "ours, not theirs",
    }
    part = f"aquamind_pipeline.{EVENT}_{MONTH.replace('-', '_')}"
    make_old(own)
    execute(own, f"ALTER TABLE {EVENT} ADD remark text", f"COMMENT ON COLUMN {part}.batch_id IS 'part'")
    for name, comment in theirs.items():
        execute(own, f"COMMENT ON {'COLUMN' if name.count('.') == 2 else 'TABLE'} {name} IS '{comment}'")
    lake = Lake(a_copy.lake_path)
    lake.write(EVENT, lake.read(EVENT, MONTH).slice(1), MONTH)
    load_everything(own, lake)
    assert theirs.items() <= dict(ask(own, COMMENTS)).items()
    query = (
        "SELECT col_description(%s::regclass, attnum) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s"
    )
    assert ask(own, query, part, part, "batch_id") == [("part",)]


def test_partitions_of_others_get_no_index(own: SecretStr, a_copy: Settings) -> None:
    """They are theirs. Ours get theirs all the same, also a month that comes later."""
    make_old(own)
    execute(own, "CREATE SCHEMA analyst", f"CREATE TABLE analyst.rest PARTITION OF {EVENT} DEFAULT")
    lake = Lake(a_copy.lake_path)
    load_everything(own, lake)
    execute(own, f"DROP TABLE aquamind_pipeline.{EVENT}_2026_06")
    open_target(own).distrust([EVENT])
    load_months(own, lake, EVENT, ["2026-06"])
    index = next(one for one in LOOKUPS if one.startswith(EVENT))
    having = ask(
        own,
        "SELECT i.indrelid::regclass::text FROM pg_inherits JOIN pg_index i ON i.indexrelid = inhrelid "
        "WHERE inhparent = %s::regclass ORDER BY 1",
        f"public.{index}",
    )
    assert having == [(f"aquamind_pipeline.{EVENT}_{month.replace('-', '_')}",) for month in lake.partitions(EVENT)]


def test_a_writer_in_the_way_is_named(own: SecretStr, a_copy: Settings) -> None:
    """What is complete by then stays, and the next load goes on."""
    lake, part = Lake(a_copy.lake_path), f"aquamind_pipeline.{EVENT}_2026_05"
    indexes = set(ask(own, INDEXES))
    make_old(own)
    with psycopg.connect(own.get_secret_value(), application_name="analyst") as other:
        other.execute(f"UPDATE {part} SET notes = notes WHERE id = (SELECT min(id) FROM {part})".encode())
        with locks.patience(0), pytest.raises(DatabaseLockedError, match="analyst"):
            open_target(own).load_whole(lake)
    assert dict(ask(own, COMMENTS))[f"public.{EVENT}"]
    open_target(own).load_whole(lake)
    assert set(ask(own, INDEXES)) == indexes
