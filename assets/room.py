"""How a run that makes a whole farm begins: with a look at the disk."""

from __future__ import annotations

import dagster as dg

from aquamind_pipeline import room, tables
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.profile import Profile


def require_room(context: dg.AssetExecutionContext, workspace: Workspace, farm: Profile) -> None:
    """Refuse a run that the disk has no room for. Runs over some tables only are let through.

    Raises:
        LakeError: when there is too little.
    """
    made = {key.to_user_string() for key in context.job_def.asset_layer.selected_asset_keys}
    lake, database = made.issuperset(tables.EVENT_TABLES), "postgres_events" in made
    if lake or database:
        room.require(room.rooms(workspace.settings, farm, lake=lake, database=database))


__all__ = ["require_room"]
