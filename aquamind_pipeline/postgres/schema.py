"""Our own database: AquaMind's tables as the catalogue declares them, event tables partitioned by month, and a schema
`aquamind_pipeline` with the partitions and the journal of what was loaded.
"""

from __future__ import annotations

import hashlib
from functools import cache

import sqlalchemy as sa
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import AddConstraint, CreateIndex, CreateTable, ExecutableDDLElement

from aquamind_pipeline import tables
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.lake import Manifest
from aquamind_pipeline.postgres.connection import Connection, connect, described

OURS = "aquamind_pipeline"
_LOCK_KEY = 0x41714D50  # "AqMP": one load at a time in a database
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_JOURNAL = sql.SQL("""
CREATE SCHEMA IF NOT EXISTS {ours};
CREATE TABLE IF NOT EXISTS {ours}.farm (
  identity text PRIMARY KEY, description text NOT NULL, as_of date NOT NULL, catalogue text NOT NULL
);
CREATE TABLE IF NOT EXISTS {ours}.load_journal (
  table_name text, partition text, digest text NOT NULL, rows bigint NOT NULL,
  loaded_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (table_name, partition)
);
""").format(ours=sql.Identifier(OURS))


def compiled(statement: ExecutableDDLElement) -> bytes:
    """SQLAlchemy's text of a statement, its identifiers quoted where they need it."""
    return str(statement.compile(dialect=_DIALECT)).encode()


def final_name(constraint: sa.CheckConstraint) -> str:
    """A constraint's name in the database, after the naming convention."""
    return sa.schema.conv(str(_DIALECT.identifier_preparer.format_constraint(constraint, _alembic_quote=False)))


@cache
def statements() -> tuple[bytes | sql.Composed, ...]:
    """The DDL of every table, its indexes and foreign keys, in an order that runs."""
    metadata = sa.MetaData(naming_convention=tables.metadata.naming_convention)
    for table in tables.TABLES.values():
        table.to_metadata(metadata)
    first: list[bytes] = []
    later: list[bytes | sql.Composed] = []
    for name in tables.TABLES:
        table = metadata.tables[name]
        key = table.primary_key.columns[0]
        if table.info["layer"] == "event":
            table.dialect_options["postgresql"]["partition_by"] = (
                f"RANGE ({_DIALECT.identifier_preparer.quote(table.info['partition_by'])})"
            )
            # Identity columns of partitioned tables came with PostgreSQL 17; an owned sequence does in every version.
            key.identity = key.server_default = None
            sequence = f"{name}_{key.name}_seq"
            ids = {"sequence": sql.Identifier(sequence), "table": sql.Identifier(name), "key": sql.Identifier(key.name)}
            later += [
                sql.SQL("CREATE SEQUENCE {sequence} OWNED BY {table}.{key}").format(**ids),
                sql.SQL("ALTER TABLE {table} ALTER {key} SET DEFAULT nextval({name})").format(
                    **ids, name=sql.Literal(f'"{sequence}"')
                ),
            ]
        first.append(compiled(CreateTable(table, include_foreign_key_constraints=[])))
        later += [compiled(CreateIndex(index)) for index in sorted(table.indexes, key=_name)]
        later += [compiled(AddConstraint(k)) for k in foreign_keys(table)]
    return (*first, *later)


def foreign_keys(table: sa.Table) -> list[sa.ForeignKeyConstraint]:
    """A table's foreign keys, by the table referred to: whoever adds them takes the locks in one order."""
    return sorted(table.foreign_key_constraints, key=lambda key: (key.referred_table.name, _name(key)))


def _name(named: sa.Index | sa.Constraint) -> str:
    return str(named.name)


@cache
def catalogue_version() -> str:
    """Hash of columns, keys and indexes: databases of another catalogue are not loaded into."""
    facts: list[str] = []
    for name, table in tables.TABLES.items():
        facts += [f"{name}.{c.name} {c.type!r} {c.nullable}" for c in table.columns]
        facts += sorted(f"{name} index {_name(i)}" for i in table.indexes)
        facts += sorted(f"{name} {c.__visit_name__} {_name(c)}" for c in table.constraints)
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def prepare(url: SecretStr, farm: Manifest) -> None:
    """Make the tables in an empty database, or check that the database holds this farm.

    Raises:
        DatabaseError: when it holds another farm, tables of another catalogue, or tables that are not ours.
    """
    with connect(url) as connection:
        lock(connection, url)
        if not _is_ours(connection):
            _require_empty(connection, url)
            connection.execute(_JOURNAL)
            for statement in statements():
                connection.execute(statement)
        farm_table = {"farm": sql.Identifier(OURS, "farm")}
        query = sql.SQL("SELECT identity, description, catalogue FROM {farm}").format(**farm_table)
        found = connection.execute(query).fetchone()
        if found is not None and (found[0] != farm.identity or found[2] != catalogue_version()):
            other = (
                f"another farm ({found[1]})"
                if found[0] != farm.identity
                else "tables of another version of this program"
            )
            raise DatabaseError(
                f"{described(url)} holds {other}: run `aquamind wipe --database`, or use another database"
            )
        connection.execute(
            sql.SQL(
                "INSERT INTO {farm} VALUES (%s, %s, %s, %s) ON CONFLICT (identity) DO UPDATE SET as_of = excluded.as_of"
            ).format(**farm_table),
            (farm.identity, farm.farm, farm.as_of, catalogue_version()),
        )


def lock(connection: Connection, url: SecretStr) -> None:
    """Be the only one to change this database until the transaction ends."""
    row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (_LOCK_KEY,)).fetchone()
    if row is None or not row[0]:
        raise DatabaseError(f"{described(url)} is being loaded by another process: wait for it, or stop it")


def require_ours(connection: Connection, url: SecretStr) -> None:
    """Raise DatabaseError unless we made the tables."""
    if not _is_ours(connection):
        raise DatabaseError(f"{described(url)} holds no farm of ours: run `aquamind build` first")


def wipe(url: SecretStr) -> bool:
    """Drop the farm: every table we made. False when there is none; tables of others are never touched."""
    with connect(url) as connection:
        lock(connection, url)
        if not _is_ours(connection):
            return False
        names = sql.SQL(", ").join(sql.Identifier("public", name) for name in tables.TABLES)
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(names))
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(OURS)))
    return True


def _is_ours(connection: Connection) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{OURS}.load_journal",)).fetchone()
    return bool(row and row[0])


def _require_empty(connection: Connection, url: SecretStr) -> None:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename = ANY(%s) ORDER BY 1"
    found = [row[0] for row in connection.execute(query, ([*tables.TABLES, "django_migrations"],))]
    if found:
        raise DatabaseError(
            f"{described(url)} already has tables that are not ours ({', '.join(found[:3])} …): loading into "
            "AquaMind's own database is not supported yet; use an empty database"
        )


__all__ = [
    "OURS",
    "catalogue_version",
    "compiled",
    "final_name",
    "foreign_keys",
    "lock",
    "prepare",
    "require_ours",
    "statements",
    "wipe",
]
