"""What others have added to tables of our own: columns, checks, and the settings of a month's partition.

A month is replaced by a new table. That table gets the columns and checks that its parent has by now, and the rights,
options and comments of the partition that it replaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg import sql

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.months import day_after, first_day
from aquamind_pipeline.postgres import ddl, journal
from aquamind_pipeline.postgres.connection import Connection

_COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated::text,
      a.attidentity::text, pg_get_expr(d.adbin, d.adrelid),
      CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relnamespace = to_regnamespace(%s) AND c.relname = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY c.relname, a.attnum
"""
_OURS_BY_NATURE = frozenset({"autovacuum_analyze_threshold", "autovacuum_vacuum_insert_threshold"})
"""Options that we set ourselves on each partition."""


@dataclass(frozen=True)
class Column:
    """A column of a table in the database.

    Attributes:
        table: The table in schema `public`.
        name: The column.
        type: Its type, as PostgreSQL writes it.
        not_null: Whether it must not be null.
        generated: `s` or `v` if the database computes it, stored or when it is read; else empty.
        identity: `a` or `d` if it is an identity column; else empty.
        default: The expression that fills or computes it; None if there is none.
        collation: Its collation if it is not the one of its type.
    """

    table: str
    name: str
    type: str
    not_null: bool
    generated: str
    identity: str
    default: str | None
    collation: str | None

    @property
    def is_ours(self) -> bool:
        """Whether the registry has it."""
        return self.name in REGISTRY.table(self.table).columns

    @property
    def is_filled(self) -> bool:
        """Whether our rows need no value for it."""
        return not self.not_null or (self.default is not None and not self.identity)

    @property
    def definition(self) -> sql.Composed:
        """The text after ADD COLUMN."""
        parts = [sql.Identifier(self.name), sql.SQL(self.type)]
        if self.collation:
            parts.append(sql.SQL(f"COLLATE {self.collation}"))
        if self.generated:
            kind = "STORED" if self.generated == "s" else "VIRTUAL"
            parts.append(sql.SQL(f"GENERATED ALWAYS AS ({self.default}) {kind}"))
        elif self.default is not None:
            parts.append(sql.SQL(f"DEFAULT {self.default}"))
        if self.not_null:
            parts.append(sql.SQL("NOT NULL"))
        return sql.SQL(" ").join(parts)


def columns(connection: Connection, names: Sequence[str]) -> list[Column]:
    """The columns of these tables of schema `public`."""
    return [Column(*row) for row in connection.execute(_COLUMNS.encode(), (ddl.PUBLIC, list(names)))]


def misfits(connection: Connection, names: Sequence[str]) -> list[str]:
    """Why our rows do not fit into tables of our own any more, one line each."""
    found, lines = columns(connection, names), []
    there = {(one.table, one.name): one for one in found}
    for name in sorted({one.table for one in found}):
        for column, kind in ddl.column_types(name).items():
            one, shown = there.get((name, column)), f"column {ddl.PUBLIC}.{name}.{column}"
            if one is None:
                lines.append(f"{shown} is missing")
            elif one.generated:
                lines.append(f"{shown} is computed by the database, and we write it")
            elif one.type != kind and REGISTRY[name].is_monthly:
                lines.append(f"{shown} is {one.type}, and we made it {kind}: change it back")
    lines += [
        f"column {ddl.PUBLIC}.{one.table}.{one.name} of somebody else's must not be null, and our rows have no value "
        "for it: give it a default"
        for one in found
        if not one.is_ours and not one.is_filled
    ]
    return lines


def added_columns(connection: Connection, names: Sequence[str]) -> list[Column]:
    """Columns that others have added to these tables of schema `public`."""
    return [one for one in columns(connection, names) if not one.is_ours]


def added_checks(connection: Connection, name: str) -> list[tuple[str, str]]:
    """Name and definition of the checks that others have added to a table of schema `public`."""
    query = (
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = to_regclass(%s) "
        "AND contype = 'c' AND conname <> ALL(%s) AND NOT connoinherit ORDER BY conname"
    )
    parent = sql.Identifier(ddl.PUBLIC, name).as_string()
    return [(str(row[0]), str(row[1])) for row in connection.execute(query, (parent, sorted(ddl.names())))]


def add_to(connection: Connection, name: str, fresh: sql.Identifier, replaced: sql.Identifier) -> None:
    """Give a new, empty partition what its parent has by now, and what cannot be changed when it has rows.

    Args:
        connection: The database.
        name: The parent in schema `public`.
        fresh: The new table.
        replaced: The partition that it replaces, if there is one.
    """
    for statement in _additions(connection, name, replaced):
        connection.execute(sql.SQL("ALTER TABLE {} {}").format(fresh, statement))


def _additions(connection: Connection, name: str, replaced: sql.Identifier) -> Iterator[sql.Composable]:
    for column in columns(connection, [name]):
        if not column.is_ours:
            yield sql.SQL("ADD COLUMN {}").format(column.definition)
        elif column.not_null and REGISTRY.table(name).columns[column.name].nullable:
            yield sql.SQL("ALTER {} SET NOT NULL").format(sql.Identifier(column.name))
    for check, definition in added_checks(connection, name):
        yield sql.SQL("ADD CONSTRAINT {} {}").format(sql.Identifier(check), sql.SQL(definition))
    query = (
        "SELECT s.spcname, c.relpersistence = 'u' FROM pg_class c LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace "
        "WHERE c.oid = to_regclass(%s)"
    )
    row = connection.execute(query, (replaced.as_string(),)).fetchone()
    if row and row[0]:
        yield sql.SQL("SET TABLESPACE {}").format(sql.Identifier(row[0]))
    if row and row[1]:
        yield sql.SQL("SET UNLOGGED")


def require_no_values(connection: Connection, name: str, month: str) -> None:
    """Refuse to replace a month in which others have filled columns of theirs: their values would be lost.

    Raises:
        DatabaseError: when there are such values. It names the column.
    """
    for column in added_columns(connection, [name]):
        fixed = column.default is None or _is_constant(connection, name, column.name)
        if column.generated or not fixed:
            continue  # the database fills it again
        # As text: some types, such as json, cannot be compared.
        filled = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {}::text IS DISTINCT FROM {}::text)").format(
            journal.partition(name, month),
            sql.Identifier(column.name),
            sql.SQL(f"CAST({column.default or 'NULL'} AS {column.type})"),
        )
        row = connection.execute(filled).fetchone()
        if row and row[0]:
            raise DatabaseError(
                f"{name} {month} cannot be replaced: its column {column.name} of somebody else's has values, which "
                "would be lost: copy them elsewhere and set them to the default of the column, or drop the column"
            )


def _is_constant(connection: Connection, name: str, column: str) -> bool:
    """Whether a column's default is one value for all rows: all functions that it calls always answer the same."""
    query = (
        "SELECT NOT d.adbin::text ~ '(SQLVALUEFUNCTION|NEXTVALUEEXPR)' AND NOT EXISTS (SELECT FROM regexp_matches("
        r"d.adbin::text, ':(?:op)?funcid (\d+)', 'g') AS m JOIN pg_proc p ON p.oid = m[1]::oid "
        "WHERE p.provolatile <> 'i') FROM pg_attrdef d JOIN pg_attribute a "
        "ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE d.adrelid = to_regclass(%s) AND a.attname = %s"
    )
    row = connection.execute(query, (sql.Identifier(ddl.PUBLIC, name).as_string(), column)).fetchone()
    return bool(row and row[0])


_PARTITIONS = r"""
    SELECT n.nspname, c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.inhparent = to_regclass(%s) AND c.relispartition
      AND (n.nspname <> %s OR c.relname !~ ('^' || %s || '_\d{4}_\d{2}$'))
      AND (NOT %s OR pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT' AND has_table_privilege(c.oid, 'TRUNCATE'))
    ORDER BY 1, 2
"""


def other_partitions(connection: Connection, name: str, *, only_default: bool = False) -> list[sql.Identifier]:
    """Partitions of others of one of our tables."""
    values = (sql.Identifier(ddl.PUBLIC, name).as_string(), journal.OURS, name, only_default)
    return [sql.Identifier(schema, table) for schema, table in connection.execute(_PARTITIONS.encode(), values)]


def default_partitions(connection: Connection, name: str) -> list[sql.Identifier]:
    """The default partition of one of our tables, if others have made one and our role may lock it. ATTACH locks it."""
    return other_partitions(connection, name, only_default=True)


def require_free_months(connection: Connection, name: str, months: Sequence[str]) -> None:
    """Refuse months whose rows, or some of them, are in partitions of others: they could not get one of ours.

    Raises:
        DatabaseError: when a partition of others has such rows. It names the partition.
    """
    time = sql.Identifier(str(REGISTRY[name].time))
    for partition in other_partitions(connection, name) if months else ():
        query = sql.SQL(
            "SELECT count(*) FROM {parent} WHERE tableoid = to_regclass({partition}) "
            "AND {time} >= {low} AND {time} < {high}"
        ).format(
            parent=sql.Identifier(ddl.PUBLIC, name),  # our role may lack the right to read the partition itself
            partition=sql.Literal(partition.as_string()),
            time=time,
            low=sql.Literal(first_day(min(months))),
            high=sql.Literal(day_after(max(months))),
        )
        row = connection.execute(query).fetchone()
        if row and row[0]:
            raise DatabaseError(
                f"{name}: {row[0]} rows of {min(months)} to {max(months)} are in the partition "
                f"{_shown(partition)} of somebody else's: delete them, or run ALTER TABLE "
                f"{ddl.PUBLIC}.{name} DETACH PARTITION {_shown(partition)}"
            )


def _shown(table: sql.Identifier) -> str:
    return table.as_string().replace('"', "")


_SETTINGS = """
    WITH old AS (SELECT c.*, pg_get_userbyid(c.relowner) AS owner FROM pg_class c WHERE c.oid = to_regclass(%(old)s)),
    new AS (SELECT c.*, pg_get_userbyid(c.relowner) AS owner FROM pg_class c WHERE c.oid = to_regclass(%(new)s::text)),
    rights AS (SELECT old.relowner, NULL::name AS col, a.* FROM old, aclexplode(old.relacl) a
      UNION ALL SELECT old.relowner, t.attname, a.* FROM old JOIN pg_attribute t ON t.attrelid = old.oid
        AND NOT t.attisdropped, aclexplode(t.attacl) a)
    SELECT 1 AS step, format('REVOKE ALL ON %%s FROM %%s', %(new)s::text,
      CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END) AS statement
    FROM new, old, aclexplode(coalesce(new.relacl, acldefault('r', new.relowner))) a WHERE old.relacl IS NOT NULL
    UNION
    SELECT 2, format('GRANT %%s%%s ON %%s TO %%s%%s', privilege_type, ' (' || quote_ident(col) || ')', %(new)s::text,
      CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
      CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM rights
    UNION ALL
    SELECT 3, format('ALTER TABLE %%s SET (%%I = %%L)', %(new)s::text, o.option_name, o.option_value)
    FROM old, pg_options_to_table(old.reloptions) o WHERE o.option_name <> ALL(%(kept)s)
    UNION ALL
    SELECT 3, format('ALTER TABLE %%s SET (toast.%%I = %%L)', %(new)s::text, o.option_name, o.option_value)
    FROM old JOIN pg_class t ON t.oid = old.reltoastrelid, pg_options_to_table(t.reloptions) o
    UNION ALL
    SELECT 4, format('ALTER TABLE %%s REPLICA IDENTITY %%s', %(new)s::text, CASE relreplident WHEN 'f' THEN 'FULL' ELSE
      'NOTHING' END) FROM old WHERE relreplident IN ('f', 'n')
    UNION ALL
    SELECT 5, format('ALTER TABLE %%s ENABLE ROW LEVEL SECURITY', %(new)s::text) FROM old WHERE relrowsecurity
    UNION ALL
    SELECT 5, format('ALTER TABLE %%s FORCE ROW LEVEL SECURITY', %(new)s::text) FROM old WHERE relforcerowsecurity
    UNION ALL
    SELECT 6, format('COMMENT ON TABLE %%s IS %%L', %(new)s::text, d.description) FROM old JOIN pg_description d
      ON d.objoid = old.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
    UNION ALL
    SELECT 6, format('COMMENT ON COLUMN %%s.%%I IS %%L', %(new)s::text, t.attname, d.description) FROM old
      JOIN pg_description d ON d.objoid = old.oid AND d.classoid = 'pg_class'::regclass
      JOIN pg_attribute t ON t.attrelid = old.oid AND t.attnum = d.objsubid AND NOT t.attisdropped
    UNION ALL
    SELECT 6, format('COMMENT ON CONSTRAINT %%I ON %%s IS %%L', k.conname, %(new)s::text, d.description) FROM old
      JOIN pg_constraint k ON k.conrelid = old.oid AND k.contype = 'c'
      JOIN pg_description d ON d.objoid = k.oid AND d.classoid = 'pg_constraint'::regclass
    UNION ALL
    SELECT 7, format('ALTER TABLE %%s ALTER %%I SET STATISTICS %%s', %(new)s::text, t.attname, t.attstattarget)
    FROM old JOIN pg_attribute t ON t.attrelid = old.oid WHERE t.attnum > 0 AND NOT t.attisdropped
      AND t.attstattarget >= 0
    UNION ALL
    SELECT 7, format('ALTER TABLE %%s ALTER %%I SET (%%I = %%L)', %(new)s::text, t.attname, o.option_name,
      o.option_value)
    FROM old JOIN pg_attribute t ON t.attrelid = old.oid AND NOT t.attisdropped, pg_options_to_table(t.attoptions) o
    UNION ALL
    SELECT 7, format('ALTER TABLE %%s ALTER %%I SET STORAGE %%s', %(new)s::text, t.attname,
      CASE t.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'm' THEN 'MAIN' WHEN 'e' THEN 'EXTERNAL' ELSE 'EXTENDED' END)
    FROM old, new, pg_attribute t, pg_attribute n WHERE t.attrelid = old.oid AND n.attrelid = new.oid
      AND n.attname = t.attname AND t.attnum > 0 AND NOT t.attisdropped AND t.attstorage <> n.attstorage
    UNION ALL
    SELECT 7, format('ALTER TABLE %%s ALTER %%I SET COMPRESSION %%s', %(new)s::text, t.attname,
      CASE t.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' ELSE 'default' END)
    FROM old, new, pg_attribute t, pg_attribute n WHERE t.attrelid = old.oid AND n.attrelid = new.oid
      AND n.attname = t.attname AND t.attnum > 0 AND NOT t.attisdropped AND t.attcompression <> n.attcompression
    UNION ALL
    SELECT 7, format('ALTER TABLE %%s ALTER %%I SET DEFAULT %%s', %(new)s::text, t.attname,
      pg_get_expr(d.adbin, d.adrelid))
    FROM old, new, pg_attrdef d, pg_attribute t, pg_attribute n WHERE d.adrelid = old.oid AND t.attrelid = old.oid
      AND t.attnum = d.adnum AND n.attrelid = new.oid AND n.attname = t.attname AND NOT n.atthasdef
      AND t.attgenerated = ''
    UNION ALL
    SELECT 9, format('ALTER TABLE %%s OWNER TO %%I', %(new)s::text, old.owner)
    FROM old, new WHERE old.owner <> new.owner
    ORDER BY 1, 2
"""
"""The statements that give a new partition the settings of an old one."""
_INDEX_SETTINGS = """
    SELECT h.inhparent, s.head, s.tail FROM pg_inherits h JOIN pg_index i ON i.indexrelid = h.inhrelid
    JOIN pg_class c ON c.oid = i.indexrelid,
    LATERAL (
      SELECT 'ALTER TABLE {table} REPLICA IDENTITY USING INDEX {name}' AS head, '' AS tail WHERE i.indisreplident
      UNION ALL SELECT 'ALTER TABLE {table} CLUSTER ON {name}', '' WHERE i.indisclustered
      UNION ALL SELECT 'ALTER INDEX {index} SET ', format('(%%I = %%L)', o.option_name, o.option_value)
        FROM pg_options_to_table(c.reloptions) o
      UNION ALL SELECT 'ALTER INDEX {index} ALTER COLUMN ', format('%%s SET STATISTICS %%s', attnum, attstattarget)
        FROM pg_attribute WHERE attrelid = c.oid AND attstattarget >= 0
      UNION ALL SELECT 'COMMENT ON INDEX {index} IS ', quote_literal(d.description) FROM pg_description d
        WHERE d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
    ) s
    WHERE i.indrelid = to_regclass(%(old)s)
"""
"""Statements about the indexes of a partition, by the index of the parent that each belongs to."""


@dataclass(frozen=True)
class Settings:
    """What others have set on a partition.

    Attributes:
        of_table: Statements for the table that takes its place.
        of_indexes: Begin and end of statements for its indexes, after the index of the parent that each belongs to.
    """

    of_table: tuple[str, ...]
    of_indexes: tuple[tuple[int, str, str], ...]

    @classmethod
    def of(cls, connection: Connection, old: sql.Identifier, new: sql.Identifier) -> Settings:
        """Read them from a partition, for a table that takes its place."""
        names = {"old": old.as_string(), "new": new.as_string(), "kept": sorted(_OURS_BY_NATURE)}
        statements = connection.execute(_SETTINGS.encode(), names).fetchall()
        indexes = connection.execute(_INDEX_SETTINGS.encode(), {"old": old.as_string()}).fetchall()
        return cls(tuple(str(row[1]) for row in statements), tuple(indexes))

    def apply_to_table(self, connection: Connection) -> None:
        """Give them to the table for which they were read, under the name that it had then."""
        for statement in self.of_table:
            connection.execute(statement.encode())

    def apply_to_indexes(self, connection: Connection, table: sql.Identifier) -> None:
        """Give them to the indexes of a partition that is attached."""
        query = (
            "SELECT n.nspname, c.relname FROM pg_inherits h JOIN pg_index i ON i.indexrelid = h.inhrelid "
            "JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE h.inhparent = %s AND i.indrelid = to_regclass(%s)"
        )
        for parent, head, tail in self.of_indexes:
            row = connection.execute(query, (parent, table.as_string())).fetchone()
            assert row is not None, "ATTACH gives a partition all indexes of its parent"
            names = {"table": table, "index": sql.Identifier(*row), "name": sql.Identifier(row[1])}
            statement = head.format(**{key: name.as_string() for key, name in names.items()}) + tail
            connection.execute(statement.encode())


__all__ = [
    "Settings",
    "add_to",
    "added_checks",
    "added_columns",
    "default_partitions",
    "misfits",
    "other_partitions",
    "require_free_months",
    "require_no_values",
]
