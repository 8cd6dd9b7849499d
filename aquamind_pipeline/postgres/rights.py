"""What a load may do in a database, asked before anything is made: write, use schemas and tables, and open connections.

Each question raises an error in one line, with the statement that mends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline.errors import DatabaseAwayError, DatabaseError
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.connection import Connection, described
from aquamind_pipeline.postgres.ddl import PUBLIC
from aquamind_pipeline.postgres.session import LOAD_CONNECTIONS

_SHOWN = 3


def require_writable(connection: Connection, url: SecretStr) -> None:
    """Refuse a standby, and a role or database whose sessions are read-only."""
    row = connection.execute(
        "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::boolean, current_user"
    ).fetchone()
    assert row is not None
    standby, read_only, role = row
    if standby:
        raise DatabaseError(f"{described(url)} is a standby, which only reads: give the URL of the primary server")
    if read_only:
        raise DatabaseError(
            f"{described(url)} is read-only for role {role} (default_transaction_read_only): run "
            f"{_text('ALTER ROLE {} SET default_transaction_read_only = off', role)}, or load as another role"
        )


def require_journal_is_readable(connection: Connection, url: SecretStr) -> None:
    """Refuse a role that may not read which farm a database holds."""
    row = connection.execute(
        "SELECT current_user, n.oid IS NOT NULL AND NOT has_schema_privilege(n.oid, 'USAGE'), "
        "EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = ANY(%s) AND c.relkind = 'r' "
        "AND NOT has_table_privilege(c.oid, 'SELECT')) "
        "FROM (SELECT to_regnamespace(%s)::oid AS oid) AS n",
        (list(journal.JOURNAL_TABLES), journal.OURS),
    ).fetchone()
    assert row is not None
    role, no_schema, no_table = row
    if no_schema or no_table:
        raise DatabaseError(f"{described(url)}: {_journal_remedy(role)}")


def require_places(connection: Connection, url: SecretStr, *, in_public: bool) -> None:
    """Refuse a role that may not make temporary tables, the schema `aquamind_pipeline`, or what is in it.

    Args:
        connection: The database.
        url: Its URL, for messages.
        in_public: Whether tables are made in the schema `public`, too.
    """
    row = connection.execute(
        "SELECT current_user, d.name, has_database_privilege(d.name, 'TEMPORARY'), "
        "has_database_privilege(d.name, 'CREATE'), n.ours IS NOT NULL, "
        "coalesce(has_schema_privilege(n.ours, 'USAGE') AND has_schema_privilege(n.ours, 'CREATE'), false), "
        "n.public IS NOT NULL, "
        "coalesce(has_schema_privilege(n.public, 'USAGE'), false), "
        "coalesce(has_schema_privilege(n.public, 'CREATE'), false) "
        "FROM (SELECT current_database() AS name) AS d, "
        "(SELECT to_regnamespace(%s)::oid AS ours, to_regnamespace(%s)::oid AS public) AS n",
        (journal.OURS, PUBLIC),
    ).fetchone()
    assert row is not None
    role, database, temporary, create, exists, ours, has_public, use_public, create_public = row
    where = described(url)
    if not has_public:
        raise DatabaseError(f"{where} has no schema {PUBLIC}: run CREATE SCHEMA {PUBLIC}")
    if not use_public or (in_public and not create_public):
        right = "USAGE, CREATE" if in_public else "USAGE"
        raise DatabaseError(
            f"{where}: role {role} lacks rights in the schema {PUBLIC}: run as its owner "
            f"{_text(f'GRANT {right} ON SCHEMA {PUBLIC} TO {{}}', role)}"
        )
    if not temporary:
        raise DatabaseError(
            f"{where}: role {role} may not make temporary tables: run as the owner of the database "
            f"{_text('GRANT TEMPORARY ON DATABASE {} TO {}', database, role)}"
        )
    if exists and not ours:
        raise DatabaseError(f"{where}: {_journal_remedy(role)}")
    if not exists and not create:
        raise DatabaseError(
            f"{where}: role {role} may not make the schema {journal.OURS}: run as the owner of the database "
            f"{_text(f'CREATE SCHEMA {journal.OURS} AUTHORIZATION {{}}', role)}"
        )


def require_owner(connection: Connection, url: SecretStr, names: Sequence[str]) -> None:
    """Refuse a role that does not own tables of ours that are there, since it attaches and drops partitions."""
    rows = connection.execute(
        "SELECT current_user, pg_get_userbyid(c.relowner), c.relname FROM pg_class c "
        "WHERE (c.relnamespace = to_regnamespace(%s) AND c.relname = ANY(%s) "
        "OR c.relnamespace = to_regnamespace(%s) AND c.relkind = 'r') "
        "AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY c.relname",
        (PUBLIC, list(names), journal.OURS),
    ).fetchall()
    if rows:
        role, owner, name = rows[0]
        raise DatabaseError(
            f"{described(url)}: {name}{_more(len(rows) - 1)} belong to role {owner}, so role {role} may not load into "
            f"them: load as {owner}, or run {_text('GRANT {} TO {}', owner, role)}"
        )


def require_free_names(connection: Connection, url: SecretStr, names: Sequence[str]) -> None:
    """Refuse a database in which others use the names of the tables that we would make."""
    rows = connection.execute(
        "SELECT relname, relkind::text FROM pg_class WHERE relnamespace = to_regnamespace(%(schema)s) "
        "AND relname = ANY(%(names)s) UNION SELECT typname, 'type' FROM pg_type "
        "WHERE typnamespace = to_regnamespace(%(schema)s) AND typname = ANY(%(names)s) AND typrelid = 0 ORDER BY 1",
        {"schema": PUBLIC, "names": list(names)},
    ).fetchall()
    if rows:
        name, kind = rows[0]
        raise DatabaseError(
            f"{described(url)}: {PUBLIC}.{name} is there already ({KINDS.get(kind, kind)}){_more(len(rows) - 1)}, and "
            "is not ours: rename it, or use an empty database"
        )


def require_table_rights(
    connection: Connection, url: SecretStr, tables: Mapping[str, Sequence[str]], keys: Mapping[str, str]
) -> None:
    """Refuse a role that lacks rights on AquaMind's tables, or on the sequences of their ids.

    Args:
        connection: The database.
        url: Its URL, for messages.
        tables: The rights that are needed on each table.
        keys: Tables whose ids are taken from a sequence, and their columns of ids.
    """
    asked = [(name, right) for name, rights in tables.items() for right in rights]
    lacking: dict[str, list[str]] = {}
    rows = connection.execute(
        "SELECT current_user, current_database(), u.name, u.right FROM unnest(%s::text[], %s::text[]) "
        'WITH ORDINALITY AS u(name, "right", place) '
        "JOIN pg_class c ON c.relnamespace = to_regnamespace(%s) AND c.relname = u.name "
        'WHERE NOT has_table_privilege(c.oid, u."right") ORDER BY u.place',
        ([name for name, _ in asked], [right for _, right in asked], PUBLIC),
    ).fetchall()
    for _, _, name, right in rows:
        lacking.setdefault(name, []).append(right)
    sequences = connection.execute(
        "SELECT current_user, current_database(), s.sequence, 'USAGE, SELECT, UPDATE' FROM ("
        "SELECT pg_get_serial_sequence(format('%%I.%%I', %s::text, u.name), u.key) AS sequence, u.place "
        "FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS u(name, key, place) "
        "WHERE to_regclass(format('%%I.%%I', %s::text, u.name)) IS NOT NULL) AS s "
        "WHERE s.sequence IS NOT NULL AND NOT (has_sequence_privilege(s.sequence, 'USAGE') AND "
        "has_sequence_privilege(s.sequence, 'SELECT') AND has_sequence_privilege(s.sequence, 'UPDATE')) "
        "ORDER BY s.place",
        (PUBLIC, list(keys), list(keys.values()), PUBLIC),
    ).fetchall()
    for _, _, sequence, right in sequences:
        lacking.setdefault(f"sequence {sequence}", []).append(right)
    if lacking:
        role, database = (rows or sequences)[0][:2]
        shown = "; ".join(f"{', '.join(rights)} on {name}" for name, rights in list(lacking.items())[:_SHOWN])
        raise DatabaseError(
            f"{described(url)}: role {role} lacks {shown}{_more(len(lacking) - _SHOWN)}: run as the owner of the "
            f"database `aquamind db grants {role} --database {database} | psql {database}`"
        )


def require_connections(connection: Connection, url: SecretStr) -> None:
    """Refuse a server, database or role that has too few connections left for a load.

    Raises:
        DatabaseError: when a limit is too low for any load.
        DatabaseAwayError: when others use too many at this moment.
    """
    row = connection.execute(
        "SELECT current_user, current_database(), r.rolsuper, r.rolconnlimit, d.datconnlimit, "
        "current_setting('max_connections')::int - CASE WHEN r.rolsuper THEN 0 ELSE "
        "current_setting('superuser_reserved_connections')::int "
        "+ coalesce(current_setting('reserved_connections', true), '0')::int END, "
        "(SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid), "
        "(SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid AND a.usesysid IS NOT NULL), "
        "(SELECT count(*) FROM pg_stat_activity a WHERE a.datid IS NOT NULL AND a.usesysid IS NOT NULL) "
        "FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()"
    ).fetchone()
    assert row is not None
    role, database, is_super, of_role, of_database, of_server, by_role, in_database, on_server = row
    limits = [
        (of_server, on_server, "max_connections of the server", "raise max_connections and restart the server"),
    ]
    if not is_super:
        limits += [
            (of_role, by_role, f"the limit of role {role}", _text("ALTER ROLE {} CONNECTION LIMIT -1", role)),
            (
                of_database,
                in_database,
                f"the limit of the database {database}",
                _text("ALTER DATABASE {} CONNECTION LIMIT -1", database),
            ),
        ]
    for limit, used, what, remedy in limits:
        if limit < 0:
            continue
        others = used - 1  # this connection ends before the load begins
        if limit < LOAD_CONNECTIONS:
            raise DatabaseError(
                f"{described(url)}: a load needs {LOAD_CONNECTIONS} connections, and {what} allows {limit}: {remedy}"
            )
        if limit - others < LOAD_CONNECTIONS:
            raise DatabaseAwayError(
                f"{described(url)}: a load needs {LOAD_CONNECTIONS} connections, and of {limit} ({what}) {others} are "
                f"in use: end some, or {remedy}"
            )


KINDS = {
    "r": "a table",
    "p": "a partitioned table",
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
    "S": "a sequence",
    "i": "an index",
    "I": "an index",
    "c": "a type",
    "type": "a type",
}
"""`pg_class.relkind` in words."""


def _journal_remedy(role: str) -> str:
    grant = _text(f"ALTER SCHEMA {journal.OURS} OWNER TO {{}}", role)
    return (
        f"role {role} lacks rights in the schema {journal.OURS}, which belongs to the role that loads: load as that "
        f"role, or run as a superuser {grant} and the same for its tables"
    )


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _text(statement: str, *names: str) -> str:
    """A statement for people, with quoted names."""
    parts: Iterable[str] = (sql.Identifier(name).as_string() for name in names)
    return statement.format(*parts)


__all__ = [
    "KINDS",
    "require_connections",
    "require_free_names",
    "require_journal_is_readable",
    "require_owner",
    "require_places",
    "require_table_rights",
    "require_writable",
]
