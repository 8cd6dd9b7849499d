"""What Dagster's catalogue says of every asset, and a snapshot of all that the definitions define."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from aquamind_pipeline import report
from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.apps.farm.life import LIFE_DAYS
from aquamind_pipeline.definitions import build_defs
from aquamind_pipeline.schema.frames import lake_schema, references
from aquamind_pipeline.schema.inputs import PLAN
from aquamind_pipeline.settings import load_settings
from aquamind_pipeline.simulation.life import live
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import schedule
from tests.helpers.golden import RENEW, stale
from tests.helpers.places import DATA

GOLDEN = DATA / "definitions.json"
MOST_OTHERS_ELSEWHERE = 18
MOST_OTHERS = {"farm_life": 28, "postgres": 47}
"""Tables of other groups on one side of a group's page. Most tables are made from life, and all are loaded."""


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs(load_settings(profile="tiny", faults=("doubled-transfers",), pages_url="http://127.0.0.1:3001"))


@pytest.fixture(scope="module")
def specs(defs: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_every_asset_says_what_it_is_and_of_which_farm(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        what, how = (spec.description or "").split("\n\n")
        assert what.endswith("."), name
        assert how.endswith("."), name
        assert spec.owners == ["team:aquamind-data"]
        assert spec.metadata["profile"] == "tiny"
        assert spec.metadata["seed"] == "20261123"
        assert spec.metadata["faults"] == "doubled-transfers"
        assert not {"report", "data_docs"} & set(spec.metadata), "there is neither before the first build"


def test_pages_that_exist_are_linked(tmp_path: Path) -> None:
    settings = load_settings(profile="tiny", home=tmp_path, pages_url="http://127.0.0.1:3001")
    settings.reports_path.mkdir(parents=True)
    report.page_path(settings).write_text("the report")
    for spec in build_defs(settings).resolve_all_asset_specs():
        assert spec.metadata["report"] == dg.MetadataValue.url("http://127.0.0.1:3001/tiny.html")
        assert "data_docs" not in spec.metadata


@pytest.fixture(scope="module")
def arrows(specs: dict[str, dg.AssetSpec]) -> dict[str, set[str]]:
    """The assets from which an arrow leads to an asset."""
    return {name: {dep.asset_key.to_user_string() for dep in spec.deps} for name, spec in specs.items()}


def all_before(arrows: dict[str, set[str]], name: str) -> set[str]:
    """All assets from which arrows lead to an asset, directly or not."""
    found: set[str] = set()
    ahead = {name}
    while ahead:
        ahead = {parent for one in ahead for parent in arrows[one]} - found
        found |= ahead
    return found


def test_every_table_that_is_read_comes_before_its_reader(
    specs: dict[str, dg.AssetSpec], arrows: dict[str, set[str]]
) -> None:
    """Also if not all tables are made: only the plan may be further away than one arrow, since it is made first."""
    together = {*PLAN, *REGISTRY.lasting}
    steps = {one.name: step for step, tables in REGISTRY.steps().items() for one in tables}
    for name, one in REGISTRY.items():
        read = {steps[other] for other in one.reads} - {steps[name]}
        first = {steps[other] for other in arrows[name]}
        assert read - first <= {steps[PLAN[0]]}, name
        assert read <= {steps[other] for other in all_before(arrows, name)}, name
        shared = [steps[other] for other in arrows[name] if other in together]
        assert len(shared) == len(set(shared)), name
        assert specs[name].metadata.get("reads", "") == ", ".join(one.reads)
    assert len(arrows["postgres_master"]) < len(REGISTRY.whole)


def test_an_arrow_for_each_table_that_changes_alone(arrows: dict[str, set[str]]) -> None:
    """No arrow stands for a table that may change without the table from which the arrow leads."""
    lives = {one.name for one in REGISTRY.steps()[LIFE_DAYS.build_step]}
    for name, one in REGISTRY.items():
        made_with_days = lives if LIFE_DAYS.name in one.reads else set()
        assert set(one.reads) - {*PLAN, *REGISTRY.lasting} - made_with_days <= arrows[name], name


@pytest.mark.parametrize("daily", [LIFE_DAYS.name, STATES.name])
def test_a_daily_table_has_the_arrow_to_the_plan(arrows: dict[str, set[str]], daily: str) -> None:
    """It stands for the plan: tables that read both have the arrow to it alone."""
    assert not arrows[daily].isdisjoint(PLAN)
    readers = [name for name, parents in arrows.items() if daily in parents and name in REGISTRY]
    assert readers
    assert all(arrows[name].isdisjoint(PLAN) for name in readers)


def test_life_changes_whenever_the_assignments_do(tiny: Profile) -> None:
    """So an arrow to life alone marks an asset that is made from both."""
    before, changes = schedule(tiny.model_copy(update={"as_of": tiny.epoch})), 0
    for day in range(1, (tiny.as_of - tiny.epoch).days):
        farm = tiny.model_copy(update={"as_of": tiny.epoch + timedelta(days=day)})
        plan = schedule(farm)
        if not plan.assignments.equals(before.assignments):
            changes += 1
            assert live(farm, plan).days["date"].max() == farm.as_of
        before = plan
    assert changes > 3


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_groups_page_shows_few_tables_of_other_groups(
    specs: dict[str, dg.AssetSpec], arrows: dict[str, set[str]], side: str
) -> None:
    """Each of them adds 90 pixels to the height of the page."""
    group = {name: spec.group_name for name, spec in specs.items()}
    for one in set(group.values()):
        crossing = [
            (parent, name) for name, parents in arrows.items() for parent in parents if group[parent] != group[name]
        ]
        parents = {parent for parent, name in crossing if group[name] == one}
        readers = {name for parent, name in crossing if group[parent] == one}
        others = len(parents if side == "before" else readers)
        most = MOST_OTHERS.get(str(one), MOST_OTHERS_ELSEWHERE)
        assert others <= most, (
            f"the page of the group {one} shows {others} tables of other groups {side} its own, and {most} are "
            "readable: write another `part` in some of its definitions"
        )


def test_steps_of_reference_tables_and_of_the_plan_are_whole(defs: dg.Definitions) -> None:
    for one in defs.resolve_asset_graph().assets_defs:
        if {key.to_user_string() for key in one.keys} & {*PLAN, *REGISTRY.lasting} and not one.check_specs:
            assert not one.can_subset


def test_every_column_says_what_it_is(specs: dict[str, dg.AssetSpec]) -> None:
    for name, one in REGISTRY.items():
        schema = specs[name].metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        assert [column.name for column in schema.columns] == list(lake_schema(one.table))
        for column in schema.columns:
            assert column.description, f"{name}.{column.name}"
            if column.name.endswith(("_kg", "_g", "_cm", "_c", "_m3", "_mm")):
                assert "[" in column.description, f"{name}.{column.name} has a unit"
    samples = specs["batch_growthsample"].metadata["dagster/column_schema"]
    weight = next(column for column in samples.columns if column.name == "avg_weight_g")  # type: ignore[union-attr]
    assert weight.description == "Mean weight of a fish [g]"
    assert weight.constraints.other == [">= 0", "<= 20000"]
    assigned = next(column for column in samples.columns if column.name == "assignment_id")  # type: ignore[union-attr]
    assert str(assigned.description).endswith(": batch_batchcontainerassignment.id")


def test_lineage_says_where_columns_come_from(specs: dict[str, dg.AssetSpec]) -> None:
    """All that the definition says, and every reference. That the columns exist, the registry requires."""
    for name, one in REGISTRY.items():
        lineage = specs[name].metadata.get("dagster/column_lineage")
        told = {}
        if lineage is not None:
            assert isinstance(lineage, dg.TableColumnLineage)
            told = {
                column: {(dep.asset_key.to_user_string(), dep.column_name) for dep in deps}
                for column, deps in lineage.deps_by_column.items()
            }
        referring = {
            column: {target}
            for column, target in references(one.table).items()
            if column in lake_schema(one.table) and target[0] != name
        }
        computed = {column: {tuple(each.split(".")) for each in text.split()} for column, text in one.lineage.items()}
        assert told == referring | computed, name


def test_code_references_lead_to_the_code(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        (reference,) = spec.metadata["dagster/code_references"].code_references  # type: ignore[union-attr]
        assert isinstance(reference, dg.LocalFileCodeReference)
        lines = Path(reference.file_path).read_text().splitlines()
        assert "multi_asset(" in lines[(reference.line_number or 0) - 1], name


@pytest.mark.generated
def test_the_definitions_are_those_of_the_snapshot(defs: dg.Definitions) -> None:
    """Assets, checks, jobs, schedules and partitions. `make renew` writes a wanted change."""
    graph = defs.resolve_asset_graph()
    checks: dict[str, list[str]] = {}
    for key in graph.asset_check_keys:
        blocks = graph.get(key).blocking
        checks.setdefault(key.asset_key.to_user_string(), []).append(key.name if blocks else f"{key.name} (warns)")
    assets = {}
    for key in sorted(graph.materializable_asset_keys):
        node = graph.get(key)
        assets[key.to_user_string()] = {
            "group": node.group_name,
            "kinds": sorted(node.kinds),
            "months": node.partitions_def.get_first_partition_key() if node.partitions_def else None,
            "backfill": node.backfill_policy.policy_type.name if node.backfill_policy else None,
            "pools": sorted(node.pools or ()),
            "after": sorted(parent.to_user_string() for parent in node.parent_keys),
            "checks": sorted(checks.get(key.to_user_string(), ())),
        }
    found = {
        "assets": assets,
        "jobs": {
            job.name: sorted(
                key.to_user_string() for key in defs.resolve_job_def(job.name).asset_layer.selected_asset_keys
            )
            for job in defs.jobs or ()
        },
        "schedules": {
            schedule.name: [schedule.cron_schedule, schedule.execution_timezone, schedule.default_status.name]
            for schedule in defs.schedules or ()
            if isinstance(schedule, dg.ScheduleDefinition)
        },
    }
    if RENEW:
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(GOLDEN.read_text()), stale(GOLDEN)
