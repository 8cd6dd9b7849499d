"""Foreign keys as the server has them: of any schema, of several columns, and to other keys than the primary one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from psycopg import sql

from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.ddl import PUBLIC


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key.

    Attributes:
        schema: Schema of the table that refers.
        table: The table that refers.
        columns: Its columns.
        target: The table of schema `public` that it refers to.
        target_columns: The columns there, in the same order.
    """

    schema: str
    table: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]

    @property
    def ours(self) -> str | None:
        """Name of the referring table, if it may be one of AquaMind's."""
        return self.table if self.schema == PUBLIC else None

    @property
    def source(self) -> sql.Identifier:
        """The table that refers."""
        return sql.Identifier(self.schema, self.table)

    def join(self, user: str, used: str) -> sql.Composed:
        """When a row refers to another one: the text after ON.

        Args:
            user: Alias of the table that refers.
            used: Alias of the other table.
        """
        pairs = zip(self.columns, self.target_columns, strict=True)
        return sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier(user, column), sql.Identifier(used, key)) for column, key in pairs
        )


def foreign_keys(connection: Connection, targets: Collection[str]) -> list[ForeignKey]:
    """The foreign keys to these tables of schema `public`. A key of a partitioned table is named once."""
    query = """
        SELECT DISTINCT n.nspname, c.relname,
          array(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(number, place)
                JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY place),
          t.relname,
          array(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(number, place)
                JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY place)
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_class t ON t.oid = k.confrelid JOIN pg_namespace s ON s.oid = t.relnamespace
        WHERE k.contype = 'f' AND k.conparentid = 0 AND s.nspname = %s AND t.relname = ANY(%s)
        ORDER BY 1, 2, 3, 4
    """
    return [
        ForeignKey(schema, table, tuple(columns), target, tuple(keys))
        for schema, table, columns, target, keys in connection.execute(query, (PUBLIC, list(targets)))
    ]


def require_readable(connection: Connection, keys: Iterable[ForeignKey]) -> None:
    """Refuse a role that may not read a table that refers to ours. Rows of ours that it refers to must stay.

    Raises:
        DatabaseError: with the statements that give the right.
    """
    query = """
        SELECT current_user, coalesce(has_schema_privilege(n.oid, 'USAGE'), false),
          coalesce(has_table_privilege(c.oid, 'SELECT'), false)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s
    """
    for key in keys:
        row = connection.execute(query, (key.schema, key.table)).fetchone()
        if row is None or (row[1] and row[2]):
            continue
        role = sql.Identifier(row[0])
        grants = [
            statement.as_string()
            for statement, lacks in (
                (sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(key.schema), role), not row[1]),
                (sql.SQL("GRANT SELECT ON {} TO {}").format(key.source, role), not row[2]),
            )
            if lacks
        ]
        raise DatabaseError(
            f"{key.schema}.{key.table} refers to {key.target}, and role {row[0]} may not read it, so it cannot tell "
            f"which rows must stay: run as its owner {'; '.join(grants)}"
        )


__all__ = ["ForeignKey", "foreign_keys", "require_readable"]
