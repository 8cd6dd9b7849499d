"""Infrastructure and reference rows: what exists before any fish."""

import time
from collections.abc import Iterator

import dagster as dg

from aquamind_pipeline import tables
from aquamind_pipeline.farm.reference import reference as build_reference
from aquamind_pipeline.orchestration.asset_specs import spec
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.simulation.sites import infrastructure as build_infrastructure
from assets.room import require_room, require_target
from assets.writing import results

GROUP = "farm"


@dg.multi_asset(name="infrastructure", specs=[spec(name, GROUP) for name in tables.of_layer("infrastructure")])
def infrastructure(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> Iterator[dg.MaterializeResult[None]]:
    """Sites, halls, areas, containers, sensors and feed stores."""
    started = time.perf_counter()
    farm = workspace.wanted
    require_room(context, workspace, farm)
    require_target(context, workspace, farm)
    yield from results(workspace, farm, build_infrastructure(farm.sites), started)


@dg.multi_asset(name="reference", specs=[spec(name, GROUP) for name in tables.of_layer("reference")])
def reference(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> Iterator[dg.MaterializeResult[None]]:
    """Species, stages, parameters, feeds, grades, scenario models and the owning user."""
    started = time.perf_counter()
    farm = workspace.wanted
    require_room(context, workspace, farm)
    require_target(context, workspace, farm)
    yield from results(workspace, farm, build_reference(farm), started)


assets = [infrastructure, reference]
