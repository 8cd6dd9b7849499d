"""What Dagster's catalogue says of every asset, and a snapshot of all that the definitions define."""

from __future__ import annotations

import json
import os
from pathlib import Path

import dagster as dg
import pytest
from aquamind_pipeline.orchestration.lineage import CARRIED
from aquamind_pipeline.tables.glossary import MEANING

from aquamind_pipeline import tables
from aquamind_pipeline.definitions import build_defs
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.settings import Settings, load_settings
from tests.helpers.places import DATA

GOLDEN = DATA / "definitions.json"


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
        assert spec.metadata["report"].value.startswith("http://127.0.0.1:3001/tiny-with"), name  # type: ignore[union-attr]


def test_every_column_says_what_it_is(specs: dict[str, dg.AssetSpec]) -> None:
    for name, table in tables.TABLES.items():
        schema = specs[name].metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        assert [column.name for column in schema.columns] == list(tables.lake_schema(table))
        for column in schema.columns:
            assert column.description, f"{name}.{column.name}"
            if column.name.endswith(("_kg", "_g", "_cm", "_c", "_m3", "_mm")):
                assert "[" in column.description, f"{name}.{column.name} has a unit"
    samples = specs["batch_growthsample"].metadata["dagster/column_schema"]
    weight = next(column for column in samples.columns if column.name == "avg_weight_g")  # type: ignore[union-attr]
    assert weight.description == "Mean weight of a fish [g]"
    assert weight.constraints.other == [">= 0", "<= 20000"]
    stay = next(column for column in samples.columns if column.name == "assignment_id")  # type: ignore[union-attr]
    assert stay.description == "Stay (batch in a container): batch_batchcontainerassignment.id"


def test_lineage_names_columns_that_exist(specs: dict[str, dg.AssetSpec], built: Settings) -> None:
    lake = Lake(built.lake_path)
    columns = {name: set(lake.scan(name).collect_schema().names()) for name in specs if (lake.root / name).is_dir()}
    for name, spec in specs.items():
        lineage = spec.metadata.get("dagster/column_lineage")
        if lineage is None:
            assert name not in CARRIED
            continue
        assert isinstance(lineage, dg.TableColumnLineage)
        assert set(lineage.deps_by_column) <= columns[name], name
        for deps in lineage.deps_by_column.values():
            for dep in deps:
                assert dep.column_name in columns[dep.asset_key.to_user_string()], dep
    for name in set(columns) - set(tables.TABLES):
        assert columns[name] <= set(MEANING), name


def test_code_references_lead_to_the_code(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        (reference,) = spec.metadata["dagster/code_references"].code_references  # type: ignore[union-attr]
        assert isinstance(reference, dg.LocalFileCodeReference)
        lines = Path(reference.file_path).read_text().splitlines()
        assert "multi_asset(" in lines[(reference.line_number or 0) - 1], name


def test_the_definitions_are_those_of_the_snapshot(defs: dg.Definitions) -> None:
    """Assets, checks, jobs, schedules and partitions. A wanted change writes the file anew:
    `WRITE_GOLDEN=1 make test ARGS="-k snapshot"`.
    """
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
    if os.environ.get("WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(GOLDEN.read_text())
