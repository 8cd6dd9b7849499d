"""The databases that a farm is loaded into, behind one interface."""

from __future__ import annotations

from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.postgres import journal, rights
from aquamind_pipeline.postgres.connection import connect
from aquamind_pipeline.postgres.ddl import PUBLIC
from aquamind_pipeline.postgres.targets.aquamind.target import AquaMindTarget
from aquamind_pipeline.postgres.targets.own import OwnTarget
from aquamind_pipeline.postgres.targets.target import Part, Target


def open_target(url: SecretStr) -> Target:
    """The target at a URL.

    A database with a farm of ours says which kind it is. A database without one is AquaMind's if it has any of
    AquaMind's tables, and ours to fill if it has none.
    """
    query = "SELECT count(*) FROM pg_tables WHERE schemaname = %s AND tablename = ANY(%s)"
    with connect(url) as connection:
        rights.require_journal_is_readable(connection, url)
        farm = journal.farm(connection)
        row = connection.execute(query, (PUBLIC, [*REGISTRY.aquamind, "django_migrations"])).fetchone()
    is_aquamind = farm.kind == AquaMindTarget.kind if farm else bool(row and row[0])
    return AquaMindTarget(url) if is_aquamind else OwnTarget(url)


__all__ = ["AquaMindTarget", "OwnTarget", "Part", "Target", "open_target"]
