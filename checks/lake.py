"""What must hold of the lake before anything reaches the database."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import dagster as dg

from aquamind_pipeline import tables
from aquamind_pipeline.orchestration.asset_specs import frame_table, page_link
from aquamind_pipeline.orchestration.partitions import months_of_run
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.pipeline import check_results
from aquamind_pipeline.proof import Proof
from aquamind_pipeline.quality.catalogue import FEEDINGS, OF_FARM, OF_STORES, RULES, rules_of
from aquamind_pipeline.quality.check_result import Finding
from aquamind_pipeline.report.data_docs import DataDocs
from checks.evaluating import check_specs, result

LAYERS = {
    "infrastructure": tables.of_layer("infrastructure"),
    "reference": tables.of_layer("reference"),
    "batch": tables.of_layer("batch"),
    "event": tables.EVENT_TABLES,
    "state": tables.of_layer("state"),
}


def build() -> list[dg.AssetChecksDefinition]:
    """One op of checks for each layer, and one each for the states and the feed stock."""
    return [*(_layer_checks(layer, names) for layer, names in LAYERS.items()), farm_checks, stock_checks]


def _layer_checks(layer: str, names: Sequence[str]) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"{layer}_table_checks",
        specs=[spec for name in names for spec in check_specs(name, rules_of(name))],
        can_subset=True,  # a table that is materialised alone is checked alone
    )
    def table_checks(
        context: dg.AssetCheckExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> Iterable[dg.AssetCheckResult]:
        wanted = context.selected_asset_check_keys
        proof = workspace.proof(months_of_run(context.run.tags), without=set(RULES) - {key.name for key in wanted})
        docs = DataDocs(workspace.settings)
        found: list[tuple[str, Finding]] = []
        tables_of_run = [name for name in names if any(key.asset_key == dg.AssetKey(name) for key in wanted)]
        with workspace.progress.track(f"check {layer} tables", len(tables_of_run)) as advance:
            for name in tables_of_run:
                for finding in proof.of_table(name):
                    found.append((name, finding))
                    if dg.AssetCheckKey(dg.AssetKey(name), finding.rule) in wanted:
                        shown = partial(_expectations, proof, name, docs) if finding.rule == "expectations" else dict
                        yield result(workspace, name, finding, shown)
                advance()
        docs.write_index()
        check_results.save(workspace.settings, f"{layer}_tables", found)

    return table_checks


def _expectations(proof: Proof, name: str, docs: DataDocs) -> Mapping[str, dg.MetadataValue]:
    """What a suite found, expectation by expectation, and its page."""
    validated = proof.validated.get(name)
    if validated is None:
        return {}
    page = docs.write(name, validated)
    return {"expectations": frame_table(validated.expectations), "data_docs": page_link(docs.settings, page)}


@dg.multi_asset_check(name="farm_checks", specs=check_specs(tables.STATE_TABLE, OF_FARM), can_subset=True)
def farm_checks(
    context: dg.AssetCheckExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> Iterable[dg.AssetCheckResult]:
    """What must hold of the farm as a whole."""
    found: list[tuple[str, Finding]] = []
    wanted = {key.name for key in context.selected_asset_check_keys}
    with workspace.progress.track("check the farm", len(wanted)) as advance:
        for finding in workspace.proof(without=set(OF_FARM) - wanted).of_farm():
            found.append((tables.STATE_TABLE, finding))
            yield result(workspace, tables.STATE_TABLE, finding)
            advance()
    check_results.save(workspace.settings, "farm", found)


@dg.multi_asset_check(name="stock_checks", specs=check_specs(FEEDINGS, OF_STORES))
def stock_checks(workspace: dg.ResourceParam[Workspace]) -> Iterable[dg.AssetCheckResult]:
    """Feed bought against feed eaten, for every store and day: deliveries are materialised before the meals."""
    found = list(workspace.proof().of_stores())
    check_results.save(workspace.settings, "stores", ((FEEDINGS, finding) for finding in found))
    yield from (result(workspace, FEEDINGS, finding) for finding in found)
