"""The least rights that a load into AquaMind's database needs."""

from __future__ import annotations

from psycopg import sql

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.ddl import PUBLIC
from aquamind_pipeline.postgres.targets.aquamind.history import history_table


def grants(role: str, database: str) -> str:
    """SQL that gives these rights to a role, and makes the role if it does not exist.

    Run it as a superuser, or as the owner of the database and its tables. It is one statement: all of it happens, or
    nothing. Missing tables are passed over.
    """
    names = [*REGISTRY.aquamind, *sorted(map(history_table, REGISTRY.whole))]
    parts = {
        "role": sql.Identifier(role),
        "name": sql.Literal(role),
        "database": sql.Identifier(database),
        "ours": sql.Identifier(journal.OURS),
        "made": sql.Literal(f"role {role} was made and has no password yet: set one in psql with \\password {role}"),
        "not_made": sql.Literal(
            f"role {role} does not exist, and you may not make it: run CREATE ROLE as a superuser, then this again"
        ),
        "tables": sql.SQL("\n  ").join(
            sql.SQL("IF to_regclass({}) IS NOT NULL THEN GRANT INSERT, UPDATE, DELETE ON {} TO {}; END IF;").format(
                sql.Literal(name.as_string()), name, sql.Identifier(role)
            )
            for name in (sql.Identifier(PUBLIC, name) for name in names)
        ),
    }
    body = (
        sql.SQL(
            "BEGIN\n"
            "  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {name}) THEN\n"
            "    BEGIN\n"
            "      CREATE ROLE {role} LOGIN;\n"
            "    EXCEPTION WHEN insufficient_privilege THEN\n"
            "      RAISE EXCEPTION USING MESSAGE = {not_made};\n"
            "    END;\n"
            "    RAISE NOTICE USING MESSAGE = {made};\n"
            "  END IF;\n"
            "  GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role};\n"
            "  GRANT USAGE ON SCHEMA public TO {role};\n"
            "  -- A wipe reads all tables to find out which of our rows others use.\n"
            "  GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};\n"
            "  GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO {role};\n"
            "  CREATE SCHEMA IF NOT EXISTS {ours} AUTHORIZATION {role};\n"
            "  {tables}\n"
            "END"
        )
        .format(**parts)
        .as_string()
    )
    quote = "$grants$"
    while quote in body:  # a name may hold whatever ends the statement
        quote = quote[:-1] + "_$"
    return f"DO {quote} {body} {quote};\n"


__all__ = ["grants"]
