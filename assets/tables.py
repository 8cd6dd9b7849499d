"""An asset for each table, in one step with the tables that are made together."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dagster as dg

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.lake import Written
from aquamind_pipeline.orchestration.asset_specs import table_spec, written_metadata
from aquamind_pipeline.orchestration.retries import retry_transient_errors
from aquamind_pipeline.orchestration.table_figures import shown_of
from aquamind_pipeline.pipeline.slices import make_slices
from aquamind_pipeline.pipeline.steps import failure, farm_of, make_months, make_whole
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.kinds import Kind
from assets.beginning import require_disk_space, require_target

Made = dg.MaterializeResult[None]


def build(months: dg.MonthlyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The assets of every step; tables that are made month by month are partitioned by these months."""
    return [_step(name, definitions, months) for name, definitions in REGISTRY.steps().items()]


def _step(
    name: str, definitions: Sequence[TableDefinition], months: dg.MonthlyPartitionsDefinition
) -> dg.AssetsDefinition:
    if any(one.batch_slices for one in definitions):
        return _of_slices(name, definitions)
    if definitions[0].is_monthly:
        (definition,) = definitions
        return _of_months(definition, months)
    return _of_whole_tables(name, definitions)


def _of_whole_tables(name: str, definitions: Sequence[TableDefinition]) -> dg.AssetsDefinition:
    @dg.multi_asset(name=name, specs=[table_spec(one) for one in definitions])
    def whole_tables(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> Iterator[Made]:
        if definitions[0].kind is Kind.REFERENCE:
            farm = farm_of(workspace, definitions)
            require_disk_space(context, workspace, farm)
            require_target(context, workspace, farm)
        yield from _made(workspace, definitions, make_whole)

    return whole_tables


def _of_slices(name: str, definitions: Sequence[TableDefinition]) -> dg.AssetsDefinition:
    @dg.multi_asset(name=name, specs=[table_spec(one) for one in definitions])
    def sliced_tables(workspace: dg.ResourceParam[Workspace]) -> Iterator[Made]:
        yield from _made(workspace, definitions, make_slices)

    return sliced_tables


Make = Callable[[Workspace, Sequence[TableDefinition]], Iterator[tuple[str, Written]]]


def _made(workspace: Workspace, definitions: Sequence[TableDefinition], make: Make) -> Iterator[Made]:
    with retry_transient_errors(), workspace.lake.exclusive():
        farm = farm_of(workspace, definitions)
        for name, written in make(workspace, definitions):
            facts = written_metadata(written, farm, written.seconds)
            yield dg.MaterializeResult(asset_key=name, metadata={**facts, **shown_of(REGISTRY[name], workspace)})


def _of_months(definition: TableDefinition, months: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    name = definition.name

    @dg.multi_asset(
        name=name,
        specs=[table_spec(definition)],
        partitions_def=months,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def monthly_table(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> None:
        farm = workspace.planned
        with retry_transient_errors(), workspace.lake.exclusive():
            made = make_months(workspace, definition, context.partition_keys)
        facts: dict[str, dict[str, Any]] = {
            month: dict(written_metadata(written, farm, written.seconds))
            if written is not None
            else {"dagster/row_count": 0, "note": f"the farm reaches to {farm.as_of} only"}
            for month, written in made.written.items()
        }
        if made.failed:
            for month, known in facts.items():
                context.log_event(dg.AssetMaterialization(name, partition=month, metadata=known))
            raise failure(made.failed, len(context.partition_keys), name)
        facts[context.partition_keys[-1]].update(shown_of(definition, workspace))
        for month, known in facts.items():
            context.add_asset_metadata(known, name, partition_key=month)

    return monthly_table
