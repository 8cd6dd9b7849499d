"""Asset checks on the lake, which run before the load."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from aquamind_pipeline.apps.batch.stages import LIFECYCLE_STAGES
from aquamind_pipeline.checks.layers import check_layers
from aquamind_pipeline.checks.results import check_specs, result
from aquamind_pipeline.orchestration.asset_specs import BEFORE_OTHERS, frame_table, page_link
from aquamind_pipeline.orchestration.figures import lines
from aquamind_pipeline.orchestration.partitions import months_of_run
from aquamind_pipeline.pipeline import check_results
from aquamind_pipeline.pipeline.sample_names import named
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.quality import truth
from aquamind_pipeline.quality.common_rules import EXPECTATIONS
from aquamind_pipeline.quality.farm_rules import (
    FARM_RULES,
    REALISTIC,
    RECOVERS_LIFE,
    compared_with_real_farms,
    state_errors,
)
from aquamind_pipeline.quality.rules import farm_rules_about, rules_of
from aquamind_pipeline.quality.runner import CheckRunner
from aquamind_pipeline.report import realism_path, save_realism_page
from aquamind_pipeline.report.data_docs import DataDocs
from aquamind_pipeline.schema.check_result import CheckResult
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.settings import Settings

SHOWN_DAYS = 21
"""Most days since weighing that the errors of states are shown for."""


def build() -> list[dg.AssetChecksDefinition]:
    """Make the checks: a step for the tables of each layer, and one for the rules on the farm about each table."""
    of_tables = [_table_checks(step, kind, names) for step, (kind, names) in check_layers().items()]
    return [*of_tables, *(_farm_checks(about) for about in dict.fromkeys(rule.about for rule in FARM_RULES))]


def _table_checks(step: str, kind: Kind, names: Sequence[str]) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=step,
        specs=[spec for name in names for spec in check_specs(name, rules_of(name).values())],
        can_subset=True,  # a run that materialises one table checks only this table
        op_tags=BEFORE_OTHERS if kind is Kind.REFERENCE else None,
    )
    def table_checks(
        context: dg.AssetCheckExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> Iterable[dg.AssetCheckResult]:
        wanted = context.selected_asset_check_keys
        runner = workspace.checks(months_of_run(context.run.tags), only={key.name for key in wanted})
        docs = DataDocs(workspace.settings)
        tables = [name for name in names if any(key.asset_key == dg.AssetKey(name) for key in wanted)]
        with workspace.progress.track(f"check {kind.value} tables", len(tables)) as advance:
            for name in tables:
                results = [named(workspace.lake, one) for one in runner.of_table(name)]
                for one in results:
                    if dg.AssetCheckKey(dg.AssetKey(name), one.rule) in wanted:
                        show = partial(_expectations, runner, name, docs) if one.rule == EXPECTATIONS.name else dict
                        yield result(workspace, name, one, show)
                check_results.save(workspace.settings, name, [(name, one) for one in results])
                advance()
        docs.write_index()

    return table_checks


def _expectations(runner: CheckRunner, name: str, docs: DataDocs) -> Mapping[str, dg.MetadataValue]:
    """The result of each expectation of a table's suite, and a link to its Data Docs page."""
    validated = runner.validated.get(name)
    if validated is None:
        return {}
    page = docs.write(name, validated)
    return {"expectations": frame_table(validated.expectations), "data_docs": page_link(docs.settings, page)}


def _farm_checks(about: str) -> dg.AssetChecksDefinition:
    rules = farm_rules_about(about)

    @dg.multi_asset_check(name=f"farm_checks_{about}", specs=check_specs(about, rules), can_subset=True)
    def farm_checks(
        context: dg.AssetCheckExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> Iterable[dg.AssetCheckResult]:
        results: list[tuple[str, CheckResult]] = []
        wanted = {key.name for key in context.selected_asset_check_keys}
        runner = workspace.checks(only=wanted)
        with workspace.progress.track(f"check the farm: {about}", len(wanted)) as advance:
            for name, found in runner.of_farm(about):
                one = named(workspace.lake, found)
                results.append((name, one))
                show: Callable[[], Mapping[str, Any]] = dict
                if one.rule == RECOVERS_LIFE.name:
                    show = partial(_errors, runner)
                elif one.rule == REALISTIC.name and runner.since is None:
                    show = partial(_compared, runner, workspace.settings)
                yield result(workspace, name, one, show)
                advance()
        check_results.save(workspace.settings, f"farm_{about}", results)

    return farm_checks


def _compared(runner: CheckRunner, settings: Settings) -> dict[str, dg.MetadataValue]:
    """Every figure beside that of real farms, and a link to the page that shows them."""
    compared = compared_with_real_farms(runner.farm_inputs(REALISTIC))
    page = realism_path(settings)
    save_realism_page(settings.farm_name, compared, page)
    return {"figures": frame_table(compared.figures), "page": page_link(settings, page)}


def _errors(runner: CheckRunner) -> dict[str, dg.MetadataValue]:
    """Errors of the states compared with life, by stage, by days since weighing, and by the states' confidence."""
    errors = state_errors(runner.farm_inputs(RECOVERS_LIFE))
    names = runner.lake.scan(LIFECYCLE_STAGES.name).select("name", stage="id").collect()
    stages = truth.distribution(errors, "stage").join(names, on="stage", maintain_order="left")
    days = truth.distribution(errors.filter(pl.col("days_since") <= SHOWN_DAYS), "days_since")
    confidence = truth.distribution(errors, "confidence")
    shown: dict[str, dg.MetadataValue] = {
        "by_stage": frame_table(stages.select(pl.col("name").alias("stage"), pl.exclude("stage", "name"))),
        "by_days_since_weighing": frame_table(days),
        "by_confidence": frame_table(confidence),
    }
    if runner.since is not None:  # nightly runs draw no figures
        return shown
    columns = ["weight_mean_%", "weight_p95_%"]
    panels = {
        "by days since a weight was measured": days.select(*columns, x="days_since"),
        "by the states' confidence": confidence.select(*columns, x="confidence"),
    }
    return shown | {"picture": lines(panels, "x", columns, x_label="", y_label="error of weight, %")}
