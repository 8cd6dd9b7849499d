"""What is asked before a run makes anything: whether the disk has space, and whether the database can take the farm."""

from __future__ import annotations

import dagster as dg

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.lake import Manifest
from aquamind_pipeline.orchestration.asset_specs import POSTGRES_EVENTS, POSTGRES_MASTER
from aquamind_pipeline.orchestration.retries import retry_transient_errors
from aquamind_pipeline.pipeline import disk_space
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.postgres import schema
from aquamind_pipeline.simulation.profile import Profile


def require_disk_space(context: dg.AssetExecutionContext, workspace: Workspace, farm: Profile) -> None:
    """Refuse a run that makes a whole farm on a disk without space for it. Runs over some tables are not refused.

    Raises:
        LakeError: when there is too little.
    """
    made = {key.to_user_string() for key in context.job_def.asset_layer.selected_asset_keys}
    lake, database = made.issuperset(REGISTRY.events), POSTGRES_EVENTS in made
    if lake or database:
        disk_space.require(disk_space.disk_spaces(workspace.settings, farm, lake=lake, database=database))


def require_target(context: dg.AssetExecutionContext, workspace: Workspace, farm: Profile) -> None:
    """Refuse a run that loads a database of the user's which cannot take the farm.

    Raises:
        DatabaseError: when it cannot be reached, or holds something else.
    """
    made = {key.to_user_string() for key in context.job_def.asset_layer.selected_asset_keys}
    if POSTGRES_MASTER in made and workspace.settings.database_url is not None:
        with retry_transient_errors():
            schema.require_target(workspace.settings.database_url, Manifest.of(farm))


__all__ = ["require_disk_space", "require_target"]
