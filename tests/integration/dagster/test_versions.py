"""Which months the pages offer, and which assets they call unsynced."""

from __future__ import annotations

from datetime import UTC, date, datetime

import dagster as dg
import pytest

from aquamind_pipeline import definitions
from aquamind_pipeline.definitions import BUILD_LAKE, BUILD_MONTH, NIGHTLY, build_defs
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.months import month_key, months_between
from aquamind_pipeline.orchestration.records import dagster_home
from aquamind_pipeline.orchestration.run_jobs import run_job
from aquamind_pipeline.orchestration.step_errors import WrongOption
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.settings import Settings
from aquamind_pipeline.simulation.profile import GENERATOR_VERSION

SAMPLES = "batch_growthsample"


def offered(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> list[str]:
    """The months that the pages offer, with the definitions as Dagster loads them."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    (spec,) = (one for one in definitions.defs.load_fn().resolve_all_asset_specs() if one.key == dg.AssetKey(SAMPLES))
    assert spec.partitions_def is not None
    return list(spec.partitions_def.get_partition_keys())


def test_the_pages_offer_no_month_that_the_farm_does_not_reach(
    a_copy: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one is that of the farm's last day, or of the lake's if that is later. Nights need the running one."""
    farm = a_copy.farm
    assert offered(monkeypatch, a_copy) == months_between(farm.epoch, farm.as_of)
    later = date(2026, 9, 3)
    Lake(a_copy.lake_path).claim(farm.model_copy(update={"as_of": later}))
    assert offered(monkeypatch, a_copy) == months_between(farm.epoch, later)
    nights = a_copy.model_copy(update={"nightly": True})
    assert offered(monkeypatch, nights)[-1] == month_key(datetime.now(UTC).date())


def test_a_night_beyond_the_offered_months_says_what_to_do(a_copy: Settings) -> None:
    """Somebody switched the nights on by a click, and the pages still have the months of before."""
    schedule = build_defs(a_copy, last_month="2026-06").resolve_schedule_def(NIGHTLY)
    dagster_home(a_copy)
    for day, skipped in ((datetime(2026, 6, 30, 23, 30), False), (datetime(2026, 7, 1, 23, 30), True)):
        given = {"scheduled_execution_time": day, "resources": {"workspace": Workspace(a_copy)}}
        with dg.DagsterInstance.get() as instance, dg.build_schedule_context(instance, **given) as context:  # type: ignore[arg-type]
            tick = schedule.evaluate_tick(context)
        assert bool(tick.run_requests) != skipped
        off = "switch nightly on, then click Reload definitions on the page Lineage"
        assert (off in (tick.skip_message or "")) == skipped


@pytest.mark.slow
@pytest.mark.parametrize(
    ("now", "last_day"),
    [
        (datetime(2026, 7, 20, 8, 0, tzinfo=UTC), "2026-07-19"),
        (datetime(2026, 7, 20, 23, 30, tzinfo=UTC), "2026-07-20"),
        (datetime(2026, 7, 9, 8, 0, tzinfo=UTC), "2026-07-10"),
    ],
)
def test_a_night_by_hand_builds_up_to_the_last_evening(a_copy: Settings, now: datetime, last_day: str) -> None:
    """The dialog for a tick by hand proposes an evening of ten days ago. A later evening stays as it was chosen."""
    schedule = build_defs(a_copy, clock=lambda: now).resolve_schedule_def(NIGHTLY)
    dagster_home(a_copy)
    given = {"scheduled_execution_time": datetime(2026, 7, 10, 23, 30), "resources": {"workspace": Workspace(a_copy)}}
    with dg.DagsterInstance.get() as instance, dg.build_schedule_context(instance, **given) as context:  # type: ignore[arg-type]
        (request,) = schedule.evaluate_tick(context).run_requests or []
    assert request.run_config["resources"]["workspace"]["config"]["as_of"] == last_day


def test_an_as_of_beyond_the_offered_months_makes_no_run(a_copy: Settings) -> None:
    job = build_defs(a_copy, last_month="2026-06").resolve_job_def(BUILD_LAKE)
    config = {"resources": {"workspace": {"config": {"as_of": "2026-09-30"}}}}
    with pytest.raises(WrongOption, match=r"start `aquamind ui --as-of 2026-09-30`"):
        job.execute_in_process(run_config=config)


@pytest.mark.slow
def test_identical_bytes_have_the_same_version(a_copy: Settings) -> None:
    """Each month has the hash of its own file, whichever months were made with it."""
    lake = Lake(a_copy.lake_path)
    for months in (["2026-03", "2026-04"], ["2026-03"]):
        assert run_job(Workspace(a_copy), BUILD_MONTH, months, assets=[SAMPLES]).success
    dagster_home(a_copy)
    with dg.DagsterInstance.get() as instance:
        found = instance.fetch_materializations(dg.AssetKey(SAMPLES), limit=10).records
        made = [record.asset_materialization for record in found]
    versions = [(one.partition, (one.tags or {})["dagster/data_version"]) for one in made if one]
    assert sorted(versions) == sorted(
        (month, lake.digest(SAMPLES, month)) for month in ("2026-03", "2026-03", "2026-04")
    )
    assert {(one.tags or {})["dagster/code_version"] for one in made if one} == {str(GENERATOR_VERSION)}
    assert {spec.code_version for spec in build_defs(a_copy).resolve_all_asset_specs()} == {str(GENERATOR_VERSION)}
