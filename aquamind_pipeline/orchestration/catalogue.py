"""Dagster's view of our tables: keys, groups, specs, and the metadata of what was written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.lake import Written
from aquamind_pipeline.profile import Profile
from aquamind_pipeline.settings import Settings

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
    """The spec of an asset; AquaMind's tables take description and columns from the catalogue."""
    table = tables.TABLES.get(name)
    description = description or OWN_TABLES.get(name)
    metadata: dict[str, Any] = {}
    if table is not None:
        metadata["dagster/column_schema"] = dg.TableSchema(
            columns=[
                dg.TableColumn(c.name, str(c.type), c.comment, dg.TableColumnConstraints(nullable=bool(c.nullable)))
                for c in table.columns
                if c.name in tables.lake_schema(table)
            ]
        )
        description = description or table.comment
    return dg.AssetSpec(
        name, deps=list(deps), group_name=group, kinds=set(kinds), description=description, metadata=metadata
    )


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
    "OWN_TABLES",
    "PLAN_TABLES",
    "POSTGRES_ASSETS",
    "REPORT",
    "STORE_COST",
    "TEMPERATURE",
    "frame_table",
    "page_link",
    "spec",
    "written_metadata",
]
