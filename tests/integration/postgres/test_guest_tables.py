"""Tables of AquaMind to which somebody added something that changes, hides or refuses rows. All with a real server."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from pydantic import SecretStr

from aquamind_pipeline.apps.harvest.harvests import HARVEST_LOTS
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.lake import Lake, Manifest
from aquamind_pipeline.postgres.comparison import compared
from aquamind_pipeline.postgres.connection import connect
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.postgres.targets.aquamind import fit
from aquamind_pipeline.settings import Settings
from tests.conftest import new_database
from tests.helpers.database import (
    EVENT,
    FISH,
    ask,
    load_everything,
    load_months,
    row_counts,
    rows_of,
    without_last_days,
)

TRIGGER = (
    "CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$; "
    "CREATE TRIGGER audit_it {when} ON {table} FOR EACH ROW EXECUTE FUNCTION act()"
)
RULE = "CREATE RULE reroute AS ON {on} DO {what}"


LOTS = HARVEST_LOTS.name


@pytest.fixture(scope="module")
def built(thin: Settings) -> Settings:
    return thin


@pytest.fixture(scope="module")
def lake(built: Settings) -> Lake:
    return Lake(built.lake_path)


@pytest.fixture(scope="module")
def shared(server: SecretStr, aquamind_template: SecretStr) -> Iterator[SecretStr]:
    """AquaMind's database, with a search path of its own. Each test takes back what it changed."""
    with new_database(server, like=aquamind_template) as url:
        change(url, "CREATE SCHEMA analyst; CREATE TABLE analyst.log_of_theirs (one int)")
        name = url.get_secret_value().rpartition("/")[2]
        change(url, f"ALTER DATABASE {name} SET search_path = analyst, public")
        yield url


def change(url: SecretStr, statement: str) -> None:
    with psycopg.connect(url.get_secret_value(), autocommit=True) as connection:
        connection.execute(statement.encode())


KNOWN = [
    (
        "ALTER TABLE batch_batch DROP COLUMN notes, ADD notes text NOT NULL GENERATED ALWAYS AS ('x') STORED",
        "column batch_batch.notes is computed by the database (GENERATED ALWAYS AS), and we write it",
    ),
    (RULE.format(on="INSERT TO batch_batch", what="ALSO SELECT 1"), "table batch_batch has the rule reroute, which"),
    (
        RULE.format(on=f"DELETE TO {EVENT}", what="INSTEAD NOTHING"),
        f"table {EVENT} has the rule reroute, which rewrites",
    ),
    (
        f"ALTER TABLE {EVENT} RENAME TO meals; CREATE VIEW {EVENT} AS SELECT * FROM meals",  # noqa: S608
        f"{EVENT} is a view, and we write into tables",
    ),
    (
        f"ALTER TABLE {LOTS} RENAME TO lots; CREATE MATERIALIZED VIEW {LOTS} AS SELECT * FROM lots",  # noqa: S608
        f"{LOTS} is a materialized view, and we write into tables",
    ),
    (
        "CREATE FOREIGN DATA WRAPPER none; CREATE SERVER far FOREIGN DATA WRAPPER none; "
        f"DROP TABLE {LOTS} CASCADE; CREATE FOREIGN TABLE {LOTS} (id bigint) SERVER far",
        f"{LOTS} is a foreign table, and we write into tables",
    ),
    (
        f"ALTER TABLE {LOTS} DROP CONSTRAINT harvest_harvestlot_pkey CASCADE, ADD PRIMARY KEY (id) DEFERRABLE",
        f"column {LOTS}.id has no unique index of its own that is checked at once",
    ),
    (f"ALTER TABLE {EVENT} ALTER id DROP IDENTITY", f"column {EVENT}.id has no sequence for its ids"),
    (
        "CREATE DOMAIN colour AS text NOT NULL; ALTER TABLE batch_species ADD tint colour DEFAULT 'red'; "
        "ALTER TABLE batch_species ALTER tint DROP DEFAULT",
        "column batch_species.tint has a type that must not be null, and we do not know it",
    ),
]


@pytest.mark.parametrize(("statement", "message"), KNOWN)
def test_what_the_catalogue_tells_is_known(shared: SecretStr, statement: str, message: str) -> None:
    with connect(shared) as connection:
        assert fit.in_the_way(connection) == []
        connection.execute(f"SET LOCAL search_path = public; {statement}".encode())
        assert any(line.startswith(message) for line in fit.in_the_way(connection))
        connection.rollback()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        KNOWN[0],
        (
            "CREATE DOMAIN short AS text CHECK (length(value) < 9); "
            "ALTER TABLE batch_batch ALTER batch_number TYPE short",
            "column batch_batch.batch_number is short, which does not hold our varchar(50)",
        ),
    ],
)
def test_what_the_catalogue_tells_is_refused_first(
    migrated: SecretStr, built: Settings, statement: str, message: str
) -> None:
    change(migrated, statement)
    with pytest.raises(DatabaseError) as refused:
        open_target(migrated).require_fit(Manifest.of(built.farm))
    assert f"\n  {message}" in str(refused.value)
    assert ask(migrated, "SELECT to_regnamespace('aquamind_pipeline')") == [(None,)]


GIVE_ALL = """
DO $$ DECLARE one text; BEGIN
  FOR one IN SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
  LOOP EXECUTE format('ALTER TABLE %s OWNER TO plain_owner', one); END LOOP;
END $$;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO plain_owner
"""


def test_row_security_that_applies_to_us_is_refused_first(migrated: SecretStr, built: Settings) -> None:
    """Not to a superuser, nor to an owner; but to an owner if it is forced."""
    farm = Manifest.of(built.farm)
    change(migrated, "ALTER TABLE batch_batch ENABLE ROW LEVEL SECURITY")
    open_target(migrated).require_fit(farm)
    change(migrated, "CREATE ROLE plain_owner LOGIN PASSWORD 'secret' NOSUPERUSER")
    try:
        name = migrated.get_secret_value().rsplit("/", 1)[1]
        change(migrated, GIVE_ALL)
        change(migrated, f"GRANT CREATE, TEMPORARY ON DATABASE {name} TO plain_owner")
        url = SecretStr(f"postgresql://plain_owner:secret@{migrated.get_secret_value().split('@', 1)[1]}")
        open_target(url).require_fit(farm)
        change(migrated, "ALTER TABLE batch_batch FORCE ROW LEVEL SECURITY")
        message = (
            "table batch_batch has row security that applies to role plain_owner: ALTER ROLE plain_owner BYPASSRLS"
        )
        with pytest.raises(DatabaseError, match=message):
            open_target(url).require_fit(farm)
    finally:
        change(migrated, "DROP OWNED BY plain_owner CASCADE; DROP ROLE plain_owner")


def trigger(body: str, table: str, when: str = "BEFORE INSERT") -> str:
    return TRIGGER.format(body=body, table=table, when=when)


ONLY_ROWS_TELL = [
    (
        trigger("NEW.notes := 'audited'; RETURN NEW;", "batch_batch"),
        r"batch_batch notes would differ in .*lake (\d+) × '', database \1 × 'audited'., so nothing was loaded: "
        "batch_batch has the trigger audit_it, which may change rows",
    ),
    (trigger("RETURN NULL;", "batch_batch"), "(batch_batch .rows. would differ in|refuses rows of)"),
    (
        trigger("IF NEW.id % 2 = 0 THEN RETURN NULL; END IF; RETURN NEW;", "inventory_feed"),
        "inventory_feed .rows. would",
    ),
    (
        trigger("RAISE EXCEPTION 'no bulk loads'; RETURN NEW;", "batch_batch"),
        "refuses rows of batch_batch: no bulk loads. batch_batch has the trigger audit_it",
    ),
    (
        trigger("UPDATE batch_batch SET notes = 'x' WHERE id = NEW.id; RETURN NULL;", "batch_batch", "AFTER INSERT"),
        "batch_batch notes would differ",
    ),
    (
        trigger(
            "UPDATE batch_batch SET notes = 'late' WHERE id = NEW.id; RETURN NULL;",
            "batch_batch DEFERRABLE INITIALLY DEFERRED",
            "AFTER INSERT",
        ).replace("CREATE TRIGGER", "CREATE CONSTRAINT TRIGGER"),
        "batch_batch notes would differ",
    ),
    (
        "ALTER TABLE batch_batch ADD CONSTRAINT strict CHECK (notes <> '')",
        'refuses rows of batch_batch: new row for relation "batch_batch" violates check constraint "strict"',
    ),
    (
        "CREATE UNIQUE INDEX one_day ON batch_batch (species_id)",
        r'refuses rows of batch_batch: duplicate key value violates unique constraint "one_day" \(Key \(species_id\)=',
    ),
    (
        trigger("NEW.amount_kg := NEW.amount_kg + 1; RETURN NEW;", EVENT),
        f"{EVENT} amount_kg would differ in .* so nothing was loaded: {EVENT} has the trigger audit_it, ",
    ),
    (trigger("RETURN NULL;", EVENT), f"{EVENT}: [0-9]+ rows were sent, the server counted 0: look for a trigger"),
    (
        trigger("RAISE EXCEPTION 'closed'; RETURN NEW;", EVENT),
        f"refuses rows of {EVENT}: closed. {EVENT} has the trigger",
    ),
    (
        f"ALTER TABLE {EVENT} ADD CONSTRAINT strict CHECK (method <> 'AUTOMATIC')",
        f'refuses rows of {EVENT}: new row for relation "{EVENT}" violates check constraint "strict"',
    ),
    (
        f"ALTER TABLE {EVENT} ADD CONSTRAINT one_meal UNIQUE (batch_id, feeding_date) DEFERRABLE INITIALLY DEFERRED",
        f"refuses rows of {EVENT}: duplicate key value violates unique constraint",
    ),
    (
        trigger("RAISE EXCEPTION 'closed' USING ERRCODE = 'ZZ001'; RETURN NEW;", "batch_batch"),
        r"refuses rows of batch_batch: closed. batch_batch has the trigger audit_it \(function analyst.act\(\)\); let "
        "it accept our rows, or run ALTER TABLE batch_batch DISABLE TRIGGER .audit_it. until we are done",
    ),
    (
        trigger("RAISE lock_not_available; RETURN NEW;", EVENT),
        rf"refuses rows of {EVENT}: .*{EVENT} has the trigger audit_it \(function analyst.act\(\)\); let it",
    ),
    (
        trigger("INSERT INTO log_of_theirs VALUES (1); RETURN NEW;", "batch_batch"),
        r"refuses rows of batch_batch: relation .log_of_theirs. does not exist. batch_batch has the trigger audit_it "
        r"\(function analyst.act\(\)\); it looks for names .* run ALTER FUNCTION analyst.act\(\) SET search_path = "
        "analyst, public",
    ),
    (
        trigger(
            "RAISE EXCEPTION 'late' USING ERRCODE = '22023'; RETURN NULL;",
            "batch_batch DEFERRABLE INITIALLY DEFERRED",
            "AFTER INSERT",
        ).replace("CREATE TRIGGER", "CREATE CONSTRAINT TRIGGER"),
        "refuses rows: late. batch_batch has the trigger audit_it",
    ),
    (
        trigger("NEW.weight_g := NEW.weight_g + 1; RETURN NEW;", FISH),
        f"{FISH} weight_g would differ in .* so nothing was loaded: {FISH} has the trigger audit_it, ",
    ),
    (
        trigger("RAISE EXCEPTION 'closed' USING ERRCODE = 'ZZ001'; RETURN NEW;", FISH),
        f"refuses rows of {FISH}: closed. {FISH} has the trigger audit_it",
    ),
]


@pytest.mark.parametrize(("statement", "message"), ONLY_ROWS_TELL)
def test_what_only_rows_tell_is_refused_before_anything_is_committed(
    shared: SecretStr, lake: Lake, statement: str, message: str
) -> None:
    change(shared, statement)
    try:
        with pytest.raises(DatabaseError, match=message) as refused:
            load_everything(shared, lake)
    finally:
        change(shared, "DROP FUNCTION IF EXISTS act CASCADE; DROP INDEX IF EXISTS one_day")
        change(shared, "ALTER TABLE batch_batch DROP CONSTRAINT IF EXISTS strict")
        change(shared, f"ALTER TABLE {EVENT} DROP CONSTRAINT IF EXISTS strict, DROP CONSTRAINT IF EXISTS one_meal")
    assert "\n" not in str(refused.value)
    for name in ("batch_batch", "inventory_feed", EVENT):
        assert ask(shared, f"SELECT count(*) FROM {name}") == [(0,)]  # noqa: S608 - names of ours
    assert ask(shared, "SELECT count(*) FROM aquamind_pipeline.load_journal") == [(0,)]
    assert ask(shared, "SELECT count(*) FROM aquamind_pipeline.identity") == [(0,)]


def test_what_is_harmless_stays_and_works(migrated: SecretStr, lake: Lake) -> None:
    """Ids that are always generated, a trigger that only writes a log, a rule that is off, a check that holds."""
    change(migrated, "ALTER TABLE batch_batch ALTER id SET GENERATED ALWAYS")
    change(migrated, f"ALTER TABLE {EVENT} ALTER id SET GENERATED ALWAYS")
    change(migrated, "CREATE TABLE audit (at text)")
    change(migrated, trigger("INSERT INTO audit VALUES (TG_TABLE_NAME); RETURN NEW;", "batch_batch", "AFTER INSERT"))
    change(migrated, f"CREATE TRIGGER audit_it AFTER INSERT ON {EVENT} FOR EACH ROW EXECUTE FUNCTION act()")
    change(migrated, RULE.format(on="INSERT TO batch_batch", what="INSTEAD NOTHING"))
    change(migrated, "ALTER TABLE batch_batch DISABLE RULE reroute")
    change(migrated, f"ALTER TABLE {EVENT} ADD CONSTRAINT holds CHECK (amount_kg > 0)")
    load_everything(migrated, lake)
    assert row_counts(migrated) == rows_of(lake)
    assert [one.detail for one in compared(open_target(migrated), lake, [EVENT, "batch_batch"]) if not one.passed] == []
    rows = ask(migrated, "SELECT at, count(*) FROM audit GROUP BY at ORDER BY at")
    assert rows == [("batch_batch", lake.rows("batch_batch")), (EVENT, lake.rows(EVENT))]
    load_everything(migrated, lake)
    open_target(migrated).wipe()
    assert ask(migrated, "SELECT count(*) FROM batch_batch") == [(0,)]


def load_a_month(url: SecretStr, lake: Lake, month: str) -> None:
    manifest = lake.manifest()
    assert manifest is not None
    open_target(url).prepare(manifest)
    open_target(url).load_whole(lake)
    load_months(url, lake, EVENT, [month])


CLOSED = "RAISE EXCEPTION 'closed' USING ERRCODE = 'ZZ001'; RETURN NEW;"


def test_a_trigger_that_refuses_to_delete_is_named(shared: SecretStr, lake: Lake) -> None:
    """By loads that replace a month, and by a wipe. Done what the message says, the wipe works."""
    month = lake.partitions(EVENT)[0]
    load_a_month(shared, lake, month)
    change(shared, trigger(CLOSED, EVENT, "BEFORE DELETE"))
    open_target(shared).distrust([EVENT])
    message = f"refuses to delete rows of {EVENT}: closed. {EVENT} has the trigger audit_it .function analyst.act"
    with pytest.raises(DatabaseError, match=message):
        load_months(shared, lake, EVENT, [month])
    with pytest.raises(DatabaseError, match=message):
        open_target(shared).wipe()
    change(shared, "DROP FUNCTION act CASCADE")
    change(shared, trigger("DELETE FROM log_of_theirs; RETURN OLD;", "batch_batch", "BEFORE DELETE"))
    message = "refuses to delete rows of batch_batch: .*log_of_theirs.* run ALTER FUNCTION analyst.act"
    with pytest.raises(DatabaseError, match=message):
        open_target(shared).wipe()
    change(shared, "ALTER FUNCTION act() SET search_path = analyst, public")
    assert open_target(shared).wipe()
    assert ask(shared, "SELECT count(*) FROM public.batch_batch") == [(0,)]
    change(shared, "DROP FUNCTION act CASCADE")


def test_a_trigger_that_refuses_new_days_of_our_own_is_named(database: SecretStr, a_copy: Settings) -> None:
    lake = Lake(a_copy.lake_path)
    month = lake.partitions(EVENT)[-2]
    whole = without_last_days(lake, month, 1)[EVENT]
    load_a_month(database, lake, month)
    lake.write(EVENT, whole, month)
    change(database, trigger(CLOSED, EVENT))
    message = f"refuses rows of {EVENT}: closed. {EVENT} has the trigger audit_it .function public.act"
    with pytest.raises(DatabaseError, match=message):
        load_months(database, lake, EVENT, [month])


def test_a_trigger_on_a_table_of_our_own_is_found(database: SecretStr, lake: Lake) -> None:
    """An analyst's trigger changes masters when they are loaded again: nothing is committed."""
    load_everything(database, lake)
    change(database, trigger("NEW.notes := 'audited'; RETURN NEW;", "batch_batch", "BEFORE INSERT OR UPDATE"))
    target = open_target(database)
    target.distrust(["batch_batch"])
    change(database, "UPDATE batch_batch SET status = 'OTHER'")
    before = ask(database, "SELECT * FROM batch_batch ORDER BY id")
    with pytest.raises(DatabaseError, match="batch_batch notes would differ .* the trigger audit_it, which may change"):
        target.load_whole(lake)
    assert ask(database, "SELECT * FROM batch_batch ORDER BY id") == before
