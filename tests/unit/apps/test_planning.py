"""Planned activities: AquaMind's report of variances has something to say, and says nothing untrue."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from aquamind_pipeline.apps.planning.activities import PLANNED_ACTIVITIES
from aquamind_pipeline.apps.planning.templates import ACTIVITY_TEMPLATES, TEMPLATES
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.simulation.mixing import is_mixed
from aquamind_pipeline.simulation.treatments import REASON
from tests.helpers.farms import Made

_LAST = date(2023, 6, 30)
PROFILE = load_profile("test-40").model_copy(
    update={"batches_per_geography": 8, "stagger_days": 70, "as_of": _LAST, "default_as_of": _LAST, "bands": ()}
)


@pytest.fixture(scope="module")
def farm() -> Made:
    return Made(PROFILE)


@pytest.fixture(scope="module")
def activities(farm: Made) -> pl.DataFrame:
    days = (pl.col("completed_at").dt.date() - pl.col("due_date")).dt.total_days()
    return farm.frame(PLANNED_ACTIVITIES.name).with_columns(variance=days)


def test_the_variance_report_is_sensible(activities: pl.DataFrame) -> None:
    """Some are late and some early, some called off, few overdue, and what comes is open."""
    completed = activities.filter(status="COMPLETED")
    late = (completed["variance"] > 0).mean()
    assert late is not None
    assert 0.1 < late < 0.6  # type: ignore[operator]
    assert (completed["variance"] < 0).any()
    open_ = activities.filter(pl.col("status").is_in(["PENDING", "IN_PROGRESS"]))
    assert (open_["due_date"] > PROFILE.as_of).any()
    assert (open_["due_date"] < PROFILE.as_of).sum() < 0.05 * activities.height
    called_off = activities.filter(status="CANCELLED")
    assert 0 < called_off.height < 0.2 * activities.height
    assert called_off["notes"].str.starts_with("Called off: ").all()
    assert completed["completed_at"].dt.date().max() <= PROFILE.as_of  # type: ignore[operator]
    for kind in ("TRANSFER", "HARVEST", "SAMPLING", "VACCINATION"):
        assert completed.filter(activity_type=kind)["variance"].n_unique() > 1


def test_a_batch_has_the_activities_of_its_whole_life(farm: Made, activities: pl.DataFrame) -> None:
    """As AquaMind's templates give them. The harvest of each living batch is open, that of the others done. Mixed
    batches begin at sea, so that only their harvest is planned.
    """
    of_batch = activities.group_by(mixed=is_mixed(pl.col("batch_id")), batch_id="batch_id").len()
    assert set(of_batch.filter(~pl.col("mixed"))["len"]) == {len(TEMPLATES)}
    assert set(of_batch.filter("mixed")["len"]) == {1}
    assert (activities["created_at"].dt.date() <= activities["due_date"]).all()
    harvests = activities.filter(activity_type="HARVEST").join(
        farm.frame("batch_batch").select("start_date", batch_id="id", batch="status"), on="batch_id"
    )
    assert (harvests["created_at"].dt.date() == harvests["start_date"]).all()
    open_until = {"RECEIVING": "PENDING", "ACTIVE": "PENDING", "COMPLETED": "COMPLETED"}
    assert (harvests["status"] == harvests["batch"].replace_strict(open_until)).all()
    assert set(harvests["batch"]) == set(open_until)


def test_transfers_and_workflows_name_each_other(farm: Made, activities: pl.DataFrame) -> None:
    workflows = farm.frame("batch_batchtransferworkflow").filter(workflow_type="LIFECYCLE_TRANSITION")
    linked = activities.join(workflows, left_on="transfer_workflow_id", right_on="id")
    assert linked.height == workflows.height
    assert (linked["planned_activity_id"] == linked["id"]).all()
    assert (linked["batch_id"] == linked["batch_id_right"]).all()
    assert (linked["due_date"] == linked["planned_start_date"]).all()
    assert (
        linked.filter(status="COMPLETED")["completed_at"]
        .dt.date()
        .equals(linked.filter(status="COMPLETED")["actual_completion_date"], check_names=False)
    )


def test_activities_are_done_on_the_day_of_what_happened(farm: Made, activities: pl.DataFrame) -> None:
    done = activities.filter(status="COMPLETED").with_columns(day=pl.col("completed_at").dt.date())
    batch_of = farm.frame("batch_batchcontainerassignment").select("batch_id", assignment_id="id")
    samplings = farm.scan("health_healthsamplingevent").collect().join(batch_of, on="assignment_id")
    sampled = done.filter(activity_type="SAMPLING")
    assert sampled.join(
        samplings, left_on=["batch_id", "day"], right_on=["batch_id", "sampling_date"], how="anti"
    ).is_empty()
    treated = (
        farm.scan("health_treatment")
        .select("batch_id", "treatment_type", day=pl.col("treatment_date").dt.date())
        .collect()
    )
    vaccinated = done.filter(activity_type="VACCINATION").join(
        treated.filter(treatment_type="vaccination"), on=["batch_id", "day"], how="anti"
    )
    assert vaccinated.is_empty()
    partial = farm.frame("life_move").filter(stage=6)["source_assignment_id"]  # before a mix, which nobody planned
    events = farm.frame("harvest_harvestevent").filter(~pl.col("assignment_id").is_in(partial.implode()))
    harvests = events.select("batch_id", day=pl.col("event_date").dt.date()).unique()
    harvested = done.filter(activity_type="HARVEST")
    assert harvested.join(harvests, on=["batch_id", "day"]).height == harvested.height == harvests.height > 0


def test_delousings_are_called_off_for_their_true_reason(farm: Made, activities: pl.DataFrame) -> None:
    """A batch that was treated had lice: the note names the day of the last delousing, which was before the plan's."""
    called_off = activities.filter(activity_type="TREATMENT", status="CANCELLED")
    deloused = (
        farm.frame("life_treatment")
        .filter(reason=REASON["lice"])
        .join(called_off.select("id", "batch_id", "due_date"), on="batch_id")
        .filter(pl.col("date") < pl.col("due_date"))
        .group_by("id")
        .agg(last=pl.col("date").max())
    )
    harvests = farm.plan.batches.select("batch_id", "harvest_date")
    noted = called_off.join(deloused, on="id", how="left").join(harvests, on="batch_id")
    kept = noted.filter(pl.col("harvest_date") > pl.col("due_date"))
    named = kept["notes"].str.extract(r"last deloused on ([\d-]+),").str.to_date()
    assert kept.height > 0
    assert named.equals(kept["last"], check_names=False)
    assert kept.filter(pl.col("last").is_null())["notes"].str.contains("no ring had needed").all()
    gone = noted.filter(pl.col("harvest_date") <= pl.col("due_date"))
    assert gone["notes"].str.contains("was harvested on").all()


def test_templates_that_the_engine_would_apply_are_inactive(farm: Made) -> None:
    """R41: weight and stage make activities on a recalculation, unless the template is inactive."""
    rows = farm.frame(ACTIVITY_TEMPLATES.name)
    assert rows.filter("is_active")["trigger_type"].unique().to_list() == ["DAY_OFFSET"]
    assert set(rows.filter(~pl.col("is_active"))["trigger_type"]) == {"WEIGHT_THRESHOLD", "STAGE_TRANSITION"}
    assert rows.filter("is_active").height == len(TEMPLATES)
