"""Feed stores: deliveries, what is left of them, and what a kilogram costs (first in, first out).

A store is a hall's silo, or the three barges of an area together. It is refilled in lots as soon as what was eaten
leaves less than the reorder level. So a day's deliveries depend on that day and earlier ones only.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, decimal
from aquamind_pipeline.schema.columns import (
    EMPTY,
    bigint,
    date,
    day,
    double,
    identity,
    numeric,
    refers,
    text,
    timestamp,
    varchar,
)
from aquamind_pipeline.schema.definition import TableDefinition, Unpredictable
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import ADULT, STAGES
from aquamind_pipeline.simulation.sites import BARGES_PER_AREA

STEP = "inventory_ledger"
_READS = (*PLAN, "life_day", "infrastructure_feedcontainer")
_UNFORETOLD = Unpredictable(
    "Deliveries come when a store is empty; the rule feed_stock compares them with what was eaten."
)
SUPPLIERS = ("BioMar", "Skretting", "Cargill", "Aller Aqua")
PRICE_CENTS_KG = {1: 250, 2: 240, 3: 220, 4: 210, 5: 200}
"""Price of each feed in 2019, in cents per kg: AquaMind's 2.50 for starter, 2.00 for finisher feed, steps between."""

PRICE_INDEX = (1.00, 1.00, 1.05, 1.26, 1.40, 1.35, 1.30)
"""Price of feed relative to 2019 in the middle of each year from 2019 on; constant before and after. Feed became dearer
with soy, rapeseed and fish oil in 2021 to 2023 (Mowi, Salmon Farming Industry Handbook 2023 and 2024: cost of feed)."""
_FIRST_YEAR = 2019
SUPPLIER_FACTOR = (1.00, 1.02, 0.99, 0.97)
"""Price of each supplier relative to the mean, in the order of SUPPLIERS. Invented: contracts are secret."""

_OPENING, _REORDER, _LOT = 0.50, 0.60, 0.30  # shares of a store's capacity
_OPENED_BEFORE_DAYS = 7
_SHELF_LIFE_DAYS = 365
_SPAN = 10**13  # room on one number line for each store's feed, in decigrams (10^9 kg)


@dataclass(frozen=True)
class Stores:
    """Feed bought and eaten.

    purchases, stock: inventory_feedpurchase and inventory_feedcontainerstock.
    unit_costs: hall_id, area_id, date, cost_per_kg of the feed eaten that day.
    """

    purchases: pl.DataFrame
    stock: pl.DataFrame
    unit_costs: pl.DataFrame


def stores(inputs: Inputs) -> Stores:
    """Deliveries to every store up to the last day of life, computed once for all tables of stores."""
    return inputs.shared("stores", lambda: _stores(inputs))


def _stores(inputs: Inputs) -> Stores:
    profile, plan = inputs.farm, inputs.plan
    halls = {stage.hall: stage.feed_id for stage in STAGES if stage.hall is not None}
    sites = (
        inputs.whole("infrastructure_feedcontainer")
        .with_columns(
            feed_id=pl.when(pl.col("area_id").is_not_null())
            .then(pl.lit(ADULT.feed_id))
            .otherwise(
                pl.col("name").str.extract(r"-([A-E])-Silo$").replace_strict(halls, default=None, return_dtype=pl.Int64)
            )
        )
        .filter(pl.col("feed_id").is_not_null())
        .group_by("hall_id", "area_id", "feed_id", maintain_order=True)
        .agg(first_feed_container_id=pl.col("id").min(), capacity_kg=pl.col("capacity_kg").sum())
        .with_row_index("store")
        .cast({"store": pl.Int64, "feed_id": pl.Int64})
    )
    eaten = (
        inputs.scan("life_day")
        .filter(pl.col("feed_dg") > 0)
        .join(plan.assignments.lazy().select("assignment_id", "hall_id", "area_id"), on="assignment_id")
        .group_by("hall_id", "area_id", "date")
        .agg(feed_dg=pl.col("feed_dg").sum())
        .collect(engine="streaming")
        .join(sites, on=["hall_id", "area_id"], nulls_equal=True)
        .sort("store", "date")
        .with_columns(
            eaten_dg=pl.col("feed_dg").cum_sum().over("store"),
            lot_dg=(pl.col("capacity_kg") * _LOT * 10_000).cast(pl.Int64),
        )
        .with_columns(
            lots=(
                (
                    pl.col("eaten_dg")
                    + (pl.col("capacity_kg") * (_REORDER - _OPENING) * 10_000).cast(pl.Int64)
                    + pl.col("lot_dg")
                    - 1
                )
                // pl.col("lot_dg")
            )
        )
        .with_columns(new_lots=pl.col("lots") - pl.col("lots").shift(1).over("store").fill_null(0))
    )
    opening = sites.with_columns(
        purchase_date=pl.lit(profile.epoch - timedelta(days=_OPENED_BEFORE_DAYS)),
        quantity_dg=(pl.col("capacity_kg") * _OPENING * 10_000).cast(pl.Int64),
    )
    deliveries = eaten.filter(pl.col("new_lots") > 0).with_columns(
        purchase_date="date", quantity_dg=pl.col("new_lots") * pl.col("lot_dg")
    )
    columns = ("store", "first_feed_container_id", "area_id", "feed_id", "purchase_date", "quantity_dg")
    bought = (
        pl.concat([opening.select(columns), deliveries.select(columns)])
        .sort("store", "purchase_date")
        .with_columns(
            number=pl.int_range(pl.len()).over("store"),
            upto_dg=pl.col("quantity_dg").cum_sum().over("store"),
        )
        .with_columns(id=pl.col("store") * 100_000 + pl.col("number") + 1)
    )
    spread = draws.normal(draws.stream(profile.seed, "stores", "price"), bought["id"].to_numpy())
    price = bought["feed_id"].replace_strict(PRICE_CENTS_KG).to_numpy() * (1 + 0.02 * spread)
    price = (
        price * _index(bought["purchase_date"]) * np.array(SUPPLIER_FACTOR)[bought["id"].to_numpy() % len(SUPPLIERS)]
    )
    cents = np.rint(price).astype(np.int64)
    bought = bought.with_columns(cents=pl.Series(cents))
    return Stores(_purchases(bought), _stock(bought, eaten), _unit_costs(bought, eaten))


def _index(dates: pl.Series) -> Floats:
    """Price of feed relative to 2019 on each day."""
    middle = dt.date(_FIRST_YEAR, 7, 1).toordinal() - dt.date(1970, 1, 1).toordinal()
    years = (dates.to_physical().to_numpy() - middle) / 365.25
    return np.interp(years, np.arange(len(PRICE_INDEX)), PRICE_INDEX)


def _purchases(bought: pl.DataFrame) -> pl.DataFrame:
    return bought.select(
        "id",
        "feed_id",
        "purchase_date",
        quantity_kg=decimal(bought["quantity_dg"] // 100, 10, 2),
        cost_per_kg=decimal(bought["cents"], 10, 2),
        supplier=(pl.col("id") % len(SUPPLIERS)).replace_strict(range(len(SUPPLIERS)), SUPPLIERS),
        batch_number=pl.format("LOT-{}", "id"),
        expiry_date=pl.col("purchase_date").dt.offset_by(f"{_SHELF_LIFE_DAYS}d"),
    )


def _stock(bought: pl.DataFrame, eaten: pl.DataFrame) -> pl.DataFrame:
    """What is left of each delivery; an area's deliveries go to its barges in turn."""
    total = eaten.group_by("store").agg(eaten_dg=pl.col("eaten_dg").max())
    left = bought.join(total, on="store", how="left", maintain_order="left").select(
        "id",
        "purchase_date",
        feed_container_id=pl.col("first_feed_container_id")
        + pl.when(pl.col("area_id").is_not_null()).then(pl.col("number") % BARGES_PER_AREA).otherwise(0),
        left_dg=(pl.col("upto_dg") - pl.col("eaten_dg").fill_null(0)).clip(0, pl.col("quantity_dg")),
    )
    return left.select(
        "id",
        "feed_container_id",
        feed_purchase_id="id",
        quantity_kg=decimal(left["left_dg"] // 100, 10, 2),
        entry_date=pl.col("purchase_date").cast(pl.Datetime("us", "UTC")),
    )


def _unit_costs(bought: pl.DataFrame, eaten: pl.DataFrame) -> pl.DataFrame:
    """Mean cost per kg of what each store gave out each day: the oldest delivery is eaten first."""
    starts = bought["upto_dg"] - bought["quantity_dg"] + bought["store"] * _SPAN
    value = (bought["quantity_dg"] * bought["cents"]).to_numpy()
    worth = np.concatenate([[0], np.cumsum(value)]).astype(np.float64)
    # One increasing line of feed for all stores; a gap between stores is worth nothing.
    ends = (bought["upto_dg"] + bought["store"] * _SPAN).to_numpy()
    line = np.stack([starts.to_numpy(), ends], axis=1).ravel()
    worth_line = np.stack([worth[:-1], worth[1:]], axis=1).ravel()
    upto = (eaten["eaten_dg"] + eaten["store"] * _SPAN).to_numpy()
    since = upto - eaten["feed_dg"].to_numpy()
    spent = np.interp(upto, line, worth_line) - np.interp(since, line, worth_line)
    cost = spent / eaten["feed_dg"].to_numpy() / 100.0
    return eaten.select("hall_id", "area_id", "date", cost_per_kg=pl.Series(cost))


PURCHASES = TableDefinition(
    name="inventory_feedpurchase",
    kind=Kind.LEDGER,
    step=STEP,
    meaning="Delivery of feed.",
    how="Lots that fill each store up before it is empty.",
    columns=(
        identity("id"),
        timestamp("created_at", fill=day("purchase_date")),
        timestamp("updated_at", fill=day("purchase_date")),
        refers("feed_id", "inventory_feed.id"),
        date("purchase_date"),
        numeric("quantity_kg", 10, 2, range_=(0, None)),
        numeric("cost_per_kg", 10, 2, range_=(0.01, None)),
        varchar("supplier", 100),
        varchar("batch_number", 100),
        date("expiry_date", nullable=True),
        text("notes", fill=EMPTY),
    ),
    reads=_READS,
    generate=lambda inputs: stores(inputs).purchases,
    expected=_UNFORETOLD,
    lineage={
        "purchase_date": "life_day.date",
        "quantity_kg": "infrastructure_feedcontainer.capacity_kg life_day.feed_dg",
    },
    rules=(),
)

STOCK = TableDefinition(
    name="inventory_feedcontainerstock",
    kind=Kind.LEDGER,
    step=STEP,
    meaning="What is left of one delivery.",
    how="The oldest delivery of a store is eaten first.",
    columns=(
        identity("id"),
        timestamp("created_at", fill=pl.col("entry_date")),
        timestamp("updated_at", fill=pl.col("entry_date")),
        refers("feed_container_id", "infrastructure_feedcontainer.id"),
        refers("feed_purchase_id", "inventory_feedpurchase.id"),
        numeric("quantity_kg", 10, 2, range_=(0, None)),
        timestamp("entry_date"),
    ),
    reads=_READS,
    generate=lambda inputs: stores(inputs).stock,
    expected=_UNFORETOLD,
    lineage={"quantity_kg": "life_day.feed_dg", "entry_date": "life_day.date"},
    rules=(),
    changes_with_as_of=("quantity_kg",),
)

STORE_COST = TableDefinition(
    name="store_cost",
    kind=Kind.LEDGER,
    lake_only=True,
    step=STEP,
    meaning="What a kilogram of feed cost in one store on one day.",
    how="The mean price of what the store gave out, the oldest delivery first.",
    columns=(
        bigint("hall_id", nullable=True),
        bigint("area_id", nullable=True),
        date("date"),
        double("cost_per_kg"),
    ),
    reads=_READS,
    generate=lambda inputs: stores(inputs).unit_costs,
    expected=_UNFORETOLD,
    lineage={"date": "life_day.date"},
    rules=(),
)

__all__ = ["PURCHASES", "STOCK", "STORE_COST"]
