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

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.lake import Manifest
from aquamind_pipeline.postgres import aquamind, journal
from aquamind_pipeline.postgres.connection import Connection, connect, described

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def compiled(statement: ExecutableDDLElement) -> bytes:
    """SQLAlchemy's text of a statement, its identifiers quoted where they need it."""
    return str(statement.compile(dialect=_DIALECT)).encode()


def final_name(constraint: sa.CheckConstraint) -> str:
    """A constraint's name in the database, after the naming convention."""
    return sa.schema.conv(str(_DIALECT.identifier_preparer.format_constraint(constraint, _alembic_quote=False)))


@cache
def statements() -> tuple[bytes | sql.Composed, ...]:
    """The DDL of every table, its indexes and foreign keys, in an order that runs."""
    metadata = sa.MetaData(naming_convention=REGISTRY.metadata.naming_convention)
    for table in [REGISTRY[n].table for n in REGISTRY.aquamind]:
        table.to_metadata(metadata)
    first: list[bytes] = []
    later: list[bytes | sql.Composed] = []
    for name in REGISTRY.aquamind:
        table = metadata.tables[name]
        key = table.primary_key.columns[0]
        if name in REGISTRY.monthly:
            table.dialect_options["postgresql"]["partition_by"] = (
                f"RANGE ({_DIALECT.identifier_preparer.quote(REGISTRY[table.name].time)})"
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
    for name, table in ((n, REGISTRY[n].table) for n in REGISTRY.aquamind):
        facts += [f"{name}.{c.name} {c.type!r} {c.nullable}" for c in table.columns]
        facts += sorted(f"{name} index {_name(i)}" for i in table.indexes)
        facts += sorted(f"{name} {c.__visit_name__} {_name(c)}" for c in table.constraints)
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def prepare(url: SecretStr, farm: Manifest) -> str:
    """Make the tables in an empty database, or check that the database can take this farm; returns its kind.

    Raises:
        DatabaseError: when it holds another farm, tables of another catalogue, or tables that do not fit.
    """
    with connect(url) as connection:
        journal.lock(connection, url)
        kind = _fitting(connection, url, farm)
        if not journal.exists(connection):
            journal.make(connection)
            if kind == journal.OWN:
                for statement in statements():
                    connection.execute(statement)
        connection.execute(
            sql.SQL(
                "INSERT INTO {} VALUES (%s, %s, %s, %s, %s) ON CONFLICT (identity) DO UPDATE SET as_of = excluded.as_of"
            ).format(_FARM),
            (farm.identity, farm.farm, farm.as_of, catalogue_version(), kind),
        )
    return kind


def require_target(url: SecretStr, farm: Manifest) -> None:
    """Refuse a database that cannot take this farm, long before there is anything to load.

    Raises:
        DatabaseError: what `prepare` would raise.
    """
    with connect(url) as connection:
        _fitting(connection, url, farm)


def _fitting(connection: Connection, url: SecretStr, farm: Manifest) -> str:
    """The kind of a database that can take a farm."""
    known = _known(connection, url, farm) if journal.exists(connection) else None
    kind = known or aquamind.recognised(connection)
    if kind == journal.AQUAMIND:
        aquamind.require_fit(connection, url)
    return kind


_FARM = sql.Identifier(journal.OURS, "farm")


def _known(connection: Connection, url: SecretStr, farm: Manifest) -> str | None:
    """The kind of a database that holds this farm already."""
    query = sql.SQL("SELECT identity, description, catalogue, kind FROM {}").format(_FARM)
    found = connection.execute(query).fetchone()
    if found is None:
        return None
    if found[0] != farm.identity or found[2] != catalogue_version():
        other = (
            f"another farm ({found[1]})" if found[0] != farm.identity else "tables of another version of this program"
        )
        raise DatabaseError(
            f"{described(url)} holds {other}: take it out with `aquamind wipe --no-files` and its own profile and "
            "seed, or use another database"
        )
    return str(found[3])


def require(url: SecretStr, farm: Manifest) -> None:
    """Refuse a database that holds another farm, before this one is taken out of it.

    Raises:
        DatabaseError: when it does. The same farm of another version of this program passes.
    """
    with connect(url) as connection:
        if not journal.exists(connection):
            return
        query = sql.SQL("SELECT description, identity FROM {}").format(_FARM)
        found = connection.execute(query).fetchone()
    if found is not None and not farm.is_of(*found):
        raise DatabaseError(
            f"{described(url)} holds {found[0]}, but {farm.farm} was asked for: give the profile, seed, epoch and "
            "faults of the farm that is to go, or the URL of another database"
        )


def wipe(url: SecretStr) -> bool:
    """Drop the tables that we made. False when there are none; tables of others are never touched."""
    with connect(url) as connection:
        journal.lock(connection, url)
        if not journal.exists(connection):
            return False
        names = sql.SQL(", ").join(sql.Identifier("public", name) for name in REGISTRY.aquamind)
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(names))
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(journal.OURS)))
    return True


__all__ = [
    "catalogue_version",
    "compiled",
    "final_name",
    "foreign_keys",
    "prepare",
    "require",
    "require_target",
    "statements",
    "wipe",
]
