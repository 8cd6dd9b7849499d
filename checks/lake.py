"""What must hold of the lake before anything reaches the database. All of these block the load."""

from collections.abc import Iterable, Iterator, Sequence

import dagster as dg
import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.farm.schedule import Plan
from aquamind_pipeline.farm.volume import monthly_volume, total_volume
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.orchestration.partitions import MONTH, months_of_run
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.quality import farm_rules, table_rules
from aquamind_pipeline.quality.finding import Finding
from checks.evaluating import check_specs, result

TABLE_RULES = {
    "schema": "Columns have the catalogue's names, order and types.",
    "keys": "Primary key and unique constraints are unique and not null.",
    "values": "No null and no value outside the range that the catalogue declares.",
    "foreign_keys": "Every reference to another table resolves.",
    "volume": "Exactly as many rows as the plan predicts by formula, or as life had events.",
}
STATE_RULES = {
    "no_doubling": "No batch has more fish than the day before, at any transition (AquaMind's Issue #112).",
    "ledger": "Eggs = alive + dead for every batch and day, to the fish.",
    "harvested": "The fish in a ring's lots are the fish alive on its last day.",
    "double_booking": "A container holds one batch at a time.",
    "capacity": "No container holds more than its max_biomass_kg.",
    "one_site": "One hall for each freshwater stage, one sea area, one geography for each batch.",
    "weight_continuity": "Weight moves no further in a day than growth and sampling allow, also over transfers.",
    "bands": "The farm's volumes lie in the profile's bands (on the profile's own day).",
}
STOCK_RULES = {"feed_stock": "No store ever gave out more feed than it had."}
FED = "inventory_feedingevent"
"""Deliveries are materialised before the feeding events that eat them, so the check belongs to these."""
LAYERS = {
    "infrastructure": tables.of_layer("infrastructure"),
    "reference": tables.of_layer("reference"),
    "batch": tables.of_layer("batch"),
    "event": tables.EVENT_TABLES,
    "state": tables.of_layer("state"),
}


def build() -> list[dg.AssetChecksDefinition]:
    """One op of checks for each layer, and one each for the states and the feed stock."""
    return [*(_layer_checks(layer, names) for layer, names in LAYERS.items()), farm_checks, stock_checks]


def _layer_checks(layer: str, names: Sequence[str]) -> dg.AssetChecksDefinition:
    specs = [spec for name in names for spec in check_specs(name, TABLE_RULES)]

    @dg.multi_asset_check(name=f"{layer}_table_checks", specs=specs)
    def table_checks(
        context: dg.AssetCheckExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> Iterable[dg.AssetCheckResult]:
        lake, months = workspace.lake, months_of_run(context.run.tags)
        expected = expected_rows(workspace, months)
        with workspace.progress.track(f"check {layer} tables", len(names)) as advance:
            for name in names:
                for finding in table_findings(name, lake, expected.get(name), months):
                    yield result(name, finding)
                advance()

    return table_checks


def table_findings(
    name: str, lake: Lake, expected: pl.DataFrame | None, months: Sequence[str] | None = None
) -> Iterator[Finding]:
    """What the catalogue and the plan say about one table. A wrong schema ends it: the others could not read on."""
    table, rows = tables.TABLES[name], lake.scan(name)
    schema = table_rules.schema(table, rows.collect_schema())
    yield schema
    if not schema.passed:
        for rule in (r for r in TABLE_RULES if r != "schema"):
            yield Finding(rule, passed=False, detail="not looked at: the schema is wrong")
        return
    yield table_rules.keys(table, rows)
    yield table_rules.values(table, rows)
    parents = {parent: lake.scan(parent) for parent, _ in tables.references(table).values() if lake.has(parent)}
    yield table_rules.foreign_keys(table, rows, parents)
    if expected is None:
        yield Finding("volume", passed=True, detail="drawn at random: no formula")
        return
    if name in tables.EVENT_TABLES:
        built = [month for month in lake.partitions(name) if months is None or month in months]
        counts = [(month, lake.rows(name, month)) for month in built]
    else:
        counts = [("all", lake.rows(name))]
    found = pl.DataFrame(counts, schema={"month": pl.String, "rows": pl.Int64}, orient="row")
    yield table_rules.volume(expected, found)


def expected_rows(workspace: Workspace, months: Sequence[str] | None = None) -> dict[str, pl.DataFrame]:
    """month, rows of each table: from the plan by formula, from life where chance decides (invariant I7).

    Event tables: only of `months` (a backfill has not built the others yet), where given.
    """
    if workspace.lake.manifest() is None or not workspace.lake.has("plan_assignment"):
        return {}
    farm, lake = workspace.planned, workspace.lake
    plan = Plan(lake.read("plan_batch"), lake.read("plan_assignment"))
    expected = {
        name: pl.DataFrame({"month": ["all"], "rows": [rows]}) for name, rows in total_volume(farm, plan).items()
    }
    monthly = monthly_volume(farm, plan)
    for name in set(monthly["table"]) & set(tables.EVENT_TABLES):
        expected[name] = monthly.filter(pl.col("table") == name).select("month", pl.col("rows").cast(pl.Int64))
    if lake.has("life_day"):
        died = lake.scan("life_day").filter(pl.col("deaths") > 0)
        expected["batch_mortalityevent"] = (
            died.group_by(month=pl.col("date").dt.strftime(MONTH))
            .agg(rows=pl.len().cast(pl.Int64))
            .sort("month")
            .collect()
        )
    if lake.has("life_move"):
        expected["batch_transferaction"] = pl.DataFrame({"month": ["all"], "rows": [lake.rows("life_move")]})
    if months is not None:
        for name in set(expected) & set(tables.EVENT_TABLES):
            expected[name] = expected[name].filter(pl.col("month").is_in(list(months)))
    return expected


@dg.multi_asset_check(
    name="farm_checks",
    specs=check_specs(tables.STATE_TABLE, STATE_RULES),
)
def farm_checks(workspace: dg.ResourceParam[Workspace]) -> Iterable[dg.AssetCheckResult]:
    """What must hold of the farm as a whole."""
    with workspace.progress.track("check the farm", len(STATE_RULES)) as advance:
        for finding in farm_findings(workspace):
            yield result(tables.STATE_TABLE, finding)
            advance()


def farm_findings(workspace: Workspace) -> Iterator[Finding]:
    """Conservation, no doubling, capacity and bands, from AquaMind's own tables."""
    lake, farm = workspace.lake, workspace.planned
    states = lake.scan(tables.STATE_TABLE)
    stays = lake.scan("batch_batchcontainerassignment")
    yield farm_rules.no_doubling(states)
    yield farm_rules.ledger(
        states,
        lake.scan("batch_creationaction"),
        lake.scan("batch_mortalityevent"),
        lake.scan("batch_transferaction"),
        stays,
    )
    yield farm_rules.harvested(lake.scan("harvest_harvestlot"), lake.scan("harvest_harvestevent"), states)
    yield from farm_rules.occupancy(
        stays,
        lake.scan("infrastructure_container"),
        states,
        lake.scan("infrastructure_hall"),
        lake.scan("infrastructure_area"),
        lake.scan("infrastructure_freshwaterstation"),
    )
    yield farm_rules.weight_continuity(states, farm.speed)
    if farm.as_of != farm.default_as_of:
        yield Finding("bands", passed=True, detail=f"the profile's bands hold on {farm.default_as_of} only")
        return
    status = lake.scan("batch_batch").select("status").collect()["status"]
    counts = {name: lake.rows(name) for name in tables.EVENT_TABLES}
    yield farm_rules.bands(
        farm.bands, counts | {"batches": status.len(), "completed": int((status == "COMPLETED").sum())}
    )


@dg.multi_asset_check(
    name="stock_checks",
    specs=check_specs(FED, STOCK_RULES),
)
def stock_checks(workspace: dg.ResourceParam[Workspace]) -> Iterable[dg.AssetCheckResult]:
    """Feed bought against feed eaten, for every store and day."""
    yield result(FED, stock_finding(workspace.lake))


def stock_finding(lake: Lake) -> Finding:
    """No store gave out more than it had."""
    return farm_rules.feed_stock(
        lake.scan("inventory_feedpurchase"),
        lake.scan("inventory_feedcontainerstock"),
        lake.scan(FED),
        lake.scan("infrastructure_container"),
        lake.scan("infrastructure_feedcontainer"),
    )
