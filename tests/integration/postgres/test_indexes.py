"""Indexes and keys that a large load takes off come back as they were, or stay on. Each test has a table of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.connection import connect
from aquamind_pipeline.postgres.connection_pool import connection_pool
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.postgres.targets.aquamind import indexes
from aquamind_pipeline.postgres.targets.aquamind import target as aquamind_target
from aquamind_pipeline.settings import Settings
from tests.conftest import new_database
from tests.helpers.database import EVENT, ask, load_everything

TABLE = """
CREATE TABLE parent (id bigint CONSTRAINT parent_key PRIMARY KEY, code text CONSTRAINT parent_code UNIQUE);
CREATE TABLE guest (
  id bigint CONSTRAINT guest_key PRIMARY KEY, a bigint, b text NOT NULL, c numeric,
  parent_id bigint CONSTRAINT guest_parent REFERENCES parent (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX guest_a ON guest (a);
"""
ALL = {"guest_key", "guest_parent", "guest_a"}
SNAPSHOT = """
SELECT 'index', x.relname, pg_get_indexdef(x.oid), i.indisprimary, i.indisreplident, i.indisclustered, i.indisvalid,
  i.indimmediate, x.reloptions, x.relowner, x.relacl, s.spcname, obj_description(x.oid, 'pg_class'),
  (SELECT array_agg(coalesce(attstattarget, -1) ORDER BY attnum) FROM pg_attribute WHERE attrelid = x.oid)::text,
  (SELECT count(*) FROM pg_depend WHERE objid = x.oid AND refclassid = 'pg_extension'::regclass)::text
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid LEFT JOIN pg_tablespace s ON s.oid = x.reltablespace
WHERE i.indrelid = 'guest'::regclass
UNION ALL
SELECT 'constraint', conname, pg_get_constraintdef(k.oid), condeferrable, condeferred, convalidated, conislocal,
  connoinherit, NULL, (SELECT relowner FROM pg_class WHERE oid = conrelid), NULL, conindid::regclass::text,
  obj_description(k.oid, 'pg_constraint'),
  (SELECT array_agg(tgenabled ORDER BY tgtype, tgenabled) FROM pg_trigger WHERE tgconstraint = k.oid)::text,
  contype::text
FROM pg_constraint k WHERE conrelid = 'guest'::regclass
UNION ALL
SELECT 'table', relname, relreplident::text, NULL, NULL, NULL, NULL, NULL, reloptions, relowner, relacl, NULL, NULL,
  NULL, NULL FROM pg_class WHERE oid = 'guest'::regclass
"""
"""All that belongs to the table's indexes and keys."""


@pytest.fixture(scope="module")
def place(server: SecretStr) -> Iterator[SecretStr]:
    """A database with the journal's tables, for a table in each test."""
    with new_database(server) as url:
        with connect(url) as connection:
            journal.make(connection)
        yield url


@pytest.fixture
def guest(place: SecretStr) -> Iterator[SecretStr]:
    with psycopg.connect(place.get_secret_value()) as connection:
        connection.execute(TABLE.encode())
    yield place
    with psycopg.connect(place.get_secret_value()) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        connection.execute("TRUNCATE aquamind_pipeline.suspended")


def run(url: SecretStr, *statements: str) -> None:
    with psycopg.connect(url.get_secret_value(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def snapshot(url: SecretStr) -> set[str]:
    return {str(row) for row in ask(url, SNAPSHOT)}


def suspend(url: SecretStr, *, keep_unique: bool = False) -> set[str]:
    """Take off what may be; the names of what is off."""
    with connect(url) as connection:
        indexes.suspend(connection, "guest", keep_unique=keep_unique)
    return {str(row[0]) for row in ask(url, "SELECT DISTINCT name FROM aquamind_pipeline.suspended")}


def restore(url: SecretStr) -> None:
    with connection_pool(url) as pool:
        indexes.restore(pool, "guest")


COMES_BACK = [
    ("", set()),
    ("CREATE INDEX extra ON guest (a, c DESC NULLS LAST) WITH (fillfactor = 70)", {"extra"}),
    ("CREATE INDEX extra ON guest (a) INCLUDE (c)", {"extra"}),
    ("CREATE INDEX extra ON guest (b varchar_pattern_ops) WHERE a > 3", {"extra"}),
    ('CREATE INDEX extra ON guest (lower(b) COLLATE "C", (a + 1))', {"extra"}),
    ("CREATE INDEX extra ON guest USING brin (a) WITH (pages_per_range = 8)", {"extra"}),
    ("CREATE UNIQUE INDEX extra ON guest (a) NULLS NOT DISTINCT", {"extra"}),
    (
        "ALTER TABLE guest ADD CONSTRAINT extra UNIQUE NULLS NOT DISTINCT (a, b) INCLUDE (c) WITH (fillfactor = 80)",
        {"extra"},
    ),
    ('CREATE INDEX "Ein Index; DROP TABLE x" ON guest (a)', {"Ein Index; DROP TABLE x"}),
    (f"CREATE INDEX {'x' * 63} ON guest (a)", {"x" * 63}),
    (f"ALTER TABLE guest ADD CONSTRAINT {'ü' * 31}y UNIQUE (a)", {"ü" * 31 + "y"}),
    (
        "ALTER TABLE guest ADD CONSTRAINT extra FOREIGN KEY (b) REFERENCES parent (code) MATCH FULL ON UPDATE CASCADE",
        {"extra"},
    ),
    ("ALTER TABLE guest ADD CONSTRAINT extra FOREIGN KEY (a) REFERENCES parent ON DELETE SET NULL (a)", {"extra"}),
    ("ALTER TABLE guest REPLICA IDENTITY FULL", set()),
    ("ALTER TABLE guest REPLICA IDENTITY NOTHING", set()),
    ("ALTER INDEX guest_key RENAME TO renamed", {"renamed"}),
    ("CREATE ROLE {role}; GRANT ALL ON guest TO {role}", set()),
]


@pytest.mark.parametrize(("change", "extra"), COMES_BACK)
def test_what_is_taken_off_comes_back_as_it_was(guest: SecretStr, change: str, extra: set[str]) -> None:
    run(guest, change.format(role=f"role_{secrets.token_hex(3)}"))
    before = snapshot(guest)
    off = suspend(guest)
    assert off == (ALL | extra) - ({"guest_key"} if "renamed" in extra else set())
    assert ask(guest, "SELECT count(*) FROM pg_index WHERE indrelid = 'guest'::regclass") == [(0,)]
    restore(guest)
    assert snapshot(guest) == before
    assert ask(guest, "SELECT count(*) FROM aquamind_pipeline.suspended") == [(0,)]


UNIQUE = "ALTER TABLE guest ADD CONSTRAINT extra UNIQUE (b)"
STAYS_ON = [
    ("CREATE UNIQUE INDEX extra ON guest (b); ALTER TABLE guest REPLICA IDENTITY USING INDEX extra", "extra"),
    ("ALTER TABLE guest REPLICA IDENTITY USING INDEX guest_key", "guest_key"),
    ("ALTER TABLE guest CLUSTER ON guest_a", "guest_a"),
    ("COMMENT ON INDEX guest_a IS 'for the report'", "guest_a"),
    ("COMMENT ON CONSTRAINT guest_key ON guest IS 'x'", "guest_key"),
    ("COMMENT ON CONSTRAINT guest_parent ON guest IS 'x'", "guest_parent"),
    ("CREATE INDEX extra ON guest ((a * 2)); ALTER INDEX extra ALTER COLUMN 1 SET STATISTICS 1000", "extra"),
    (f"{UNIQUE} DEFERRABLE INITIALLY DEFERRED", "extra"),
    (f"{UNIQUE} DEFERRABLE", "extra"),
    ("ALTER TABLE guest DROP CONSTRAINT guest_key, ADD CONSTRAINT guest_key PRIMARY KEY (id) DEFERRABLE", "guest_key"),
    ("ALTER TABLE guest ADD CONSTRAINT extra EXCLUDE USING btree (b WITH =)", "extra"),
    ("ALTER TABLE guest ADD CONSTRAINT extra FOREIGN KEY (a) REFERENCES parent NOT VALID", "extra"),
    ("ALTER TABLE guest ADD CONSTRAINT extra FOREIGN KEY (a) REFERENCES parent NOT ENFORCED", "extra"),
    ("ALTER TABLE guest DISABLE TRIGGER ALL", "guest_parent"),
    ("ALTER TABLE parent DISABLE TRIGGER ALL", "guest_parent"),
    ("CREATE UNIQUE INDEX other ON parent (id)", "guest_parent"),
    ("CREATE VIEW report AS SELECT id, a, b FROM guest GROUP BY id", "guest_key"),
    ("CREATE FUNCTION put() RETURNS void BEGIN ATOMIC INSERT INTO guest (id, b) VALUES (1, '') "
     "ON CONFLICT ON CONSTRAINT guest_key DO NOTHING; END", "guest_key"),
    ("CREATE TABLE child (guest_id bigint REFERENCES guest)", "guest_key"),
    ("CREATE FUNCTION twice(bigint) RETURNS bigint IMMUTABLE RETURN $1 * 2; "
     "CREATE INDEX extra ON guest (twice(a))", "extra"),
    ("ALTER INDEX guest_a DEPENDS ON EXTENSION plpgsql", "guest_a"),
    ("CREATE PUBLICATION {name} FOR TABLE guest", "guest_key"),
    ("CREATE PUBLICATION {name} FOR ALL TABLES", "guest_key"),
    ("CREATE PUBLICATION {name} FOR TABLES IN SCHEMA public", "guest_key"),
    ("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'guest_a'::regclass", "guest_a"),
    ("UPDATE pg_index SET indisready = false WHERE indexrelid = 'guest_a'::regclass", "guest_a"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::Warning")
@pytest.mark.parametrize(("change", "stays"), STAYS_ON)
def test_what_would_not_come_back_stays_on(guest: SecretStr, change: str, stays: str) -> None:
    """And nothing else does."""
    name = f"feed_{secrets.token_hex(3)}"
    run(guest, change.format(name=name))
    before = snapshot(guest)
    off = suspend(guest)
    assert stays not in off
    assert ALL - {stays} <= off
    if "PUBLICATION" in change:
        run(guest, "UPDATE guest SET a = 1", "DELETE FROM guest")  # as AquaMind's sessions go on doing
        run(guest, f"DROP PUBLICATION {name}")
    restore(guest)
    assert snapshot(guest) == before


def test_a_tablespace_of_its_own_keeps_an_index_on(guest: SecretStr) -> None:
    """And an index of the database's own tablespace comes back there, whatever the role's default is."""
    with psycopg.connect(guest.get_secret_value(), autocommit=True) as connection:
        connection.execute("SET allow_in_place_tablespaces = on")
        connection.execute("CREATE TABLESPACE elsewhere LOCATION ''")
    try:
        run(guest, "CREATE INDEX extra ON guest (c) TABLESPACE elsewhere")
        run(guest, "ALTER ROLE CURRENT_USER SET default_tablespace = 'elsewhere'")
        before = snapshot(guest)
        assert suspend(guest) == ALL
        restore(guest)
        assert snapshot(guest) == before
    finally:
        run(guest, "ALTER ROLE CURRENT_USER RESET default_tablespace", "DROP TABLE guest", "DROP TABLESPACE elsewhere")


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE younger () INHERITS (guest)",
        "ALTER TABLE guest DROP CONSTRAINT guest_parent; CREATE TABLE root (LIKE guest) PARTITION BY RANGE (id); "
        "ALTER TABLE root ATTACH PARTITION guest FOR VALUES FROM (1) TO (9)",
        "DROP TABLE guest; CREATE TABLE guest (id bigint PRIMARY KEY, a bigint) PARTITION BY RANGE (id)",
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
        "CREATE TRIGGER ts_insert_blocker BEFORE INSERT ON guest FOR EACH ROW EXECUTE FUNCTION no()",
        "CREATE SCHEMA _timescaledb_catalog; CREATE TABLE _timescaledb_catalog.hypertable AS "
        "SELECT 'public'::name AS schema_name, 'guest'::name AS table_name",
    ],
)
def test_tables_in_parts_keep_all(guest: SecretStr, change: str) -> None:
    run(guest, change)
    try:
        assert suspend(guest) == set()
    finally:
        run(guest, "DROP SCHEMA IF EXISTS _timescaledb_catalog CASCADE")


def loader(url: SecretStr, *rights: str) -> SecretStr:
    """A role with these rights that owns the table."""
    role, password = f"loader_{secrets.token_hex(4)}", secrets.token_hex(8)
    run(
        url,
        f"CREATE ROLE {role} LOGIN PASSWORD '{password}'",
        f"GRANT CREATE ON SCHEMA public TO {role}",
        f"ALTER TABLE guest OWNER TO {role}",
        f"REVOKE CREATE ON SCHEMA public FROM {role}",
        f"GRANT USAGE ON SCHEMA public, aquamind_pipeline TO {role}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA aquamind_pipeline TO {role}",
        *(right.format(role=role) for right in rights),
    )
    return SecretStr(f"postgresql://{role}:{password}@{url.get_secret_value().split('@', 1)[1]}")


@pytest.mark.parametrize(
    ("rights", "off"),
    [
        ([], set()),
        (["GRANT CREATE ON SCHEMA public TO {role}"], {"guest_key", "guest_a"}),
        (["GRANT CREATE ON SCHEMA public TO {role}", "GRANT REFERENCES (id) ON parent TO {role}"], ALL),
    ],
)
def test_only_what_the_role_can_build_again_is_taken_off(guest: SecretStr, rights: list[str], off: set[str]) -> None:
    """The owner of a table may drop its indexes without the right to make one, or to refer to another table."""
    url = loader(guest, *rights)
    before = snapshot(guest)
    with connect(url) as connection:
        indexes.suspend(connection, "guest")
    assert {str(row[0]) for row in ask(guest, "SELECT name FROM aquamind_pipeline.suspended")} == off
    restore(url)
    assert snapshot(guest) == before


OBSTACLES = [
    (
        ["INSERT INTO guest (id, b) VALUES (1, ''), (1, '')"],
        r"guest_key cannot be built again: could not create unique index \"guest_key\" "
        r"\(Key \(id\)=\(1\) is duplicated.\); somebody wrote such rows meanwhile: correct or delete them",
        ["DELETE FROM guest"],
    ),
    (
        ["INSERT INTO guest (id, b, parent_id) VALUES (1, '', 7)"],
        r"guest_parent cannot be built again: .* \(Key \(parent_id\)=\(7\) is not present in table \"parent\".\); "
        "somebody wrote such rows",
        ["DELETE FROM guest"],
    ),
    (
        ["CREATE TABLE guest_a (x int)"],
        r"guest_a cannot be built again: relation \"guest_a\" already exists; somebody took this name",
        ["DROP TABLE guest_a"],
    ),
    (
        ["CREATE INDEX guest_a ON guest (c)"],
        "guest_a cannot be built again: relation .* already exists; somebody took this name",
        ["DROP INDEX guest_a"],
    ),
    (
        ["ALTER TABLE guest ADD CONSTRAINT other PRIMARY KEY (id)"],
        "guest_key cannot be built again: multiple primary keys .*; run the statement that aquamind_pipeline.suspended",
        ["ALTER TABLE guest DROP CONSTRAINT other"],
    ),
]


@pytest.mark.parametrize(("before", "message", "after"), OBSTACLES)
def test_what_is_in_the_way_is_named(guest: SecretStr, before: list[str], message: str, after: list[str]) -> None:
    """In one line. All others are built, and the next load builds the rest when the way is free."""
    there = snapshot(guest)
    suspend(guest)
    run(guest, *before)
    with pytest.raises(DatabaseError, match=f"^guest: {message}") as refused:
        restore(guest)
    assert "\n" not in str(refused.value)
    left = {str(row[0]) for row in ask(guest, "SELECT name FROM aquamind_pipeline.suspended")}
    assert len(left) == 1
    run(guest, *after)
    restore(guest)
    assert snapshot(guest) == there


@pytest.mark.parametrize(
    "by_hand",
    [
        "CREATE INDEX guest_a ON guest (a)",
        "ALTER TABLE guest ADD CONSTRAINT guest_key PRIMARY KEY (id)",
        "CREATE UNIQUE INDEX guest_key ON guest (id)",
        "ALTER TABLE guest ADD CONSTRAINT guest_parent FOREIGN KEY (parent_id) REFERENCES parent (id) "
        "ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED",
    ],
)
def test_what_somebody_built_by_hand_is_taken_as_it_is(guest: SecretStr, by_hand: str) -> None:
    there = snapshot(guest)
    suspend(guest)
    run(guest, by_hand)
    restore(guest)
    assert snapshot(guest) == there


def test_a_table_that_is_gone_needs_nothing(guest: SecretStr) -> None:
    suspend(guest)
    run(guest, "DROP TABLE guest")
    restore(guest)
    assert ask(guest, "SELECT count(*) FROM aquamind_pipeline.suspended") == [(0,)]


def test_the_replica_identity_survives_a_load(
    migrated: SecretStr, built: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AquaMind deletes rows of a published table during the load, and after it."""
    run(
        migrated,
        "CREATE UNIQUE INDEX by_id ON inventory_feedingevent (id)",
        "ALTER TABLE inventory_feedingevent REPLICA IDENTITY USING INDEX by_id",
        "CREATE PUBLICATION everything FOR ALL TABLES",
    )
    monkeypatch.setattr(aquamind_target, "REBUILD_ROWS", 100)
    lake = Lake(built.lake_path)
    load_everything(migrated, lake)
    found = sql.SQL("SELECT relreplident FROM pg_class WHERE oid = {}::regclass").format(sql.Literal(EVENT))
    assert ask(migrated, found.as_string()) == [("i",)]
    run(migrated, "DELETE FROM inventory_feedingevent WHERE id = (SELECT min(id) FROM inventory_feedingevent)")
    assert open_target(migrated).row_counts([EVENT]) == {EVENT: lake.rows(EVENT) - 1}
