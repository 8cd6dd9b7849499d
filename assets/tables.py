"""An asset for each table. Tables that are made together are made in one step."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dagster as dg

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.assets.beginning import require_disk_space, require_plan_first, require_target
from aquamind_pipeline.lake import Written
from aquamind_pipeline.orchestration.asset_specs import BEFORE_OTHERS, table_spec, written_metadata
from aquamind_pipeline.orchestration.retries import retry_transient_errors
from aquamind_pipeline.orchestration.table_figures import figure_metadata
from aquamind_pipeline.pipeline.slices import make_slices
from aquamind_pipeline.pipeline.steps import failure, farm_of, make_months, make_whole
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.inputs import PLAN
from aquamind_pipeline.schema.kinds import Kind

Made = dg.MaterializeResult[None]


def build(months: dg.MonthlyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Make the assets of all steps. Tables that are made month by month are partitioned by these months."""
    return [_step(name, definitions, months) for name, definitions in REGISTRY.steps().items()]


def _step(
    name: str, definitions: Sequence[TableDefinition], months: dg.MonthlyPartitionsDefinition
) -> dg.AssetsDefinition:
    if any(one.batch_slices for one in definitions):
        return _sliced_tables(name, definitions)
    if definitions[0].is_monthly:
        (definition,) = definitions
        return _monthly_table(definition, months)
    return _whole_tables(name, definitions)


def _whole_tables(name: str, definitions: Sequence[TableDefinition]) -> dg.AssetsDefinition:
    begins = any(one.kind is Kind.REFERENCE or one.name in PLAN for one in definitions)

    @dg.multi_asset(
        name=name, specs=[table_spec(one) for one in definitions], op_tags=BEFORE_OTHERS if begins else None
    )
    def whole_tables(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> Iterator[Made]:
        require_plan_first(context, workspace, definitions)
        require_target(context, workspace, lambda: farm_of(workspace, definitions))
        if definitions[0].kind is Kind.REFERENCE:
            require_disk_space(context, workspace, farm_of(workspace, definitions))
        yield from _results(workspace, definitions, make_whole)

    return whole_tables


def _sliced_tables(name: str, definitions: Sequence[TableDefinition]) -> dg.AssetsDefinition:
    @dg.multi_asset(name=name, specs=[table_spec(one) for one in definitions])
    def sliced_tables(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> Iterator[Made]:
        require_plan_first(context, workspace, definitions)
        require_target(context, workspace, lambda: farm_of(workspace, definitions))
        yield from _results(workspace, definitions, make_slices)

    return sliced_tables


Make = Callable[[Workspace, Sequence[TableDefinition]], Iterator[tuple[str, Written]]]


def _results(workspace: Workspace, definitions: Sequence[TableDefinition], make: Make) -> Iterator[Made]:
    """Make tables and return Dagster's result for each."""
    with retry_transient_errors(), workspace.lake.exclusive():
        farm = farm_of(workspace, definitions)
        for name, written in make(workspace, definitions):
            facts = written_metadata(written, farm, written.seconds)
            figure = figure_metadata(REGISTRY[name], workspace)
            version = dg.DataVersion(written.digest)
            yield dg.MaterializeResult(asset_key=name, metadata={**facts, **figure}, data_version=version)


def _monthly_table(definition: TableDefinition, months: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    name = definition.name

    @dg.multi_asset(
        name=name,
        specs=[table_spec(definition)],
        partitions_def=months,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def monthly_table(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> None:
        farm = workspace.planned
        require_plan_first(context, workspace, [definition])
        require_target(context, workspace, lambda: farm)
        with retry_transient_errors(), workspace.lake.exclusive():
            made = make_months(workspace, definition, context.partition_keys)
        facts: dict[str, dict[str, Any]] = {
            month: dict(written_metadata(written, farm, written.seconds))
            if written is not None
            else {"dagster/row_count": 0, "note": f"the farm ends on {farm.as_of}"}
            for month, written in made.written.items()
        }
        if made.failed:
            for month, metadata in facts.items():
                context.log_event(dg.AssetMaterialization(name, partition=month, metadata=metadata))
            raise failure(made.failed, len(context.partition_keys), name)
        facts[context.partition_keys[-1]].update(figure_metadata(definition, workspace))
        for month, metadata in facts.items():
            context.add_asset_metadata(metadata, name, partition_key=month)

    return monthly_table
