"""What the definitions put together for Dagster. Nothing runs here."""

from __future__ import annotations

import dagster as dg

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.definitions import (
    BUILD_FARM,
    BUILD_LAKE,
    BUILD_MONTH,
    LOAD_DATABASE,
    MONTH_ASSETS,
    NIGHTLY,
    build_defs,
)
from aquamind_pipeline.pipeline.loading import POSTGRES_EVENTS
from aquamind_pipeline.quality.rules import STATEMENTS
from aquamind_pipeline.settings import load_settings

STEPS = (dg.AssetsDefinition, dg.AssetChecksDefinition)


def test_everything_loads_and_hangs_together() -> None:
    defs = build_defs(load_settings(profile="tiny"))
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    for name, one in REGISTRY.items():
        node = graph.get(dg.AssetKey(name))
        assert node.description, name
        assert (node.group_name or "").startswith(one.app), name
        assert node.kinds, name
    partitioned = {key.to_user_string() for key in graph.materializable_asset_keys if graph.get(key).is_partitioned}
    assert partitioned == {*MONTH_ASSETS, POSTGRES_EVENTS}
    assert {*REGISTRY.events} < partitioned
    assert {job.name for job in defs.jobs or []} == {BUILD_FARM, BUILD_LAKE, BUILD_MONTH, LOAD_DATABASE, "tidy_history"}


def test_every_check_that_guards_the_database_blocks() -> None:
    checks = build_defs(load_settings(profile="tiny")).resolve_asset_graph().asset_check_keys
    assert len(checks) > 200
    defs = build_defs(load_settings(profile="tiny"))
    specs = [spec for one in defs.asset_checks or [] for spec in one.check_specs]  # type: ignore[union-attr]
    assert {spec.name for spec in specs} == set(STATEMENTS)
    assert all(spec.blocking == STATEMENTS[spec.name].blocks for spec in specs)
    warns = {name for name, rule in STATEMENTS.items() if not rule.blocks}
    assert warns == {"feed_conversion", "growth_rate", "realistic"}


def test_dagster_splits_no_step() -> None:
    """It would number the parts in the order of a set, so that processes of one run mean different parts by a name."""
    defs = build_defs(load_settings(profile="tiny"))
    written = {one.op.name for one in (*(defs.assets or []), *(defs.asset_checks or [])) if isinstance(one, STEPS)}
    for job in (BUILD_FARM, BUILD_LAKE, LOAD_DATABASE):
        assert {node.name for node in defs.resolve_job_def(job).graph.nodes} <= written, job


def test_one_setting_switches_the_nights_on() -> None:
    """The schedule runs from the start, and every asset of a night that misses it is shown as overdue."""
    for nightly in (False, True):
        defs = build_defs(load_settings(profile="tiny", nightly=nightly))
        assert (defs.resolve_schedule_def(NIGHTLY).default_status == dg.DefaultScheduleStatus.RUNNING) == nightly
        watched = {s.key.to_user_string() for s in defs.resolve_all_asset_specs() if s.freshness_policy is not None}
        every = {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}
        assert watched == (every - set(REGISTRY.lasting) if nightly else set())
