"""How close the assimilated states are to the lives that were lived, which only a simulated farm can tell."""

from collections.abc import Iterable
from functools import partial

import dagster as dg
import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.orchestration.asset_specs import frame_table
from aquamind_pipeline.orchestration.figures import lines
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.pipeline import check_results
from aquamind_pipeline.proof import Proof
from aquamind_pipeline.quality import truth
from checks.evaluating import check_specs, result

SHOWN_DAYS = 21


def build() -> list[dg.AssetChecksDefinition]:
    """The check of states against life."""
    return [truth_checks]


@dg.multi_asset_check(name="truth_checks", specs=check_specs(tables.STATE_TABLE, ("recovers_life",)))
def truth_checks(workspace: dg.ResourceParam[Workspace]) -> Iterable[dg.AssetCheckResult]:
    """Distributions of the error in fish, weight and biomass, and a picture of them."""
    with workspace.progress.track("compare states with life", 1) as advance:
        proof = workspace.proof()
        found = list(proof.of_truth())
        check_results.save(workspace.settings, "truth", ((tables.STATE_TABLE, finding) for finding in found))
        for finding in found:
            yield result(
                workspace,
                tables.STATE_TABLE,
                finding,
                partial(_shown, proof, night=workspace.settings.since is not None),
            )
        advance()


def _shown(proof: Proof, *, night: bool) -> dict[str, dg.MetadataValue]:
    errors, names = proof.errors, proof.lake.scan("batch_lifecyclestage").select("name", stage="id").collect()
    stages = truth.distribution(errors, "stage").join(names, on="stage", maintain_order="left")
    days = truth.distribution(errors.filter(pl.col("days_since") <= SHOWN_DAYS), "days_since")
    confidence = truth.distribution(errors, "confidence")
    columns = ["weight_mean_%", "weight_p95_%"]
    by_name = stages.select(pl.col("name").alias("stage"), pl.exclude("stage", "name"))
    panels = {
        "by days since a weight was measured": days.select(*columns, x="days_since"),
        "by stated confidence": confidence.select(*columns, x="confidence"),
    }
    shown: dict[str, dg.MetadataValue] = {
        "by_stage": frame_table(by_name),
        "by_days_since_weighing": frame_table(days),
        "by_confidence": frame_table(confidence),
    }
    if night:  # no pictures are drawn
        return shown
    return shown | {"picture": lines(panels, "x", columns, x_label="", y_label="error of weight, %")}
