"""Arrows that are left out of Dagster's graph: no step comes too early, and unsynced assets are still marked."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.definitions import BUILD_LAKE, MONTH_ASSETS, build_defs
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.months import months_between
from aquamind_pipeline.orchestration.run_config import Rule
from aquamind_pipeline.orchestration.run_jobs import run_job
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.schema.inputs import PLAN
from aquamind_pipeline.settings import Settings, load_settings
from tests.helpers.farms import digests, make_lake
from tests.integration.dagster.test_terminations import asked, pages

SAMPLES = "batch_growthsample"
STEP = REGISTRY["batch_batch"].build_step


def later(home: Path, days: int, **changes: object) -> Settings:
    """The tiny farm some days later, without checks."""
    as_of = load_settings(profile="tiny").farm.as_of + timedelta(days=days)
    return load_settings(
        profile="tiny", home=home, as_of=as_of, skip_checks=tuple(rule.value for rule in Rule), **changes
    )


def made_in_one_step(*names: str) -> list[str]:
    """These tables and all that are made in their steps."""
    steps = {REGISTRY[name].build_step for name in names}
    return [name for name, one in REGISTRY.items() if one.build_step in steps]


def test_a_run_without_life_makes_the_plan_first(a_copy: Settings) -> None:
    """No arrow leads from these tables to the plan but through life, which is not made."""
    months = months_between(a_copy.farm.epoch, a_copy.farm.as_of)
    settings = later(a_copy.home, 0, lake=a_copy.lake_path)
    made = [*PLAN, *made_in_one_step("infrastructure_container", "batch_batch"), SAMPLES]
    before = digests(settings.lake_path)
    outcome = run_job(Workspace(settings), BUILD_LAKE, months, assets=made)
    assert outcome.success
    steps = [step for step in outcome.step_seconds if "checks" not in step]
    assert steps[:2] == [REGISTRY["infrastructure_container"].build_step, REGISTRY[PLAN[0]].build_step]
    assert set(steps[2:]) == {STEP, SAMPLES}
    assert digests(settings.lake_path) == before


def test_several_processes_do_not_make_it_beside_the_plan(a_copy: Settings) -> None:
    settings = later(a_copy.home, 0, lake=a_copy.lake_path, executor="multiprocess")
    months = months_between(settings.farm.epoch, settings.farm.as_of)
    with pytest.raises(ConfigError, match=r"makes the plan and batch_growthsample, but not life_day"):
        run_job(Workspace(settings), BUILD_LAKE, months, assets=[*PLAN, SAMPLES])


MARKS = """query Marks($keys: [AssetKeyInput!], $month: String) {
  assetNodes(assetKeys: $keys) { assetKey { path } staleStatus(partition: $month) }
}"""


def marked(address: str, months: list[str]) -> set[str]:
    """The tables that Dagster's pages show as unsynced or missing, or any of these months of which."""
    found = set()
    for month in (None, *months):
        keys = [{"path": [name]} for name in REGISTRY if (name in MONTH_ASSETS) == (month is not None)]
        nodes = asked(address, MARKS, keys=keys, month=month)["assetNodes"]
        found |= {node["assetKey"]["path"][0] for node in nodes if node["staleStatus"] != "FRESH"}
    return found


def ready(settings: Settings, unsynced: set[str]) -> list[str]:
    """Those of these tables that are made from none of the others, with all tables of their steps."""
    graph = build_defs(settings).resolve_asset_graph()

    def sources(names: list[str]) -> set[str]:
        keys = {key for name in names for key in graph.get_ancestor_asset_keys(dg.AssetKey(name))}
        return {key.to_user_string() for key in keys}.difference(names)

    steps = {REGISTRY[name].build_step: made_in_one_step(name) for name in sorted(unsynced)}
    return [name for names in steps.values() if unsynced.isdisjoint(sources(names)) for name in names]


@pytest.mark.slow
@pytest.mark.parametrize(("built", "asked_for"), [(6, 7), (0, 40)])
def test_the_marks_lead_to_all_that_a_later_day_changes(home: Path, built: int, asked_for: int) -> None:
    """Somebody plans the farm anew, then makes what is marked, from left to right, until nothing is marked.

    A batch begins on the seventh day, and nothing else happens.
    """
    first, then = later(home, built), later(home, asked_for)
    before, months = (months_between(one.farm.epoch, one.farm.as_of) for one in (first, then))
    assert run_job(Workspace(first), BUILD_LAKE, before).success
    (folder := home / "ui").mkdir()
    with pages(then, SecretStr(""), folder) as address:
        assert not marked(address, before)
        tables = list(PLAN)
        while tables:
            assert run_job(Workspace(then), BUILD_LAKE, months, assets=tables).success
            tables = ready(then, marked(address, months))
    whole = load_settings(profile="tiny", home=home / "whole", as_of=then.farm.as_of)
    make_lake(whole)
    assert digests(then.lake_path) == digests(whole.lake_path)
