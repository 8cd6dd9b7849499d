"""What `wipe` takes out, what it leaves, and what it refuses, on a real PostgreSQL with sessions of others."""

# ruff: noqa: S608 - all names in statements are ours

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres import comparison
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.settings import Settings
from tests.conftest import new_database
from tests.helpers.commands import aquamind
from tests.helpers.database import EVENT, FISH, SAMPLES, ask, load_months, rows_of, we_wait
from tests.helpers.farms import wait_for

READINGS = "environmental_environmentalreading"


@pytest.fixture
def theirs(server: SecretStr, loaded_aquamind: SecretStr) -> Iterator[SecretStr]:
    with new_database(server, like=loaded_aquamind) as url:
        yield url


@pytest.fixture
def own(server: SecretStr, loaded_own: SecretStr) -> Iterator[SecretStr]:
    with new_database(server, like=loaded_own) as url:
        yield url


def someones_copy(connection: psycopg.Connection[tuple[object, ...]], table: str, key: int = 5_000_000) -> None:
    """Insert a row of somebody else's that refers to whatever a row of ours refers to."""
    column = REGISTRY.table(table).primary_key.columns[0].name
    connection.execute(
        sql.SQL(
            "INSERT INTO {table} SELECT (e).* FROM (SELECT jsonb_populate_record(t, jsonb_build_object({key}, {id}, "
            "'fish_identifier', 'theirs')) AS e FROM {table} t ORDER BY {column} LIMIT 1) AS one"
        ).format(
            table=sql.Identifier(table), key=sql.Literal(column), id=sql.Literal(key), column=sql.Identifier(column)
        )
    )


def execute(url: SecretStr, *statements: str) -> None:
    with psycopg.connect(url.get_secret_value()) as connection:
        for statement in statements:
            connection.execute(statement.encode())


LATE = [
    (READINGS, "SELECT count(*) FROM environmental_environmentalreading"),
    (FISH, "SELECT count(*) FROM batch_individualgrowthobservation f JOIN batch_growthsample ON f.growth_sample_id = "
     "batch_growthsample.id"),
    (
        "broodstock_batchparentage",  # not a table of ours, and PostgreSQL checks its reference at the commit only
        "SELECT count(*) FROM broodstock_batchparentage c JOIN batch_batch b ON b.id = c.batch_id",
    ),
    ("note_1", "SELECT count(*) FROM note n JOIN batch_batch b ON b.id = n.batch"),  # a partition that is named itself
]  # fmt: skip


@pytest.mark.parametrize(("table", "query"), LATE)
def test_a_row_that_is_committed_while_wipe_waits_survives(theirs: SecretStr, table: str, query: str) -> None:
    """Also where their settings give every transaction one view of the database."""
    name = theirs.get_secret_value().rsplit("/", 1)[1]
    execute(
        theirs,
        f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'",
        "CREATE TABLE note (batch bigint REFERENCES batch_batch DEFERRABLE INITIALLY DEFERRED) "
        "PARTITION BY RANGE (batch)",
        "CREATE TABLE note_1 PARTITION OF note DEFAULT",
        "INSERT INTO broodstock_eggproduction (id, egg_batch_id, egg_count, production_date, source_type, created_at, "
        "updated_at) VALUES (1, 'EGG-1', 1, now(), 'EXTERNAL', now(), now())",
    )
    with psycopg.connect(theirs.get_secret_value()) as session, ThreadPoolExecutor(1) as thread:
        if table in REGISTRY:
            someones_copy(session, table)
        elif table == "note_1":
            session.execute("INSERT INTO note_1 SELECT min(id) FROM batch_batch")
        else:
            session.execute(
                "INSERT INTO broodstock_batchparentage (assignment_date, created_at, updated_at, batch_id, "
                "egg_production_id) SELECT now(), now(), now(), min(id), 1 FROM batch_batch"
            )
        wiping = thread.submit(open_target(theirs).wipe)
        wait_for(lambda: we_wait(theirs) or wiping.done())
        session.commit()
        out = wiping.result()
    assert ask(theirs, query) == [(1,)]
    assert out is not None
    assert out["batch_batch"][1] == 1, "their row refers to our batch, at once or through our rows"
    assert ask(theirs, "SELECT count(*) FROM batch_batch") == [(1,)]


def test_a_table_of_others_that_our_role_may_not_read_is_named(theirs: SecretStr) -> None:
    """It refers to our rows, and what it refers to must stay. The message has the statements that help."""
    execute(theirs, "CREATE SCHEMA analyst", "CREATE TABLE analyst.fk (batch bigint REFERENCES batch_batch)")
    with a_role(theirs, "SELECT") as reader:
        name = reader.get_secret_value().split("//", 1)[1].split(":", 1)[0]
        with pytest.raises(DatabaseError) as refused:
            open_target(reader).wipe(dry_run=True)
        assert "analyst.fk refers to batch_batch, and role " in str(refused.value)
        grants = f'GRANT USAGE ON SCHEMA "analyst" TO "{name}"; GRANT SELECT ON "analyst"."fk" TO "{name}"'
        assert str(refused.value).endswith(grants)
        execute(theirs, *grants.split("; "))
        assert open_target(reader).wipe(dry_run=True)


def test_what_others_use_is_foretold_and_kept(theirs: SecretStr) -> None:
    """By foreign keys of several columns, to other keys than the primary one, and whatever these do on DELETE."""
    numbers = [str(row[0]) for row in ask(theirs, "SELECT batch_number FROM batch_batch ORDER BY id LIMIT 3")]
    execute(
        theirs,
        "CREATE SCHEMA analyst",
        "ALTER TABLE batch_batch ADD UNIQUE (id, start_date)",
        "CREATE TABLE analyst.by_number (number varchar(50) REFERENCES batch_batch (batch_number) ON DELETE CASCADE)",
        "CREATE TABLE analyst.by_two (day date, batch bigint, FOREIGN KEY (batch, day) "
        "REFERENCES batch_batch (id, start_date) ON DELETE SET NULL)",
        "CREATE TABLE analyst.by_sample (id serial, sample bigint REFERENCES batch_growthsample)",
        f"INSERT INTO analyst.by_number VALUES ('{numbers[0]}'), (NULL)",
        f"INSERT INTO analyst.by_two SELECT start_date, id FROM batch_batch WHERE batch_number = '{numbers[1]}'",
        "INSERT INTO analyst.by_sample (sample) SELECT max(id) FROM batch_growthsample",
    )
    used = ask(theirs, "SELECT batch_id FROM batch_growthsample s JOIN batch_batchcontainerassignment a ON a.id = "
               "s.assignment_id WHERE s.id = (SELECT max(id) FROM batch_growthsample)")  # fmt: skip
    kept = {row[0] for row in used} | {
        row[0] for row in ask(theirs, "SELECT id FROM batch_batch WHERE batch_number = ANY(%s)", numbers[:2])
    }
    planned = open_target(theirs).wipe(dry_run=True)
    assert planned is not None
    assert planned[SAMPLES][1] == 1
    assert planned["batch_batch"][1] == len(kept)
    assert open_target(theirs).wipe() == planned
    assert {row[0] for row in ask(theirs, "SELECT id FROM batch_batch")} == kept
    assert ask(theirs, "SELECT count(number), count(*) FROM analyst.by_number") == [(1, 2)]
    assert ask(theirs, "SELECT count(batch) FROM analyst.by_two") == [(1,)]
    assert ask(theirs, "SELECT count(*) FROM analyst.by_sample JOIN batch_growthsample s ON s.id = sample") == [(1,)]
    assert ask(theirs, f"SELECT count(*) FROM {FISH}") == [(0,)]


def test_rows_of_others_in_a_table_that_inherits_stay(theirs: SecretStr) -> None:
    """TRUNCATE would empty the other table as well, and it would fire no trigger for single rows."""
    execute(
        theirs,
        "CREATE SCHEMA analyst",
        f"CREATE TABLE analyst.archive () INHERITS ({READINGS})",
        f"INSERT INTO analyst.archive SELECT * FROM {READINGS} LIMIT 1",
        "UPDATE analyst.archive SET id = -1",
        "CREATE TABLE analyst.batches () INHERITS (batch_batch)",
        "INSERT INTO analyst.batches SELECT * FROM batch_batch LIMIT 1",
        "CREATE TABLE analyst.seen (id bigint)",
        "CREATE FUNCTION analyst.note() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO analyst.seen VALUES (OLD.id); RETURN OLD; END'",
        f"CREATE TRIGGER note AFTER DELETE ON {EVENT} FOR EACH ROW EXECUTE FUNCTION analyst.note()",
    )
    rows = ask(theirs, f"SELECT count(*) FROM {EVENT}")
    open_target(theirs).wipe()
    assert ask(theirs, "SELECT id FROM analyst.archive") == [(-1,)]
    assert ask(theirs, "SELECT count(*) FROM analyst.batches") == [(1,)], "a copy with the id of one of ours"
    assert ask(theirs, "SELECT count(*) FROM ONLY batch_batch") == [(0,)]
    assert ask(theirs, "SELECT count(*) FROM analyst.seen") == rows


def test_a_reload_leaves_rows_in_a_table_that_inherits(own: SecretStr, built: Settings) -> None:
    execute(
        own,
        "CREATE SCHEMA analyst",
        "CREATE TABLE analyst.batches () INHERITS (batch_batch)",
        "INSERT INTO analyst.batches SELECT * FROM batch_batch LIMIT 1",
        "UPDATE analyst.batches SET id = 999999",
    )
    target, lake = open_target(own), Lake(built.lake_path)
    target.distrust(target.whole)
    target.load_whole(lake)
    assert ask(own, "SELECT id FROM analyst.batches") == [(999999,)]
    assert [one.detail for one in comparison.compared(target, lake, ["batch_batch"]) if not one.passed] == []


def counts(url: SecretStr) -> dict[str, object]:
    return {name: ask(url, f"SELECT count(*) FROM {name}")[0][0] for name in REGISTRY.aquamind}


def test_a_wipe_that_cannot_do_what_it_says_changes_nothing(theirs: SecretStr) -> None:
    """A trigger of theirs keeps rows; then row security hides rows from our role."""
    before = counts(theirs)
    execute(
        theirs,
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER keep BEFORE DELETE ON batch_batch FOR EACH ROW EXECUTE FUNCTION keep()",
    )
    with pytest.raises(DatabaseError, match="batch_batch: .* rows should go and the server deleted 0: a trigger"):
        open_target(theirs).wipe()
    assert counts(theirs) == before
    execute(theirs, "DROP TRIGGER keep ON batch_batch", f"ALTER TABLE {EVENT} ENABLE ROW LEVEL SECURITY")
    with a_role(theirs, "SELECT, INSERT, UPDATE, DELETE, TRUNCATE") as url:
        for dry_run in (True, False):
            with pytest.raises(DatabaseError, match=f"row-level security policy for table .{EVENT}"):
                open_target(url).wipe(dry_run=dry_run)
    assert counts(theirs) == before


@contextlib.contextmanager
def a_role(url: SecretStr, rights: str) -> Iterator[SecretStr]:
    """A role with these rights on all tables, for the block, as the URL of the same database."""
    role, password = f"role_{secrets.token_hex(4)}", secrets.token_hex(8)
    execute(
        url,
        f"CREATE ROLE {role} LOGIN PASSWORD '{password}'",
        *(
            f"GRANT USAGE ON SCHEMA {one} TO {role}; GRANT {rights} ON ALL TABLES IN SCHEMA {one} TO {role}"
            for one in ("public", "aquamind_pipeline")
        ),
    )
    yield SecretStr(f"postgresql://{role}:{password}@{url.get_secret_value().split('@', 1)[1]}")
    execute(url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def counted(url: SecretStr) -> dict[str, int]:
    """All rows of our tables, whoever inserted them."""
    with psycopg.connect(url.get_secret_value()) as connection:
        return {
            name: connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(name))).rowcount
            for name in REGISTRY.aquamind
        }


@pytest.mark.parametrize("which", ["theirs", "own"])
def test_a_dry_run_only_counts(
    which: str, built: Settings, aquamind_template: SecretStr, request: pytest.FixtureRequest
) -> None:
    """With the right to read, beside a writer and somebody who keeps all other writers out. Neither is waited for."""
    url: SecretStr = request.getfixturevalue(which)
    migrated = counted(aquamind_template) if which == "theirs" else {}
    wanted = {name: (rows - migrated.get(name, 0), 0) for name, rows in rows_of(Lake(built.lake_path)).items()}
    with (
        a_role(url, "SELECT") as reader,
        psycopg.connect(url.get_secret_value()) as writer,
        psycopg.connect(url.get_secret_value()) as holder,
    ):
        writer.execute("DELETE FROM batch_mortalityevent")
        holder.execute("LOCK TABLE batch_batch, inventory_feedingevent IN EXCLUSIVE MODE")
        assert open_target(reader).wipe(dry_run=True) == wanted
        assert open_target(reader).in_the_way_of_wipe() == []
        writer.rollback()
        holder.rollback()
    assert open_target(url).wipe() == wanted


IN_THE_WAY = {
    "CREATE VIEW analyst.daily_feed AS SELECT feeding_date, sum(amount_kg) FROM inventory_feedingevent GROUP BY 1":
        "view analyst.daily_feed depends on public.inventory_feedingevent",
    "CREATE MATERIALIZED VIEW analyst.fish AS SELECT id, batch_number FROM public.batch_batch GROUP BY batch_batch.id":
        "materialized view analyst.fish depends on public.batch_batch",
    "CREATE TABLE analyst.notes (batch_id bigint REFERENCES public.batch_batch)":
        "table constraint notes_batch_id_fkey on analyst.notes depends on public.batch_batch",
    "CREATE FUNCTION analyst.feeds() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM public.inventory_feed; END":
        "function analyst.feeds() depends on public.inventory_feed",
    "CREATE FUNCTION analyst.label(public.batch_batch) RETURNS text LANGUAGE sql AS 'SELECT $1.batch_number'":
        "function analyst.label(public.batch_batch) depends on public.batch_batch",
    "CREATE TRIGGER audit AFTER UPDATE ON public.batch_batch FOR EACH ROW EXECUTE FUNCTION analyst.audit()":
        "trigger audit on public.batch_batch",
    "CREATE POLICY visible ON public.batch_batch USING (true)": "policy visible on public.batch_batch",
    "CREATE PUBLICATION {unique} FOR TABLE public.batch_batch, TABLES IN SCHEMA aquamind_pipeline":
        "publication relation public.batch_batch in publication {unique} is on public.batch_batch",
    "CREATE STATISTICS analyst.feed (ndistinct) ON feed_id, batch_id FROM public.inventory_feedingevent":
        "statistics object analyst.feed is on public.inventory_feedingevent",
    "CREATE INDEX by_notes ON public.batch_batch (notes)": "index public.by_notes is on public.batch_batch",
    "CREATE TABLE analyst.counted (id bigint DEFAULT nextval('public.inventory_feedingevent_id_seq'))":
        "default value for analyst.counted.id depends on public.inventory_feedingevent",
    "CREATE RULE quiet AS ON DELETE TO public.batch_species DO INSTEAD NOTHING": "rule quiet on public.batch_species",
    "ALTER TABLE public.batch_batch ADD CHECK (batch_number <> '')":
        "table constraint batch_batch_batch_number_check on public.batch_batch",
    "ALTER TABLE public.batch_batch ADD remark text": "column remark is on public.batch_batch",
    "CREATE TABLE analyst.more () INHERITS (public.batch_species)":
        "table analyst.more depends on public.batch_species",
    "CREATE TABLE analyst.ahead PARTITION OF public.inventory_feedingevent FOR VALUES FROM ('2040-01-01') TO "
    "('2041-01-01')": "table analyst.ahead is on public.inventory_feedingevent",
    "CREATE TABLE aquamind_pipeline.mine (id int)": "table aquamind_pipeline.mine is in schema aquamind_pipeline",
    "CREATE VIEW analyst.loads AS SELECT * FROM aquamind_pipeline.load_journal":
        "view analyst.loads depends on aquamind_pipeline.load_journal",
}  # fmt: skip
"""A statement of somebody else's, and how its object is named."""


def test_objects_of_others_are_named_before_anything_is_dropped(own: SecretStr) -> None:
    unique = f"publication_{secrets.token_hex(4)}"
    execute(
        own,
        "CREATE SCHEMA analyst",
        "CREATE FUNCTION analyst.audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        *(statement.replace("{unique}", unique) for statement in IN_THE_WAY),
    )
    before = counts(own)
    wanted = {name.replace("{unique}", unique) for name in IN_THE_WAY.values()}
    in_the_way = open_target(own).in_the_way_of_wipe()
    assert wanted <= set(in_the_way), wanted - set(in_the_way)
    with pytest.raises(DatabaseError) as refused:
        open_target(own).wipe()
    done = aquamind("wipe", "--no-files", "--dry-run", AQUAMIND_DATABASE_URL=own.get_secret_value())
    assert done.returncode == 1
    assert "rows of" in done.stdout
    for said in (str(refused.value), done.stderr):
        assert [name for name in wanted if name not in said] == []
        assert "Traceback" not in said
    assert counts(own) == before
    execute(own, f"DROP PUBLICATION {unique}")


def test_nothing_of_ours_is_left_when_objects_of_others_are_gone(own: SecretStr) -> None:
    execute(own, "CREATE SCHEMA analyst", next(iter(IN_THE_WAY)))
    with pytest.raises(DatabaseError) as refused:
        open_target(own).wipe()
    where = f"database '{own.get_secret_value().rsplit('/', 1)[1]}' on "
    assert str(refused.value).startswith(where)
    assert str(refused.value).endswith(
        ": view analyst.daily_feed depends on public.inventory_feedingevent: drop it first"
    )
    execute(own, "DROP VIEW analyst.daily_feed")
    assert open_target(own).wipe()
    assert ask(own, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]
    assert ask(own, "SELECT to_regnamespace('aquamind_pipeline'), to_regnamespace('analyst') IS NULL") == [
        (None, False)
    ]


def test_the_journal_is_not_dropped_from_under_a_view(theirs: SecretStr) -> None:
    execute(theirs, "CREATE VIEW loads AS SELECT * FROM aquamind_pipeline.load_journal")
    before = counts(theirs)
    with pytest.raises(DatabaseError, match="view public.loads depends on aquamind_pipeline.load_journal: drop it"):
        open_target(theirs).wipe()
    assert counts(theirs) == before


PART = f"aquamind_pipeline.{EVENT}_2026_05"


def test_a_month_that_others_have_built_on_is_not_replaced(own: SecretStr, a_copy: Settings) -> None:
    """Neither by another file nor by none. What hangs on the whole table is no hindrance."""
    execute(
        own,
        f"CREATE VIEW may AS SELECT * FROM {PART}",
        f"CREATE INDEX fast ON {PART} (amount_kg)",
        f"CREATE VIEW every AS SELECT * FROM {EVENT}",
        f"CREATE INDEX quick ON {EVENT} (notes)",
    )
    lake = Lake(a_copy.lake_path)
    lake.write(EVENT, lake.read(EVENT, "2026-05").slice(1), "2026-05")
    named = f"index aquamind_pipeline.fast is on {PART}; view public.may depends on {PART}: drop them first"
    with pytest.raises(DatabaseError, match=f"{EVENT} 2026-05 cannot be replaced: {named}"):
        load_months(own, lake, EVENT, ["2026-05"])
    lake.remove(EVENT, "2026-05")
    target = open_target(own)
    with target.loading() as pool, pytest.raises(DatabaseError, match=named):
        target.drop_vanished(pool, lake, [EVENT])
    execute(own, "DROP VIEW may", "DROP INDEX aquamind_pipeline.fast")
    with target.loading() as pool:
        assert target.drop_vanished(pool, lake, [EVENT]) == [f"{EVENT} 2026-05"]
    assert ask(own, "SELECT count(*) FROM every") == [(lake.rows(EVENT),)]


@pytest.mark.parametrize("which", ["theirs", "own"])
def test_a_row_of_others_keeps_a_load_from_deleting_what_it_refers_to(
    which: str, a_copy: Settings, request: pytest.FixtureRequest
) -> None:
    """Their foreign key would delete their row with ours."""
    url: SecretStr = request.getfixturevalue(which)
    lake = Lake(a_copy.lake_path)
    purchases = lake.read("inventory_feedpurchase")
    lake.write("inventory_feedpurchase", purchases.head(-1))
    execute(
        url,
        "CREATE TABLE bills (purchase bigint REFERENCES inventory_feedpurchase ON DELETE CASCADE)",
        "INSERT INTO bills SELECT id FROM inventory_feedpurchase",
    )
    before = counts(url)
    with pytest.raises(DatabaseError, match="inventory_feedpurchase: 1 rows of public.bills"):
        open_target(url).load_whole(lake)
    assert counts(url) == before
    assert ask(url, "SELECT count(*) FROM bills") == [(purchases.height,)]


def test_a_month_whose_rows_others_use_is_not_replaced(theirs: SecretStr, a_copy: Settings) -> None:
    lake, month = Lake(a_copy.lake_path), "2026-05"
    lake.write(SAMPLES, lake.read(SAMPLES, month).with_columns(pl.col("avg_length_cm") + 1), month)
    with psycopg.connect(theirs.get_secret_value()) as connection:
        someones_copy(connection, FISH)
        connection.execute(
            sql.SQL(
                "UPDATE {} SET growth_sample_id = (SELECT id FROM {} WHERE sample_date = '2026-05-20' LIMIT 1) "
                "WHERE id = 5000000"
            ).format(sql.Identifier(FISH), sql.Identifier(SAMPLES))
        )
    before = counts(theirs)
    with pytest.raises(DatabaseError, match=f"{SAMPLES}: 1 rows of public.{FISH} that are not ours refer to rows"):
        load_months(theirs, lake, SAMPLES, [month])
    assert counts(theirs) == before
