"""Checks before a run makes anything: whether the disk has enough space, and whether the database accepts the farm."""

from __future__ import annotations

import dagster as dg

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.lake import Manifest
from aquamind_pipeline.orchestration.asset_specs import POSTGRES_EVENTS, POSTGRES_MASTER
from aquamind_pipeline.orchestration.retries import retry_transient_errors
from aquamind_pipeline.pipeline import disk_space
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.simulation.profile import Profile


def require_disk_space(context: dg.AssetExecutionContext, workspace: Workspace, farm: Profile) -> None:
    """Refuse a run that makes a whole farm on a disk without enough space. Runs of single tables are not refused.

    Raises:
        LakeError: when the disk has too little space.
    """
    made = {key.to_user_string() for key in context.job_def.asset_layer.selected_asset_keys}
    lake, database = made.issuperset(REGISTRY.events), POSTGRES_EVENTS in made
    if lake or database:
        disk_space.require(disk_space.disk_spaces(workspace.settings, farm, lake=lake, database=database))


def require_target(context: dg.AssetExecutionContext, workspace: Workspace, farm: Profile) -> None:
    """Refuse a run that loads into a user's database, if that database does not accept the farm.

    Raises:
        DatabaseError: when the database cannot be reached, or has another farm or other tables.
    """
    made = {key.to_user_string() for key in context.job_def.asset_layer.selected_asset_keys}
    if POSTGRES_MASTER in made and workspace.settings.database_url is not None:
        with retry_transient_errors():
            open_target(workspace.settings.database_url).require_fit(Manifest.of(farm))


__all__ = ["require_disk_space", "require_target"]
