"""How a run that makes a whole farm begins: with a look at the disk, and at the database that is to take it."""

from __future__ import annotations

import dagster as dg

from aquamind_pipeline import tables
from aquamind_pipeline.lake import Manifest
from aquamind_pipeline.orchestration.retries import retry_transient_errors
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.pipeline import disk_space
from aquamind_pipeline.postgres import schema
from aquamind_pipeline.simulation.profile import Profile


def require_room(context: dg.AssetExecutionContext, workspace: Workspace, farm: Profile) -> None:
    """Refuse a run that the disk has no room for. Runs over some tables only are let through.

    Raises:
        LakeError: when there is too little.
    """
    made = {key.to_user_string() for key in context.job_def.asset_layer.selected_asset_keys}
    lake, database = made.issuperset(tables.EVENT_TABLES), "postgres_events" in made
    if lake or database:
        disk_space.require(disk_space.rooms(workspace.settings, farm, lake=lake, database=database))


def require_target(context: dg.AssetExecutionContext, workspace: Workspace, farm: Profile) -> None:
    """Refuse a run that loads a database of the user's which cannot take the farm, before anything is made.

    Raises:
        DatabaseError: when it cannot be reached, or holds something else.
    """
    made = {key.to_user_string() for key in context.job_def.asset_layer.selected_asset_keys}
    if "postgres_master" in made and workspace.settings.database_url is not None:
        with retry_transient_errors():
            schema.require_target(workspace.settings.database_url, Manifest.of(farm))


__all__ = ["require_room", "require_target"]
