"""Specs of assets, derived from table definitions, and metadata of written files."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg
import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.apps.farm.life import LIFE_DAYS
from aquamind_pipeline.apps.infrastructure.containers import CONTAINERS
from aquamind_pipeline.lake import Written
from aquamind_pipeline.pipeline.loading import LOADS
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.frames import lake_schema, references
from aquamind_pipeline.schema.inputs import PLAN
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.schema.meanings import meanings
from aquamind_pipeline.schema.shown_rows import rounded
from aquamind_pipeline.settings import Settings
from aquamind_pipeline.simulation.profile import GENERATOR_VERSION, Profile

OWNER = "team:aquamind-data"
POSTGRES_ASSETS = tuple(LOADS)
REPORT = "verification_report"
_PLANNED = PLAN[1]
"""The assignments. They change whenever more of the plan has begun."""
_DAILY = (LIFE_DAYS.name, STATES.name)
"""Tables that follow the plan and have rows for every day of the farm. They change whenever the plan does."""
_TOGETHER = {*REGISTRY.lasting, *PLAN}
"""Tables that change together with the others of their build step, or never."""

BEFORE_OTHERS = {"dagster/priority": "1"}
"""Tag of the steps up to the plan: those of reference tables, their checks, and the plan.

They run before other steps that could begin. So a run of the plan and of a table that has no arrow to it still makes
the plan first.
"""


def table_spec(definition: TableDefinition) -> dg.AssetSpec:
    """The spec of a table's asset."""
    metadata: dict[str, Any] = {"dagster/column_schema": _column_schema(definition)}
    if definition.reads:
        metadata["reads"] = ", ".join(definition.reads)
    if (lineage := _lineage(definition)) is not None:
        metadata["dagster/column_lineage"] = lineage
    return dg.AssetSpec(
        definition.name,
        deps=table_dependencies(definition),
        group_name=asset_group(definition),
        kinds={"polars", "parquet"},
        description=f"{definition.meaning}\n\n{definition.how}",
        metadata=metadata,
        owners=[OWNER],
        code_version=str(GENERATOR_VERSION),
        tags={"aquamind/app": definition.app, "aquamind/kind": definition.kind.value},
    )


def asset_group(definition: TableDefinition) -> str:
    """The asset's group, which has a page with a graph: the table's AquaMind app, or a part of a large app."""
    return f"{definition.app}_{definition.part}" if definition.part else definition.app


def table_dependencies(definition: TableDefinition) -> list[str]:
    """Tables that must exist before this one: those that it reads, one for each step as `one_of_each_step` says.

    The plan also needs the containers. The plan says how far the farm reaches, so all that happens comes after the
    plan, also tables that read neither the plan nor a table that comes after it. A table that reads a daily table has
    no arrow to the plan: the daily table comes after the plan, and says as well whether the table is in sync.
    """
    if definition.name in PLAN:
        return [CONTAINERS.name]
    if daily_tables_read(definition):
        return one_of_each_step(name for name in definition.reads if name not in PLAN)
    planned = () if definition.kind is Kind.REFERENCE or _follows_the_plan(definition.name) else PLAN
    return one_of_each_step([*planned, *definition.reads])


def daily_tables_read(definition: TableDefinition) -> list[str]:
    """The daily tables that a table reads. An arrow to one of them stands for the arrow to the plan."""
    return [name for name in _DAILY if name in definition.reads]


def one_of_each_step(names: Iterable[str]) -> list[str]:
    """Leave one table of the plan, and one of the reference tables that are made in one step.

    They are made together, and within a farm they change together or never. So one arrow says when a table that is made
    from them comes, and whether it is in sync. An arrow for each of them would bury the others. In the same way an
    arrow to a daily table stands for the tables that are made with it.
    """
    read = set(names)
    daily = {REGISTRY[name].build_step for name in _DAILY if name in read}
    kept: dict[str, str] = {}
    for name in sorted(read, key=[_PLANNED, *_DAILY, *REGISTRY].index):
        step = REGISTRY[name].build_step
        kept.setdefault(step if name in _TOGETHER or step in daily else name, name)
    return list(kept.values())


@cache
def _follows_the_plan(name: str) -> bool:
    """Whether a table reads the plan, or a table that comes after the plan."""
    return any(
        one in PLAN or (REGISTRY[one].kind is not Kind.REFERENCE and one != name) for one in REGISTRY[name].reads
    )


def spec(name: str, group: str, *, deps: tuple[str, ...], kinds: frozenset[str], description: str) -> dg.AssetSpec:
    """The spec of an asset that is not a table of the lake."""
    return dg.AssetSpec(
        name,
        deps=list(deps),
        group_name=group,
        kinds=set(kinds),
        description=description,
        owners=[OWNER],
        code_version=str(GENERATOR_VERSION),
    )


def presented(
    assets: Iterable[dg.AssetsDefinition], settings: Settings, links: Mapping[str, dg.MetadataValue[Any]]
) -> list[dg.AssetsDefinition]:
    """Add to each asset how it is computed, where its code is, which farm it belongs to, and links.

    Args:
        assets: Assets whose steps describe how they compute.
        settings: Settings of the farm.
        links: Links to pages of this farm, by label.
    """
    farm = settings.farm
    facts = {
        "profile": farm.name,
        "seed": str(farm.seed),
        "epoch": farm.epoch.isoformat(),
        "faults": ", ".join(farm.faults) or "none",
        "lake": dg.MetadataValue.path(str(settings.lake_path)),
        **links,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # code references are a beta feature; a test opens each of them
        with_code = dg.with_source_code_references(list(assets))
    return [_presented(asset, facts) for asset in with_code if isinstance(asset, dg.AssetsDefinition)]


def _presented(asset: dg.AssetsDefinition, facts: Mapping[str, Any]) -> dg.AssetsDefinition:
    """Add these facts to an asset's metadata, and the step's description to an asset that is not a table."""
    how = asset.op.description

    def present(spec: dg.AssetSpec) -> dg.AssetSpec:
        spec = spec.merge_attributes(metadata=facts)
        if spec.key.to_user_string() in REGISTRY:
            return spec
        return spec.replace_attributes(description=f"{spec.description}\n\n{how}" if how else spec.description)

    return asset.map_asset_specs(present)


def _column_schema(definition: TableDefinition) -> dg.TableSchema:
    kept, told = lake_schema(definition.table), meanings(definition.table)
    columns = (column for column in definition.table.columns if column.name in kept)
    return dg.TableSchema([_column(column, told[column.name]) for column in columns])


def _column(column: sa.Column[Any], meaning: str) -> dg.TableColumn:
    low, high = column.info.get("range", (None, None))
    limits = [f">= {low}"] * (low is not None) + [f"<= {high}"] * (high is not None)
    constraints = dg.TableColumnConstraints(nullable=bool(column.nullable), other=limits)
    return dg.TableColumn(column.name, str(column.type), meaning, constraints)


def _lineage(definition: TableDefinition) -> dg.TableColumnLineage | None:
    """Column lineage from references and from the definition; None if there is none."""
    kept = lake_schema(definition.table)
    sources = {
        column: [dg.TableColumnDep(parent, key)]
        for column, (parent, key) in references(definition.table).items()
        if column in kept and parent != definition.name
    }
    for column, named in definition.lineage.items():
        sources[column] = [dg.TableColumnDep(*source.split(".")) for source in named.split()]
    return dg.TableColumnLineage(sources) if sources else None


def written_metadata(written: Written, farm: Profile, seconds: float) -> Mapping[str, Any]:
    """Metadata of a written file: rows, bytes, seconds, hash, and the farm that it belongs to."""
    return {
        "dagster/row_count": written.rows,
        "bytes": written.bytes,
        "seconds": round(seconds, 3),
        "rows_per_second": round(written.rows / seconds) if seconds > 0 else 0,
        "sha256": written.digest,
        "profile": farm.name,
        "seed": str(farm.seed),
        "as_of": farm.as_of.isoformat(),
    }


def frame_table(frame: pl.DataFrame) -> dg.TableMetadataValue:
    """Metadata that shows a small frame as a table on Dagster's pages, with rounded floats."""
    columns = [dg.TableColumn(name, str(dtype)) for name, dtype in frame.schema.items()]
    records = [dg.TableRecord({k: _plain(v) for k, v in row.items()}) for row in rounded(frame).iter_rows(named=True)]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=columns))


def page_link(settings: Settings, page: Path) -> dg.MetadataValue[Any]:
    """A link to a report's page, which `aquamind ui` serves."""
    return dg.MetadataValue.url(f"{settings.pages_url}/{quote(page.relative_to(settings.reports_path).as_posix())}")


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


__all__ = [
    "BEFORE_OTHERS",
    "OWNER",
    "POSTGRES_ASSETS",
    "REPORT",
    "asset_group",
    "daily_tables_read",
    "frame_table",
    "one_of_each_step",
    "page_link",
    "presented",
    "spec",
    "table_dependencies",
    "table_spec",
    "written_metadata",
]
