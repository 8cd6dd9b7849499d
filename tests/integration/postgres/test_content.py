"""The comparison of lake and database compares content: every kind of change to a value, in both kinds of database."""

from __future__ import annotations

import secrets

import psycopg
import pytest
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres import content, interference
from aquamind_pipeline.postgres.comparison import compared, differences
from aquamind_pipeline.postgres.connection import Connection, connect
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.settings import Settings
from tests.conftest import new_database
from tests.helpers.database import EVENT, STATES, load_everything


@pytest.fixture(scope="module")
def lake(built: Settings) -> Lake:
    return Lake(built.lake_path)


@pytest.fixture
def own(loaded_own: SecretStr) -> SecretStr:
    """A loaded database of our own. Changes to it are rolled back."""
    return loaded_own


@pytest.fixture
def theirs(loaded_aquamind: SecretStr) -> SecretStr:
    """A loaded database of AquaMind's. Changes to it are rolled back."""
    return loaded_aquamind


def found(connection: Connection, url: SecretStr, lake: Lake, name: str, month: str | None) -> list[tuple[str, ...]]:
    target = open_target(url)
    return content.differing(connection, name, target.part(connection, lake, name, month))


SWAP = (
    "UPDATE {table} t SET {column} = o.{column} FROM {table} o WHERE t.id IN ({low}, {high}) "
    "AND o.id IN ({low}, {high}) AND t.id <> o.id"
)
PARAMETERS, BATCHES = "environmental_environmentalparameter", "batch_batch"
CHANGES = [
    (PARAMETERS, "unit", "unit = '℃' WHERE unit = '°C'", "2 × '°C'", "2 × '℃'"),
    (PARAMETERS, "unit", "unit = 'mg/l' WHERE unit = 'mg/L'", "'mg/L'", "'mg/l'"),
    (BATCHES, "notes", "notes = notes || ' '", "× ", "× "),
    (STATES, "sources", """sources = replace(sources::text, 'actual', 'guesss')::jsonb""", "actual", "guesss"),
    (STATES, "avg_weight_g", "avg_weight_g = avg_weight_g + 0.01 WHERE id = {one}", "sum", "sum"),
    (
        STATES,
        "last_computed_at",
        "last_computed_at = last_computed_at + interval '1 microsecond' WHERE id = {one}",
        "",
        "",
    ),
    (STATES, "last_computed_at", "last_computed_at = 'infinity' WHERE id = {one}", "can be read", "cannot be read"),
    (EVENT, "feeding_time", "feeding_time = feeding_time + interval '1 microsecond' WHERE id = {one}", "mean", "mean"),
    (EVENT, "recorded_by_id", "recorded_by_id = (SELECT min(id) FROM public.auth_user)", "0 values", "values"),
    (EVENT, "notes", "notes = 'x' WHERE id = {one}", "1 × ''", "1 × 'x'"),
    (EVENT, "feed_cost", "feed_cost = NULL WHERE id = {one}", "values", "values"),
]


def _month(lake: Lake, name: str) -> str | None:
    return lake.partitions(name)[2] if name in REGISTRY.monthly else None


@pytest.mark.parametrize("kind", ["own", "theirs"])
@pytest.mark.parametrize(("table", "column", "change", "mine", "other"), CHANGES)
def test_a_changed_value_is_found_and_shown(
    kind: str, table: str, column: str, change: str, mine: str, other: str, lake: Lake, request: pytest.FixtureRequest
) -> None:
    """Another text of the same length, other case, a space more, JSON, the smallest unit of numbers and times, null."""
    url = request.getfixturevalue(kind)
    month = _month(lake, table)
    with connect(url) as connection:
        part = open_target(url).part(connection, lake, table, month)
        source, where = part.source.as_string(connection), part.where.as_string(connection)
        one = f"(SELECT min(id) FROM {source} WHERE {column} IS NOT NULL AND {where})"  # noqa: S608 - names of ours
        statement, _, rest = change.partition(" WHERE ")
        rest = (rest or "true").format(one=one)
        connection.execute(f"UPDATE {source} SET {statement} WHERE ({rest}) AND {where}".encode())  # noqa: S608
        ((differs, lake_has, database_has),) = found(connection, url, lake, table, month)
        connection.rollback()
        assert found(connection, url, lake, table, month) == []
    assert differs == (content.ROWS if "infinity" in change else column)
    assert mine in lake_has
    assert other in database_has
    assert lake_has != database_has


@pytest.mark.parametrize("kind", ["own", "theirs"])
@pytest.mark.parametrize(
    ("table", "column"),
    [
        (EVENT, "amount_kg"),
        (EVENT, "feed_cost"),
        (STATES, "confidence_scores"),
        (PARAMETERS, "unit"),
        (BATCHES, "start_date"),
    ],
)
def test_values_that_changed_places_are_found(
    kind: str, table: str, column: str, lake: Lake, request: pytest.FixtureRequest
) -> None:
    """The column adds up to the same, and has the same texts."""
    url = request.getfixturevalue(kind)
    month = _month(lake, table)
    with connect(url) as connection:
        part = open_target(url).part(connection, lake, table, month)
        source, where = part.source.as_string(connection), part.where.as_string(connection)
        query = f"SELECT min(id) FROM {source} WHERE {where} GROUP BY {column} ORDER BY 1 LIMIT 2"  # noqa: S608
        ids = [row[0] for row in connection.execute(query.encode())]
        query = f"SELECT id, {column}::text FROM {source} WHERE id = ANY(%s)"  # noqa: S608 - names of ours
        (low, first), (high, second) = connection.execute(query.encode(), (ids,)).fetchall()
        assert first != second
        swap = SWAP.format(table=source, column=column, low=low, high=high)
        assert connection.execute(swap.encode()).rowcount == 2
        ((differs, *words),) = found(connection, url, lake, table, month)
        assert words == ["the same values", "in other rows"]
        # AquaMind gives the ids, so rows are told apart by their other columns, which may be the same.
        assert differs == column or (kind == "theirs" and differs == content.ROWS)
        connection.rollback()


def test_the_message_names_what_differs_and_the_trigger(server: SecretStr, own: SecretStr, lake: Lake) -> None:
    """On the command line and on Dagster's page, where a check's detail is its description."""
    with new_database(server, like=own) as url:
        with psycopg.connect(url.get_secret_value()) as connection:
            connection.execute("UPDATE batch_batch SET notes = 'theirs' WHERE id = 1")
            connection.execute("DELETE FROM inventory_feedingevent WHERE id = 1")
            connection.execute("CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
            connection.execute("CREATE TRIGGER audit BEFORE INSERT ON batch_batch FOR EACH ROW EXECUTE FUNCTION pass()")
        arrived, compared_content = compared(open_target(url), lake, [BATCHES, EVENT])
        rows = lake.rows(EVENT)
        assert arrived.detail == f"tables that differ: {EVENT} (lake {rows:,} rows, database {rows - 1:,} rows)"
        assert (
            "batch_batch notes (lake 1 × '', database 1 × 'theirs'); inventory_feedingevent 2026-02 (rows) (lake "
            in (compared_content.detail)
        )
        assert compared_content.detail.endswith(". batch_batch has the trigger audit, which may change rows")


def test_what_may_change_rows_is_named(server: SecretStr, aquamind_template: SecretStr) -> None:
    """Triggers, rules, row security, generated columns; not those that are off, and not foreign keys."""
    with new_database(server, like=aquamind_template) as url, connect(url) as connection:
        assert interference.causes(connection, REGISTRY.aquamind) == {}
        connection.execute("""
            SET LOCAL search_path = public;
            CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE TRIGGER "Audit it" AFTER UPDATE ON batch_batch FOR EACH ROW EXECUTE FUNCTION pass();
            CREATE TRIGGER off BEFORE INSERT ON batch_species FOR EACH ROW EXECUTE FUNCTION pass();
            ALTER TABLE batch_species DISABLE TRIGGER off;
            CREATE RULE twice AS ON UPDATE TO batch_batch DO ALSO SELECT 1;
            ALTER TABLE batch_growthsample ADD twice numeric GENERATED ALWAYS AS (sample_size * 2) STORED;
            ALTER TABLE inventory_feed ENABLE ROW LEVEL SECURITY;
            CREATE ROLE somebody; GRANT USAGE ON SCHEMA public TO somebody; SET LOCAL ROLE somebody;
        """)
        causes = interference.causes(connection, REGISTRY.aquamind)
        assert set(causes.values()) == {
            "batch_batch has the trigger Audit it, which may change rows and the rule twice, which may change rows",
            "batch_growthsample has the generated column twice",
            "inventory_feed has row security, which may hide or refuse rows",
        }
        connection.rollback()


def test_every_column_is_compared(own: SecretStr, lake: Lake) -> None:
    """And an equal farm has no differences."""
    parts = {name: lake.partitions(name) if name in REGISTRY.monthly else [None] for name in REGISTRY.aquamind}
    assert differences(open_target(own), lake, parts).is_empty()


def test_a_text_in_a_wrong_encoding_is_found(server: SecretStr, lake: Lake) -> None:
    """In a LATIN1 database. `Â°C` is what it has when it takes the bytes of `°C` in UTF-8 for LATIN1."""
    name = f"latin_{secrets.token_hex(4)}"
    with psycopg.connect(server.get_secret_value(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0".encode())
        try:
            url = SecretStr(f"{server.get_secret_value().rpartition('/')[0]}/{name}?client_encoding=utf8")
            load_everything(url, lake)
            assert [one.detail for one in compared(open_target(url), lake, REGISTRY.aquamind) if not one.passed] == []
            with connect(url) as another:
                another.execute(f"UPDATE public.{PARAMETERS} SET unit = 'Â°C' WHERE unit = '°C'".encode())  # noqa: S608
            (difference,) = differences(open_target(url), lake, {PARAMETERS: [None]}).rows()
            assert difference == (PARAMETERS, "", "unit", "2 × '°C'", "2 × 'Â°C'")
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
