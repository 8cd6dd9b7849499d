"""Dagster's view of our tables: keys, groups, specs, and the metadata of what was written."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import sqlalchemy as sa

from aquamind_pipeline import tables
from aquamind_pipeline.lake import Written
from aquamind_pipeline.orchestration.lineage import lineage
from aquamind_pipeline.settings import Settings
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.tables.glossary import MEANING

OWNER = "team:aquamind-data"
TEMPERATURE = "container_day_temperature"
PLAN_TABLES = {
    "plan_batch": "Every batch: eggs, start, harvest target and day.",
    "plan_assignment": "Every stay of a batch in a container, with the ids its rows will have.",
}
LIFE_TABLES = {
    "life_day": "The simulated truth: one row per assignment and day. Growth assimilation never reads it.",
    "life_move": "The simulated truth: fish moved from one container to another.",
}
STORE_COST = "store_cost"
OWN_TABLES = {
    **PLAN_TABLES,
    **LIFE_TABLES,
    STORE_COST: "What a kilogram of feed cost in each store each day.",
    TEMPERATURE: "Mean water temperature of each stay and day, as growth assimilation reads it.",
}
"""Tables of the lake that are not AquaMind's, and what they hold."""
POSTGRES_ASSETS = ("postgres_master", "postgres_events", "postgres_states")
REPORT = "verification_report"


def spec(
    name: str,
    group: str,
    *,
    deps: tuple[str, ...] = (),
    kinds: frozenset[str] = frozenset({"polars", "parquet"}),
    description: str | None = None,
) -> dg.AssetSpec:
    """The spec of an asset; AquaMind's tables take description, columns and tags from the catalogue."""
    table = tables.TABLES.get(name)
    description = description or OWN_TABLES.get(name)
    metadata: dict[str, Any] = {}
    tags: dict[str, str] = {}
    if table is not None:
        metadata["dagster/column_schema"] = _column_schema(table)
        description = description or table.comment
        tags = {"aquamind/app": name.partition("_")[0], "aquamind/layer": table.info["layer"]}
    if (known := lineage(name)) is not None:
        metadata["dagster/column_lineage"] = known
    return dg.AssetSpec(
        name,
        deps=list(deps),
        group_name=group,
        kinds=set(kinds),
        description=description,
        metadata=metadata,
        owners=[OWNER],
        tags=tags,
    )


def presented(
    assets: Iterable[dg.AssetsDefinition], settings: Settings, links: Mapping[str, dg.MetadataValue[Any]]
) -> list[dg.AssetsDefinition]:
    """The assets of one farm: each says how it is computed, where its code is, which farm it is of, and what to read.

    Args:
        assets: Assets whose steps say in their descriptions how they compute.
        settings: Which farm.
        links: Pages of this farm, by what they are.
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
        warnings.simplefilter("ignore", dg.BetaWarning)  # code references; a test opens each of them
        referring = dg.with_source_code_references(list(assets))
    return [_presented(asset, facts) for asset in referring if isinstance(asset, dg.AssetsDefinition)]


def _presented(asset: dg.AssetsDefinition, facts: Mapping[str, Any]) -> dg.AssetsDefinition:
    how = asset.op.description
    return asset.map_asset_specs(
        lambda spec: spec.merge_attributes(metadata=facts).replace_attributes(
            description=f"{spec.description}\n\n{how}" if how else spec.description
        )
    )


def _column_schema(table: sa.Table) -> dg.TableSchema:
    kept = tables.lake_schema(table)
    return dg.TableSchema(
        [_column(column, tables.references(table)) for column in table.columns if column.name in kept]
    )


def _column(column: sa.Column[Any], references: Mapping[str, tuple[str, str]]) -> dg.TableColumn:
    meaning = column.comment
    if column.name in references:
        target = ".".join(references[column.name])
        meaning = f"{meaning}: {target}" if meaning else f"Refers to {target}"
    low, high = column.info.get("range", (None, None))
    limits = [f">= {low}"] * (low is not None) + [f"<= {high}"] * (high is not None)
    constraints = dg.TableColumnConstraints(nullable=bool(column.nullable), other=limits)
    return dg.TableColumn(column.name, str(column.type), meaning, constraints)


def frame_schema(schema: pl.Schema) -> dg.TableSchema:
    """The columns of a table of our own, which no catalogue declares."""
    return dg.TableSchema([dg.TableColumn(name, str(kind), MEANING.get(name)) for name, kind in schema.items()])


def written_metadata(written: Written, farm: Profile, seconds: float) -> Mapping[str, Any]:
    """What a person wants to see of one file: rows, bytes, seconds, its hash, and which farm it is of."""
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
    """A small frame as a table that Dagster's pages show."""
    columns = [dg.TableColumn(name, str(dtype)) for name, dtype in frame.schema.items()]
    records = [dg.TableRecord({k: _plain(v) for k, v in row.items()}) for row in frame.iter_rows(named=True)]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=columns))


def page_link(settings: Settings, page: Path) -> dg.MetadataValue[Any]:
    """A link to a report's page, which `aquamind ui` serves."""
    return dg.MetadataValue.url(f"{settings.pages_url}/{page.relative_to(settings.reports_path).as_posix()}")


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


__all__ = [
    "LIFE_TABLES",
    "OWNER",
    "OWN_TABLES",
    "PLAN_TABLES",
    "POSTGRES_ASSETS",
    "REPORT",
    "STORE_COST",
    "TEMPERATURE",
    "frame_schema",
    "frame_table",
    "page_link",
    "presented",
    "spec",
    "written_metadata",
]
