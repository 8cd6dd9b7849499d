"""Indexes and foreign keys of AquaMind's tables: taken off before a large load, and built again after it.

What is off is listed in the journal's schema. So the next load, or a wipe, builds it again after a kill or a crash.

An index or a key is taken off only if its statement brings back everything that belongs to it. Otherwise it stays on,
and the load takes longer: a comment, a tablespace or statistics of its own, the replica identity, an order of the table
(CLUSTER), a deferrable key, a key that is not enforced or not validated, and whatever else depends on it.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.postgres import journal, locks
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.connection_pool import ConnectionPool
from aquamind_pipeline.postgres.ddl import PUBLIC

_SUSPENDED = sql.Identifier(journal.OURS, "suspended")
_NAMES = "SET LOCAL search_path = pg_catalog, pg_temp"
"""PostgreSQL writes a name with its schema if the path does not lead there."""
_MAY_SUSPEND = """
    SELECT pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(c.relnamespace, 'CREATE')
      AND c.relkind = 'r' AND NOT c.relispartition
      AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid OR h.inhrelid = c.oid)
      AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname LIKE 'ts_insert%%')
    FROM pg_class c WHERE c.oid = to_regclass(%s)
"""
"""Who does not own the table, or may not make an index, could not build it again. TimescaleDB keeps its own indexes."""
_HYPERTABLE = """
    SELECT EXISTS (SELECT FROM _timescaledb_catalog.hypertable WHERE schema_name = %s AND table_name = %s)
"""
_TO_SUSPEND = sql.SQL("""
    WITH the AS (
      SELECT c.oid, c.relreplident,
        -- Without its key, UPDATE and DELETE of a published table fail, and a subscriber does not find its rows.
        c.relreplident = 'd' AND (
          EXISTS (SELECT FROM pg_publication_tables p WHERE (p.schemaname, p.tablename) = (n.nspname, c.relname))
          OR EXISTS (SELECT FROM pg_replication_slots s
            WHERE s.slot_type = 'logical' AND s.database = current_database())
          OR EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = c.oid)) AS identified_by_key
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%(of)s)
    ), plain_index AS (
      SELECT i.indexrelid, i.indisprimary, i.indisunique, x.relname, k.oid AS key, k.conname, k.contype
      FROM the JOIN pg_index i ON i.indrelid = the.oid JOIN pg_class x ON x.oid = i.indexrelid
      LEFT JOIN pg_constraint k
        ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
      WHERE i.indisvalid AND i.indisready AND i.indislive AND i.indimmediate AND NOT i.indisexclusion
        AND NOT i.indisreplident AND NOT i.indisclustered AND NOT (i.indisprimary AND the.identified_by_key)
        AND x.reltablespace = 0 AND x.relkind = 'i' AND NOT x.relispartition
        AND (k.oid IS NULL OR (k.contype IN ('p', 'u') AND k.conname = x.relname AND NOT k.condeferrable))
        AND (i.indisprimary OR NOT (i.indisunique AND %(keep_unique)s))
        AND NOT EXISTS (SELECT FROM pg_description d WHERE (d.classoid, d.objoid) IN (
          ('pg_class'::regclass::oid, i.indexrelid), ('pg_constraint'::regclass::oid, k.oid)))
        AND NOT EXISTS (SELECT FROM pg_attribute a
          WHERE a.attrelid = i.indexrelid AND coalesce(a.attstattarget, -1) <> -1)
        -- Nothing but its own constraint depends on it, such as a foreign key or a view that groups by the key.
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.refobjid IN (i.indexrelid, k.oid)
          AND d.refclassid IN ('pg_class'::regclass, 'pg_constraint'::regclass)
          AND (d.classid, d.objid) NOT IN (SELECT 'pg_class'::regclass::oid, i.indexrelid))
        -- It depends on nothing but its table, its constraint and collations: on no function or extension.
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE (d.classid, d.objid) IN (
            ('pg_class'::regclass::oid, i.indexrelid), ('pg_constraint'::regclass::oid, k.oid))
          AND NOT (d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid)
          AND NOT (d.refclassid = 'pg_constraint'::regclass AND d.refobjid = k.oid)
          AND d.refclassid <> 'pg_collation'::regclass)
    ), plain_reference AS (
      SELECT k.oid, k.conname
      FROM the JOIN pg_constraint k ON k.conrelid = the.oid AND k.contype = 'f'
      JOIN pg_class r ON r.oid = k.confrelid
      WHERE k.convalidated AND k.conparentid = 0 AND r.relkind = 'r' AND NOT r.relispartition
        AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
        AND NOT coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false)
        AND has_schema_privilege(r.relnamespace, 'USAGE')
        AND (has_table_privilege(r.oid, 'REFERENCES') OR NOT EXISTS (
          SELECT FROM unnest(k.confkey) AS u(number) WHERE NOT has_column_privilege(r.oid, u.number, 'REFERENCES')))
        AND NOT EXISTS (SELECT FROM pg_description d WHERE d.classoid = 'pg_constraint'::regclass AND d.objoid = k.oid)
        AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgenabled <> 'O')
        -- Of two keys of the same columns PostgreSQL might choose the other one.
        AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = r.oid AND i.indisunique AND i.indexrelid <> k.conindid
          AND i.indnkeyatts = cardinality(k.confkey) AND i.indkey::int2[] @> k.confkey)
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_constraint'::regclass AND d.refobjid = k.oid
          AND d.classid <> 'pg_trigger'::regclass)
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_constraint'::regclass AND d.objid = k.oid
          AND NOT (d.refclassid = 'pg_class'::regclass AND d.refobjid IN (k.conrelid, k.confrelid, k.conindid)))
    )
    INSERT INTO {suspended} (table_name, step, name, statement)
    SELECT %(table)s, row_number() OVER (ORDER BY step, name), name, statement FROM (
      SELECT 1 AS step, relname AS name, pg_get_indexdef(indexrelid) AS statement FROM plain_index
      UNION ALL
      SELECT 2, conname, format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s USING INDEX %%I', to_regclass(%(of)s), conname,
        CASE contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, relname) FROM plain_index WHERE key IS NOT NULL
      UNION ALL
      SELECT 3, conname, format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', to_regclass(%(of)s), conname,
        pg_get_constraintdef(oid)) FROM plain_reference
    ) AS every
""")


def suspend(connection: Connection, name: str, *, keep_unique: bool = False) -> None:
    """Take off the indexes and foreign keys of a table, if our role can build them again as they were.

    Args:
        connection: The database.
        name: The table.
        keep_unique: Whether unique keys stay on, other than the primary key: where rows of others may have the keys of
            ours, so that the load fails and not the rebuild.
    """
    of = _qualified(name)
    with connection.transaction():
        connection.execute(_NAMES)
        allowed = connection.execute(_MAY_SUSPEND, (of,)).fetchone()
        if not allowed or not allowed[0] or _is_hypertable(connection, name):
            return
        parameters = {"table": name, "of": of, "keep_unique": keep_unique}
        connection.execute(_TO_SUSPEND.format(suspended=_SUSPENDED), parameters)
        off = connection.execute(
            sql.SQL("SELECT name, statement FROM {} WHERE table_name = %s ORDER BY step DESC").format(_SUSPENDED),
            (name,),
        ).fetchall()
        target = sql.Identifier(PUBLIC, name)
        locks.lock_tables(connection, [target, *_referenced(connection, name)], "ACCESS EXCLUSIVE")
        for one, statement in off:
            if _is_constraint(statement):
                connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(target, sql.Identifier(one)))
        for one, statement in off:
            if not _is_constraint(statement):
                connection.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(PUBLIC, one)))


def restore(pool: ConnectionPool, name: str) -> None:
    """Build what is off of a table, indexes side by side. Each statement is either done or still listed.

    Raises:
        DatabaseError: when something is in the way. All that can be built is built first.
    """
    first = pool.first
    first.commit()
    query = sql.SQL("SELECT step, name, statement FROM {} WHERE table_name = %s ORDER BY step").format(_SUSPENDED)
    off = first.execute(query, (name,)).fetchall()
    first.commit()

    def build(connection: Connection, row: tuple[int, str, str]) -> str | None:
        step, one, statement = row

        def work(attempt: locks.Attempt) -> None:
            attempt.lock([sql.Identifier(PUBLIC, name)], _lock_mode(statement))
            # An earlier version of this program listed names without their schema.
            connection.execute("SET LOCAL search_path = pg_catalog, public, pg_temp")
            connection.execute("SET LOCAL default_tablespace = ''")  # where it was
            connection.execute(statement.encode())  # a foreign key also locks the table that it refers to

        try:
            with connection.transaction():
                connection.execute(_NAMES)
                if not _is_there(connection, name, one, statement):
                    locks.in_attempts(connection, work)
                done = sql.SQL("DELETE FROM {} WHERE table_name = %s AND step = %s").format(_SUSPENDED)
                connection.execute(done, (name, step))
        except _IN_THE_WAY as error:
            return _obstacle(name, one, error)
        return None

    obstacles = pool.spread(build, [row for row in off if not _is_constraint(row[2])])
    obstacles += [build(first, row) for row in off if _is_constraint(row[2])]
    if in_the_way := [one for one in obstacles if one]:
        more = f" ({len(in_the_way) - 1} more are listed in {journal.OURS}.suspended)" if len(in_the_way) > 1 else ""
        raise DatabaseError(f"{in_the_way[0]}{more}")


_IN_THE_WAY = (
    psycopg.errors.IntegrityError,
    psycopg.errors.ProgrammingError,  # names that are taken, missing columns, missing rights
    psycopg.errors.ObjectNotInPrerequisiteState,
)


def _is_there(connection: Connection, table: str, name: str, statement: str) -> bool:
    """Whether somebody built the very same index or key already, or deleted the table."""
    if connection.execute("SELECT to_regclass(%s)", (_qualified(table),)).fetchone() == (None,):
        return True
    if not _is_constraint(statement):
        query = (
            "SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid "
            "WHERE i.indrelid = to_regclass(%s) AND x.relname = %s AND i.indisvalid"
        )
        return connection.execute(query, (_qualified(table), name)).fetchone() == (statement,)
    query = (
        "SELECT CASE contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' ELSE pg_get_constraintdef(oid) END "
        "FROM pg_constraint WHERE conrelid = to_regclass(%s) AND conname = %s"
    )
    row = connection.execute(query, (_qualified(table), name)).fetchone()
    # As it was listed, the text after the constraint's name.
    return row is not None and f" {row[0]}" in statement


def _obstacle(table: str, name: str, error: psycopg.Error) -> str:
    """What is in the way of an index or key, and what to do."""
    reason = error.diag.message_primary or str(error)
    detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
    match error:
        case psycopg.errors.IntegrityError():
            remedy = "somebody wrote such rows meanwhile: correct or delete them"
        case psycopg.errors.DuplicateTable() | psycopg.errors.DuplicateObject():
            remedy = "somebody took this name meanwhile: rename or drop that object"
        case psycopg.errors.InsufficientPrivilege():
            remedy = "give the role back the rights that it had, or run the listed statement as the table's owner"
        case _:
            remedy = f"run the statement that {journal.OURS}.suspended lists by hand, or remove what contradicts it"
    return f"{table}: {name} cannot be built again: {reason}{detail}; {remedy}, and run again"


def _is_hypertable(connection: Connection, name: str) -> bool:
    row = connection.execute("SELECT to_regclass('_timescaledb_catalog.hypertable')").fetchone()
    if row is None or row[0] is None:
        return False
    found = connection.execute(_HYPERTABLE, (PUBLIC, name)).fetchone()
    return found is not None and bool(found[0])


def _referenced(connection: Connection, name: str) -> list[sql.Identifier]:
    """The tables that a table refers to and that our role may lock. PostgreSQL locks them to drop a foreign key."""
    query = (
        "SELECT DISTINCT n.nspname, c.relname FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE k.contype = 'f' AND k.conrelid = to_regclass(%s) "
        "AND k.conrelid <> k.confrelid AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') ORDER BY 1, 2"
    )
    return [sql.Identifier(*row) for row in connection.execute(query, (_qualified(name),))]


def _lock_mode(statement: str) -> str:
    """The lock that a listed statement needs."""
    if not _is_constraint(statement):
        return "SHARE"
    return "ACCESS EXCLUSIVE" if " USING INDEX " in statement else "SHARE ROW EXCLUSIVE"


def _is_constraint(statement: str) -> bool:
    return statement.startswith("ALTER")


def _qualified(name: str) -> str:
    return sql.Identifier(PUBLIC, name).as_string()


__all__ = ["restore", "suspend"]
