"""The DDL of our own database: AquaMind's tables as the registry defines them, kept by month where they have a time.

Every name is qualified, so that no search_path decides where a statement works.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import AddConstraint, CreateIndex, CreateTable, ExecutableDDLElement

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.postgres import journal

PUBLIC = "public"
"""The schema of AquaMind's tables."""
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


@cache
def statements() -> tuple[bytes | sql.Composed, ...]:
    """The statements that make every table, index and foreign key, in an order that runs."""
    metadata = sa.MetaData(naming_convention=REGISTRY.metadata.naming_convention)
    for name in REGISTRY.aquamind:
        REGISTRY.table(name).to_metadata(metadata, schema=PUBLIC)
    first: list[bytes] = []
    later: list[bytes | sql.Composed] = []
    for name in REGISTRY.aquamind:
        table = metadata.tables[f"{PUBLIC}.{name}"]
        time = REGISTRY[name].time
        if time is not None:
            table.dialect_options["postgresql"]["partition_by"] = f"RANGE ({_DIALECT.identifier_preparer.quote(time)})"
            later += _own_sequence(table)
        first.append(_compiled(CreateTable(table, include_foreign_key_constraints=[])))
        later += [_compiled(CreateIndex(index)) for index in sorted(table.indexes, key=_name)]
        later += [_compiled(AddConstraint(key)) for key in _foreign_keys(table)]
    return (*first, *later)


def _own_sequence(table: sa.Table) -> list[sql.Composed]:
    """A sequence for a partitioned table's ids: only PostgreSQL 17 and later have identity columns for these."""
    key = table.primary_key.columns[0]
    key.identity = key.server_default = None
    sequence = sql.Identifier(PUBLIC, f"{table.name}_{key.name}_seq")
    ids = {"sequence": sequence, "table": sql.Identifier(PUBLIC, table.name), "key": sql.Identifier(key.name)}
    return [
        sql.SQL("CREATE SEQUENCE {sequence} OWNED BY {table}.{key}").format(**ids),
        sql.SQL("ALTER TABLE {table} ALTER {key} SET DEFAULT nextval({name})").format(
            **ids, name=sql.Literal(sequence.as_string())
        ),
    ]


@cache
def schema_version() -> str:
    """Hash of the columns, keys and indexes of all tables. A database with another one is not loaded into.

    Indexes that a database can get later (`lookups`) do not count.
    """
    facts: list[str] = []
    for name in REGISTRY.aquamind:
        table = REGISTRY.table(name)
        facts += [f"{name}.{c.name} {c.type!r} {c.nullable}" for c in table.columns]
        facts += sorted(f"{name} index {_name(i)}" for i in table.indexes if i not in lookups(table))
        facts += sorted(f"{name} {c.__visit_name__} {_name(c)}" for c in table.constraints)
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def lookups(table: sa.Table) -> list[sa.Index]:
    """Indexes of a table that a database may lack and can get later."""
    return sorted((index for index in table.indexes if index.info.get("lookup")), key=_name)


def index_name(index: sa.Index) -> str:
    """An index's name in the database, which PostgreSQL does not have to shorten."""
    return str(_DIALECT.identifier_preparer.format_index(index)).strip('"')


def create_index(index: sa.Index, name: sql.Identifier, on: sql.Composable) -> sql.Composed:
    """The statement that makes an index like a declared one, on that table or one of its partitions."""
    options = index.dialect_options["postgresql"]
    statement = sql.SQL("CREATE INDEX {} ON {} USING {} ({})").format(
        name, on, sql.Identifier(options["using"] or "btree"), _column_list(index.columns)
    )
    settings = [sql.SQL("{} = {}").format(sql.Identifier(key), value) for key, value in options["with"].items()]
    return sql.SQL("{} WITH ({})").format(statement, sql.SQL(", ").join(settings)) if settings else statement


@cache
def names() -> frozenset[str]:
    """Names of all indexes, constraints and sequences that `statements` makes, and of those of the journal's tables."""
    found = {f"{name}_pkey" for name in journal.JOURNAL_TABLES}
    for table in (REGISTRY.table(name) for name in REGISTRY.aquamind):
        found |= {index_name(index) for index in table.indexes}
        found |= {str(_final_name(constraint)) for constraint in _declared(table)}
        found |= {f"{table.name}_{column.name}_seq" for column in table.primary_key.columns}
    return frozenset(found)


def create_partition(table: sa.Table, name: str) -> bytes:
    """The statement that makes a month's partition. It has no keys yet, since building them after the rows is faster.

    The statement is not CREATE TABLE … LIKE the parent: that locks the parent until the commit and stops the other
    connections.
    """
    columns = [sa.Column(c.name, c.type, nullable=c.nullable) for c in table.columns]
    checks = [
        sa.CheckConstraint(constraint.sqltext, name=_final_name(constraint))
        for constraint in _declared(table)
        if isinstance(constraint, sa.CheckConstraint)
    ]
    return _compiled(CreateTable(sa.Table(name, sa.MetaData(), *columns, *checks, schema=journal.OURS)))


@cache
def column_types(name: str) -> dict[str, str]:
    """The types of a table's columns, as PostgreSQL writes them."""
    types = {c.name: _DIALECT.type_compiler_instance.process(c.type).lower() for c in REGISTRY.table(name).columns}
    return {
        column: "double precision"
        if kind == "float"
        else kind.replace("varchar", "character varying").replace(", ", ",")
        for column, kind in types.items()
    }


def partition_indexes(table: sa.Table, partition: sql.Identifier, prefix: str) -> Iterator[sql.Composed]:
    """The statements that build one partition's keys and indexes, the same as its parent's.

    Their names begin with `prefix`. The server cuts off the names that it chooses itself, and two connections would
    get the same ones.
    """
    kinds = (sa.PrimaryKeyConstraint, sa.UniqueConstraint)
    keys = sorted((one for one in table.constraints if isinstance(one, kinds)), key=_name)
    for number, key in enumerate(keys):
        kind = sql.SQL("PRIMARY KEY" if isinstance(key, sa.PrimaryKeyConstraint) else "UNIQUE")
        name = sql.Identifier(f"{prefix}_k{number}")
        yield sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {} ({})").format(
            partition, name, kind, _column_list(key.columns)
        )
    for number, index in enumerate(sorted(table.indexes, key=_name)):
        yield create_index(index, sql.Identifier(f"{prefix}_i{number}"), partition)


def partition_foreign_keys(table: sa.Table, partition: sql.Identifier) -> Iterator[sql.Composed]:
    """The statements that give one partition its foreign keys, the same as its parent's."""
    for key in _foreign_keys(table):
        yield sql.SQL(
            "ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) DEFERRABLE INITIALLY DEFERRED"
        ).format(
            partition,
            sql.Identifier(str(key.name)),
            _column_list(key.columns),
            sql.Identifier(PUBLIC, key.referred_table.name),
            _column_list(element.column for element in key.elements),
        )


def create_empty_copy(table: sa.Table) -> bytes:
    """The statement that makes a temporary table with a table's name and columns, and no rows."""
    columns = [sa.Column(c.name, c.type) for c in table.columns]
    return _compiled(CreateTable(sa.Table(table.name, sa.MetaData(), *columns, prefixes=["TEMPORARY"])))


def _compiled(statement: ExecutableDDLElement) -> bytes:
    """SQLAlchemy's text of a statement. It quotes the identifiers that need it."""
    return str(statement.compile(dialect=_DIALECT)).encode()


def _declared(table: sa.Table) -> list[sa.Constraint]:
    return [*table.constraints, *(constraint for column in table.columns for constraint in column.constraints)]


def _final_name(constraint: sa.Constraint) -> str:
    """A constraint's name in the database, after the naming convention."""
    return sa.schema.conv(str(_DIALECT.identifier_preparer.format_constraint(constraint, _alembic_quote=False)))


def _foreign_keys(table: sa.Table) -> list[sa.ForeignKeyConstraint]:
    """A table's foreign keys, sorted by the table that they refer to, so that all locks are taken in one order."""
    return sorted(table.foreign_key_constraints, key=lambda key: (key.referred_table.name, _name(key)))


def _column_list(columns: Iterable[sa.Column[Any]]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)


def _name(named: sa.Index | sa.Constraint) -> str:
    return str(named.name)


__all__ = [
    "PUBLIC",
    "column_types",
    "create_empty_copy",
    "create_index",
    "create_partition",
    "index_name",
    "lookups",
    "names",
    "partition_foreign_keys",
    "partition_indexes",
    "schema_version",
    "statements",
]
