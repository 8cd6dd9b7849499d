"""AquaMind's history tables. django-simple-history keeps the past of a table's rows there."""

from __future__ import annotations

from collections.abc import Iterable

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.ddl import PUBLIC

REASON = "aquamind-pipeline"
"""The change reason of the history rows that we write."""


def history_table(name: str) -> str:
    """A table's history table: that of batch_batch is batch_historicalbatch."""
    app, _, model = name.partition("_")
    return f"{app}_historical{REGISTRY[name].history_model or model}"


def history_tables(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    """The history tables of these tables that the database has."""
    wanted = {history_table(name): name for name in names}
    query = "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename = ANY(%s)"
    return {wanted[row[0]]: row[0] for row in connection.execute(query, (PUBLIC, list(wanted)))}


__all__ = ["REASON", "history_table", "history_tables"]
