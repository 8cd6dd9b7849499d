"""What others add to tables of our own: it survives a reload, or it is named before anything is written."""

# ruff: noqa: S608 - all names in statements are ours

from __future__ import annotations

import secrets
from datetime import date

import polars as pl
import psycopg
import pytest
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.lake import Lake, Manifest
from aquamind_pipeline.postgres.comparison import compared
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.settings import Settings
from tests.helpers.database import EVENT, SAMPLES, ask, load_everything, load_months, row_counts

MONTH = "2026-05"
PART = f"aquamind_pipeline.{EVENT}_2026_05"


@pytest.fixture
def changed(a_copy: Settings) -> Lake:
    """The lake with another file of a month."""
    lake = Lake(a_copy.lake_path)
    lake.write(EVENT, lake.read(EVENT, MONTH).slice(1), MONTH)
    return lake


def execute(url: SecretStr, *statements: str) -> None:
    with psycopg.connect(url.get_secret_value(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def on_a_day(lake: Lake, day: date) -> pl.DataFrame:
    """Feedings as on another day."""
    return lake.read(EVENT, MONTH).with_columns(feeding_date=pl.lit(day))


def test_a_new_database_fits(own: SecretStr, built: Settings) -> None:
    open_target(own).require_fit(Manifest.of(built.farm))


def test_columns_and_checks_of_others_come_along(own: SecretStr, changed: Lake) -> None:
    """A month in the place of an old one, and a new month. Masters keep the values of these columns."""
    execute(
        own,
        "CREATE TYPE mood AS ENUM ('calm', 'wild')",
        f"ALTER TABLE {EVENT} ADD remark text, ADD \"Their Mood\" mood NOT NULL DEFAULT 'calm', "
        "ADD seen timestamptz NOT NULL DEFAULT now(), ADD grams numeric GENERATED ALWAYS AS (amount_kg * 1000) STORED, "
        "ADD name varchar(20) COLLATE \"C\" DEFAULT 'it''s {index} %s'",
        f"ALTER TABLE {EVENT} ADD CONSTRAINT fed CHECK (amount_kg >= 0 AND remark IS DISTINCT FROM '%')",
        f"ALTER TABLE {EVENT} ALTER notes SET NOT NULL",
        "ALTER TABLE batch_batch ADD remark text",
        "UPDATE batch_batch SET remark = 'theirs'",
    )
    changed.write(EVENT, on_a_day(changed, date(2026, 7, 1)), "2026-07")
    target = open_target(own)
    target.distrust(["batch_batch"])
    load_everything(own, changed)
    assert [one.detail for one in compared(target, changed, [EVENT]) if not one.passed] == []
    same = "count(*) FILTER (WHERE grams = amount_kg * 1000 AND \"Their Mood\" = 'calm' AND seen IS NOT NULL)"
    rows = changed.rows(EVENT, MONTH)
    assert ask(own, f"SELECT {same}, count(*) FROM {PART}") == [(rows, rows)]
    assert ask(own, "SELECT count(*) FROM batch_batch WHERE remark = 'theirs'") == [(changed.rows("batch_batch"),)]


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (
            [f"ALTER TABLE {EVENT} ADD who text NOT NULL DEFAULT ''", f"ALTER TABLE {EVENT} ALTER who DROP DEFAULT"],
            f"column public.{EVENT}.who of somebody else's must not be null, and our rows have no value for it",
        ),
        (
            [f"ALTER TABLE {EVENT} ADD number bigint GENERATED ALWAYS AS IDENTITY"],
            f"column public.{EVENT}.number of somebody else's must not be null",
        ),
        ([f"ALTER TABLE {EVENT} DROP COLUMN notes"], f"column public.{EVENT}.notes is missing"),
        (
            [f"ALTER TABLE {EVENT} ALTER amount_kg TYPE numeric(14,5)"],
            rf"column public.{EVENT}.amount_kg is numeric\(14,5\), and we made it numeric\(10,4\): change it back",
        ),
        (["ALTER TABLE batch_batch RENAME notes TO remarks"], "column public.batch_batch.notes is missing"),
    ],
)
def test_columns_that_our_rows_do_not_fit_are_named_first(
    own: SecretStr, changed: Lake, statements: list[str], message: str
) -> None:
    execute(own, *statements)
    manifest = changed.manifest()
    assert manifest is not None
    for refuse in (open_target(own).require_fit, open_target(own).prepare):
        with pytest.raises(DatabaseError, match=message) as refused:
            refuse(manifest)
        assert "\n" not in str(refused.value)


def test_a_check_that_refuses_our_rows_is_found_before_masters_are_committed(own: SecretStr, changed: Lake) -> None:
    execute(
        own,
        f"DELETE FROM {EVENT} WHERE id = (SELECT max(id) FROM {PART})",
        f"ALTER TABLE {EVENT} ADD CONSTRAINT strict CHECK (id <> {changed.read(EVENT, MONTH)['id'].max()})",
        "UPDATE batch_batch SET notes = 'before'",
    )
    target = open_target(own)
    target.distrust(["batch_batch"])
    with pytest.raises(DatabaseError, match=f'refuses rows of {EVENT}: new row .* violates check constraint "strict"'):
        target.load_whole(changed)
    assert ask(own, "SELECT DISTINCT notes FROM batch_batch") == [("before",)]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("remark text", "'seen'"),
        ("checked boolean NOT NULL DEFAULT false", "true"),
        ("price numeric(10,2) DEFAULT 0", "5"),
        ("facts json DEFAULT '{}'", "'[1]'"),
    ],
)
def test_values_of_others_in_a_month_are_not_lost(own: SecretStr, changed: Lake, column: str, value: str) -> None:
    """Neither by another file of the month, nor silently."""
    name = column.split()[0]
    execute(
        own,
        f"ALTER TABLE {EVENT} ADD {column}",
        f"UPDATE {EVENT} SET {name} = {value} WHERE id = (SELECT max(id) FROM {PART})",
    )
    with pytest.raises(DatabaseError, match=f"{EVENT} {MONTH} cannot be replaced: its column {name} of somebody else"):
        load_months(own, changed, EVENT, [MONTH])
    assert ask(own, f"SELECT count(*) FROM {EVENT} WHERE {name}::text = ({value})::text OR {name}::text = '5.00'") == [
        (1,)
    ]
    execute(own, f"UPDATE {EVENT} SET {name} = DEFAULT")
    load_months(own, changed, EVENT, [MONTH])
    assert row_counts(own, [EVENT]) == {EVENT: changed.rows(EVENT)}


SNAPSHOT = """
SELECT array(SELECT r::text FROM unnest(relacl) r ORDER BY 1), relreplident, relrowsecurity,
  relforcerowsecurity, relpersistence, pg_get_userbyid(relowner),
  array(SELECT o FROM unnest(c.reloptions) o WHERE o NOT LIKE 'autovacuum%%threshold%%' ORDER BY o),
  (SELECT reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid),
  (SELECT spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace),
  obj_description(c.oid, 'pg_class'),
  array(SELECT attname || coalesce(attacl::text, '') || coalesce(col_description(c.oid, attnum), '') || attstorage::text
    || attcompression::text || coalesce(attoptions::text, '') || coalesce(attstattarget, -1) || attnotnull
    FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 ORDER BY attname),
  array(SELECT (h.inhparent::regclass::text, i.indisreplident, i.indisclustered, x.reloptions,
    obj_description(x.oid, 'pg_class'))::text FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
    JOIN pg_inherits h ON h.inhrelid = x.oid WHERE i.indrelid = c.oid ORDER BY 1)
FROM pg_class c WHERE c.oid = '{}'::regclass
"""
"""All that somebody may set on a partition."""


@pytest.mark.parametrize("indexed", [False, True])
def test_what_is_set_on_a_partition_comes_along(own: SecretStr, changed: Lake, indexed: bool) -> None:
    """Rights, replica identity, options, comments, statistics, storage: of the table and of its indexes."""
    role = f"analyst_{secrets.token_hex(3)}"
    index = ask(
        own,
        f"SELECT i.indexrelid::regclass::text FROM pg_index i WHERE indrelid = '{PART}'::regclass AND indisprimary",
    )[0][0]
    execute(
        own,
        f"CREATE ROLE {role}",
        f"GRANT SELECT ON {PART} TO PUBLIC",
        f"GRANT SELECT, UPDATE (notes) ON {PART} TO {role} WITH GRANT OPTION",
        f"GRANT INSERT ON {PART} TO {role}",
        f"REVOKE TRUNCATE ON {PART} FROM CURRENT_USER",
        f"ALTER TABLE {PART} SET (fillfactor = 80, autovacuum_enabled = false, toast.autovacuum_enabled = false)",
        f"COMMENT ON TABLE {PART} IS 'it''s {{index}} %s'",
        f"COMMENT ON COLUMN {PART}.amount_kg IS 'kilograms'",
        f"ALTER TABLE {PART} ALTER notes SET STATISTICS 500, ALTER notes SET STORAGE EXTERNAL",
        f"ALTER TABLE {PART} ALTER batch_id SET (n_distinct = 6)",
        f"ALTER TABLE {PART} ALTER notes SET NOT NULL, ENABLE ROW LEVEL SECURITY",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA aquamind_pipeline GRANT DELETE ON TABLES TO {role}",
        *(
            [
                f"ALTER TABLE {PART} REPLICA IDENTITY USING INDEX {str(index).rpartition('.')[2]}",
                f"ALTER TABLE {PART} CLUSTER ON {str(index).rpartition('.')[2]}",
                f"ALTER INDEX {index} SET (fillfactor = 70)",
                f"COMMENT ON INDEX {index} IS 'the {{table}}'",
            ]
            if indexed
            else [f"ALTER TABLE {PART} REPLICA IDENTITY FULL"]
        ),
    )
    before, oid = ask(own, SNAPSHOT.format(PART)), ask(own, f"SELECT '{PART}'::regclass::oid")
    load_months(own, changed, EVENT, [MONTH])
    assert ask(own, f"SELECT '{PART}'::regclass::oid") != oid
    assert ask(own, SNAPSHOT.format(PART)) == before
    execute(own, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_partitions_of_others_are_not_counted_as_ours(own: SecretStr, changed: Lake) -> None:
    execute(
        own,
        "CREATE SCHEMA analyst",
        f"CREATE TABLE analyst.rest PARTITION OF {EVENT} DEFAULT",
        f"CREATE TABLE analyst.ahead PARTITION OF {EVENT} FOR VALUES FROM ('2040-01-01') TO ('2041-01-01')",
        *(
            f'INSERT INTO {EVENT} SELECT (jsonb_populate_record(t, \'{{"feeding_date": "{day}", "id": 9000000}}\')).* '
            f"FROM {PART} t LIMIT 1"
            for day in ("2030-01-01", "2040-05-05")
        ),
    )
    load_everything(own, changed)
    assert row_counts(own, [EVENT]) == {EVENT: changed.rows(EVENT)}
    assert [one.detail for one in compared(open_target(own), changed, [EVENT]) if not one.passed] == []
    changed.write(EVENT, on_a_day(changed, date(2030, 1, 1)), "2030-01")
    target = open_target(own)
    target.distrust(["batch_batch"])
    message = f"{EVENT}: 1 rows of 2030-01 to 2030-01 are in the partition analyst.rest of somebody else's: delete them"
    with pytest.raises(DatabaseError, match=message):
        target.load_whole(changed)
    execute(own, "DELETE FROM analyst.rest")
    target.load_whole(changed)
    assert load_months(own, changed, EVENT, ["2030-01"])


def test_a_foreign_key_of_others_to_a_monthly_table_is_named_once(own: SecretStr, changed: Lake) -> None:
    time = REGISTRY[SAMPLES].time
    keys = ", ".join(column.name for column in REGISTRY.table(SAMPLES).primary_key.columns)
    execute(
        own,
        "CREATE SCHEMA analyst",
        f"CREATE TABLE analyst.notes (id bigint, {time} date, CONSTRAINT of_sample FOREIGN KEY (id, {time}) "
        f"REFERENCES {SAMPLES} ({keys}))",
    )
    named = f"table constraint of_sample on analyst.notes depends on public.{SAMPLES}"
    assert open_target(own).in_the_way_of_wipe() == [named]
    changed.write(SAMPLES, changed.read(SAMPLES, MONTH).slice(1), MONTH)
    with pytest.raises(DatabaseError) as refused:
        load_months(own, changed, SAMPLES, [MONTH])
    assert str(refused.value) == f"{SAMPLES} {MONTH} cannot be replaced: {named}: drop it first"
