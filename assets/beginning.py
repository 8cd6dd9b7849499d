"""Checks before a run makes anything: whether the disk has enough space, and whether the database accepts the farm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import dagster as dg

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.orchestration.asset_specs import POSTGRES_ASSETS, daily_tables_read
from aquamind_pipeline.orchestration.retries import retry_transient_errors
from aquamind_pipeline.pipeline import disk_space
from aquamind_pipeline.pipeline.loading import POSTGRES_EVENTS, require_database
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.inputs import PLAN
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


def require_target(context: dg.AssetExecutionContext, workspace: Workspace, farm: Callable[[], Profile]) -> None:
    """Refuse a run that loads into a user's database, if that database does not accept the farm.

    Each first step of the run asks, since nobody knows which of them is first. A night has other first steps than a
    whole build.

    Args:
        context: The step.
        workspace: The workspace of the run.
        farm: Gives the farm that is built.

    Raises:
        DatabaseError: when the database cannot be reached, lacks rights or connections, or has another farm or other
            tables.
    """
    layer = context.job_def.asset_layer
    made = layer.selected_asset_keys
    loads = any(dg.AssetKey(name) in made for name in POSTGRES_ASSETS)
    parents = {parent for key in context.selected_asset_keys for parent in layer.asset_graph.get(key).parent_keys}
    if loads and not (parents - context.selected_asset_keys) & made:
        with retry_transient_errors():
            require_database(workspace, farm())


def require_plan_first(
    context: dg.AssetExecutionContext, workspace: Workspace, definitions: Sequence[TableDefinition]
) -> None:
    """Refuse a run of several processes that makes the plan and these tables, but no daily table between them.

    Their only arrow to the plan leads through a daily table. Without that table, their steps could run while the plan's
    step runs, and read some old and some new tables of the plan.

    Raises:
        ConfigError: when the run makes the plan, but no daily table between.
    """
    made = {key.to_user_string() for key in context.job_def.asset_layer.selected_asset_keys}
    if workspace.settings.executor == "in_process" or made.isdisjoint(PLAN):
        return
    for one in definitions:
        daily = daily_tables_read(one)
        if daily and made.isdisjoint(daily):
            raise ConfigError(
                f"this run makes the plan and {one.name}, but not {daily[0]}, which is made between the two: select "
                f"{daily[0]} as well, or make the plan in a run of its own"
            )


__all__ = ["require_disk_space", "require_plan_first", "require_target"]
