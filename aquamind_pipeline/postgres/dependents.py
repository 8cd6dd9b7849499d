"""What others have made on our tables: views, foreign keys, indexes, triggers. A DROP would take them along."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from psycopg import sql

from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.postgres.connection import Connection

_QUERY = """
WITH RECURSIVE roots AS (
  SELECT to_regclass(name)::oid AS oid FROM unnest(%(tables)s::text[]) AS name WHERE to_regclass(name) IS NOT NULL
), gone(classid, objid, root) AS (
  SELECT 'pg_class'::regclass::oid, oid, oid FROM roots
  UNION
  SELECT 'pg_namespace'::regclass::oid, oid, NULL::oid FROM pg_namespace WHERE nspname = %(schema)s
  UNION
  SELECT d.classid, d.objid, coalesce(r.oid, g.root)
  FROM gone g
  JOIN pg_depend d ON d.refclassid = g.classid AND d.refobjid = g.objid AND d.deptype IN ('i', 'a', 'P', 'S')
  LEFT JOIN roots r ON d.classid = 'pg_class'::regclass AND d.objid = r.oid
), taken AS ( -- objects of others that go with the tables without a word
  SELECT g.classid, g.objid, g.root, 'is on' AS verb FROM gone g
  LEFT JOIN pg_class c ON g.classid = 'pg_class'::regclass AND c.oid = g.objid
  LEFT JOIN pg_constraint k ON g.classid = 'pg_constraint'::regclass AND k.oid = g.objid
  LEFT JOIN pg_trigger t ON g.classid = 'pg_trigger'::regclass AND t.oid = g.objid
  WHERE g.classid = ANY(ARRAY['pg_policy', 'pg_publication_rel', 'pg_publication_namespace', 'pg_statistic_ext',
                              'pg_rewrite']::regclass[])
    OR (NOT t.tgisinternal AND t.tgparentid = 0)
    OR (c.relkind IN ('r', 'p', 'f') AND c.oid NOT IN (SELECT oid FROM roots))
    OR (%(known)s::text[] IS NOT NULL AND c.relkind IN ('i', 'I', 'S') AND c.relname <> ALL(%(known)s)
        AND c.relnamespace <> 'pg_toast'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid)
        AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_class m ON m.oid = d.refobjid WHERE d.classid = g.classid
                        AND d.objid = g.objid AND d.deptype = 'i' AND d.refclassid IN ('pg_class'::regclass,
                        'pg_constraint'::regclass)))
    OR (%(known)s::text[] IS NOT NULL AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0
        AND k.coninhcount = 0 AND k.conname <> ALL(%(known)s))
), using_ours AS ( -- objects of others that PostgreSQL would refuse to leave behind
  SELECT d.classid, d.objid, g.root, CASE WHEN g.root IS NULL THEN 'is in' ELSE 'depends on' END
  FROM gone g JOIN pg_depend d ON d.refclassid = g.classid AND d.refobjid = g.objid AND d.deptype IN ('n', 'x', 'e')
  WHERE NOT EXISTS (SELECT FROM gone o WHERE o.classid = d.classid AND o.objid = d.objid)
), above(oid, top) AS ( -- a foreign key to a partitioned table has one of its own for each partition
  SELECT oid, conparentid FROM pg_constraint WHERE contype = 'f' AND conparentid <> 0
  UNION
  SELECT a.oid, k.conparentid FROM above a JOIN pg_constraint k ON k.oid = a.top WHERE k.conparentid <> 0
), named AS (
  SELECT DISTINCT
    CASE WHEN v.oid IS NULL THEN f.classid ELSE 'pg_class'::regclass::oid END AS classid,
    coalesce(v.oid, key.oid, f.objid) AS objid, coalesce(key.confrelid, root) AS root, verb
  FROM (SELECT * FROM taken UNION ALL SELECT * FROM using_ours) AS f
  LEFT JOIN (above JOIN pg_constraint key ON key.oid = above.top AND key.conparentid = 0)
    ON f.classid = 'pg_constraint'::regclass AND above.oid = f.objid
  LEFT JOIN pg_rewrite w ON f.classid = 'pg_rewrite'::regclass AND w.oid = f.objid
  LEFT JOIN pg_class v ON v.oid = w.ev_class AND v.relkind IN ('v', 'm')
)
SELECT DISTINCT o.type || ' ' || o.identity || CASE WHEN verb = 'is on' AND strpos(o.identity, ' on ') > 0 THEN ''
  ELSE ' ' || verb || ' ' || CASE WHEN root IS NULL THEN 'schema ' || quote_ident(%(schema)s)
  ELSE (pg_identify_object('pg_class'::regclass, root, 0)).identity END END
FROM named, pg_identify_object(named.classid, named.objid, 0) AS o ORDER BY 1
"""


def dependents(
    connection: Connection,
    tables: Sequence[sql.Identifier],
    *,
    schema: str | None = None,
    known: Collection[str] | None = None,
) -> list[str]:
    """Objects of others that depend on tables, or go with them, one line each. It only reads the server's catalogues.

    Args:
        connection: The database.
        tables: Tables of ours, with their partitions. Those that are not there are passed over.
        schema: A schema of ours whose other objects count, too.
        known: Names of our indexes, constraints and sequences. None if we do not know them; then only other kinds of
            object are looked for.
    """
    values = {
        "tables": [table.as_string() for table in tables],
        "schema": schema,
        "known": None if known is None else sorted(known),
    }
    return [str(row[0]) for row in connection.execute(_QUERY.encode(), values)]


def require_none(found: Sequence[str], where: str) -> None:
    """Refuse to drop tables that others have built on.

    Raises:
        DatabaseError: when there are such objects. It names each.
    """
    if found:
        raise DatabaseError(f"{where}: {'; '.join(found)}: drop {'it' if len(found) == 1 else 'them'} first")


__all__ = ["dependents", "require_none"]
