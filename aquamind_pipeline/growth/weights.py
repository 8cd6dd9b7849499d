"""Mean weight of each assignment-day in closed form.

Growth adds up in cube-root space (R31): root(W) rises by coefficient x temperature a day. So a stay is a cumulative sum
between the points that set the weight anew: its first day, an arrival of other fish, and an anchor (a measured weight).
Those points are the nodes of a graph; an anchor needs nothing, an arrival needs the weights of its sources on the day
before. Nodes are solved by levels of that graph, all of a level at once.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import cube_root
from aquamind_pipeline.errors import InputError
from aquamind_pipeline.growth.records import Records
from aquamind_pipeline.growth.rules import RuleSet

_LAST_RESORT_G = 1.0
_KEY = ["assignment_id", "date"]


def coefficient(tgc: pl.Expr) -> pl.Expr:
    """Growth of root(W) per degree-day: 0 for tgc <= 0; tgc itself if already a fraction, else a thousandth (R31)."""
    return pl.when(tgc <= 0).then(0.0).when(tgc < 0.01).then(tgc).otherwise(tgc / 1000)


def with_weight(grid: pl.DataFrame, records: Records, rules: RuleSet) -> pl.DataFrame:
    """The grid (sorted by assignment and date, with temperature and population) with weight_g, before_g, anchor_type
    and anchor_confidence.

    weight_g holds at the end of the day; before_g is the weight that the day's fish came into it with. Where nobody is
    left, the weight stops.

    Raises:
        InputError: when transfers of one day go round in a circle.
    """
    grown = (
        grid.join(_anchors(records, rules), on=_KEY, how="left", maintain_order="left")
        .join(
            records.stages.select("batch_id", "lifecycle_stage_id", "tgc"),
            on=["batch_id", "lifecycle_stage_id"],
            how="left",
            maintain_order="left",
        )
        .with_columns(
            gain=pl.when(pl.col("population") > 0).then(coefficient(pl.col("tgc")) * pl.col("temp_c")).otherwise(0.0)
        )
        .with_columns(grown=pl.col("gain").cum_sum().over("assignment_id"))
    )
    moves, own = _moves(records, rules), _own_weights(records)
    points = _nodes(grown, moves, own)
    nodes = _solved(points, _sources(grown, moves, own, points))
    joined = grown.join_asof(
        nodes.unique(_KEY, keep="last", maintain_order=True).select(*_KEY, "offset"),
        on="date",
        by="assignment_id",
        check_sortedness=False,
    )
    starts = nodes.filter("arrival").select("assignment_id", "date", start_root="root")
    root = pl.col("offset") + pl.col("grown")
    weighed = pl.col("anchor_g").is_not_null()
    return (
        joined.with_columns(root=root)
        .join(starts, on=_KEY, how="left", maintain_order="left")
        .with_columns(before=pl.coalesce("start_root", pl.col("root").shift(1).over("assignment_id")))
        .with_columns(
            weight_g=pl.when(weighed).then("anchor_g").otherwise(pl.col("root") * pl.col("root") * pl.col("root")),
            before_g=pl.col("before") * pl.col("before") * pl.col("before"),
        )
        .drop("root", "before", "start_root", "offset", "gain", "grown", "tgc")
    )


def _anchors(records: Records, rules: RuleSet) -> pl.DataFrame:
    """assignment_id, date, anchor_g, anchor_type, anchor_confidence: the best measured weight of a day (R9-R12)."""
    weighed = records.weighings.filter(pl.col("weight_g").is_not_null()).select(
        *_KEY,
        anchor_g="weight_g",
        anchor_type="kind",
        anchor_confidence=pl.when(pl.col("kind") == "growth_sample").then(1.0).otherwise(0.9),
    )
    moved = records.transfers.filter(pl.col("measured_weight_g").is_not_null()).select(
        assignment_id="source_assignment_id",
        date="date",
        anchor_g=_unbiased(rules),
        anchor_type=pl.lit("transfer"),
        anchor_confidence=pl.lit(0.95),
    )
    return (
        pl.concat([weighed, moved])
        .sort("anchor_confidence", descending=True, maintain_order=True)
        .group_by(_KEY)
        .agg(pl.col("anchor_g", "anchor_type", "anchor_confidence").first())
    )


def _unbiased(rules: RuleSet) -> pl.Expr:
    bias = pl.col("selection_method").replace_strict(dict(rules.selection_bias), default=1.0, return_dtype=pl.Float64)
    return pl.col("measured_weight_g") * bias


def _moves(records: Records, rules: RuleSet) -> pl.DataFrame:
    """Transfers that bring fish: assignment_id, date, from_id, count, given_g (their measured weight, if any)."""
    return (
        records.transfers.filter(pl.col("count") > 0)
        .join(
            records.assignments.select("assignment_date", dest_assignment_id="assignment_id"), on="dest_assignment_id"
        )
        .filter(pl.col("date") >= pl.col("assignment_date"))
        .select(
            "date",
            assignment_id="dest_assignment_id",
            from_id="source_assignment_id",
            count=pl.col("count").cast(pl.Int64),
            given_g=_unbiased(rules),
        )
    )


def _own_weights(records: Records) -> pl.DataFrame:
    """assignment_id, own_g: the weight of fish that came by no transfer (R27: assignment, scenario, stage minimum)."""
    return (
        records.assignments.join(records.batches, on="batch_id", how="left")
        .join(records.stages, on=["batch_id", "lifecycle_stage_id"], how="left")
        .select(
            "assignment_id",
            date="assignment_date",
            own_g=pl.coalesce("avg_weight_g", "initial_weight_g", "expected_weight_min_g", pl.lit(_LAST_RESORT_G)),
        )
    )


def _nodes(grown: pl.DataFrame, moves: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Points that set the weight: assignment_id, date, arrival (at the day's beginning, else at its end), grown_at (the
    cumulative growth there) and root, null for arrivals."""
    anchors = grown.filter(pl.col("anchor_g").is_not_null())
    arrivals = moves.select(_KEY).unique()
    firsts = own.join(arrivals, on=_KEY, how="anti")
    begins = pl.concat(
        [
            arrivals.with_columns(root=pl.lit(None, pl.Float64)),
            firsts.select(*_KEY, root=pl.Series(cube_root(firsts["own_g"]), dtype=pl.Float64)),
        ]
    ).join(grown.select(*_KEY, grown_at=pl.col("grown") - pl.col("gain")), on=_KEY, how="left")
    return (
        pl.concat(
            [
                begins.select(*_KEY, pl.col("grown_at").fill_null(0.0), "root", arrival=pl.lit(True)),
                anchors.select(
                    *_KEY,
                    pl.col("grown").alias("grown_at"),
                    root=pl.Series(cube_root(anchors["anchor_g"]), dtype=pl.Float64),
                    arrival=pl.lit(False),
                ),
            ]
        )
        .sort("assignment_id", "date", "arrival", descending=[False, False, True])
        .with_row_index("node")
    )


def _sources(grown: pl.DataFrame, moves: pl.DataFrame, own: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """What mixes into each arrival: node, count, given_g, or from_node and what has grown since it (since).

    Fish already there are a source like any other, so a top-up is a mean too. A source counts as it was at the end of
    the day before; one that itself only begins that day (fish pumped on at once) as it began.
    """
    there = (
        moves.select(_KEY)
        .unique()
        .join(grown, on=_KEY)
        .select(
            "date",
            "assignment_id",
            from_id="assignment_id",
            count=pl.col("population") - pl.col("arrived") + pl.col("mortality_count"),
            given_g=pl.lit(None, pl.Float64),
        )
        .filter(pl.col("count") > 0)
    )
    mixed = (
        pl.concat([moves, there.select(moves.columns)])
        .join(nodes.filter("arrival").select(*_KEY, "node"), on=_KEY)
        .with_columns(day_before=pl.col("date").dt.offset_by("-1d"))
    )
    ends = nodes.unique(_KEY, keep="last", maintain_order=True)
    ends = ends.select(from_id="assignment_id", day_before="date", from_node="node", at="grown_at")
    until = grown.select(from_id="assignment_id", day_before="date", until="grown")
    begins = nodes.filter("arrival").select(from_id="assignment_id", date="date", same_day="node")
    return (
        mixed.sort("from_id", "day_before")
        .join_asof(ends, on="day_before", by="from_id", check_sortedness=False)
        .join_asof(until, on="day_before", by="from_id", check_sortedness=False)
        .join(begins, on=["from_id", "date"], how="left")
        .join(own.select(from_id="assignment_id", own_g="own_g"), on="from_id", how="left")
        .with_columns(
            since=pl.when(pl.col("from_node").is_not_null())
            .then(pl.col("until") - pl.col("at"))
            .otherwise(0.0)
            .fill_null(0.0),
            from_node=pl.coalesce("from_node", pl.when(pl.col("from_id") != pl.col("assignment_id")).then("same_day")),
        )
        .with_columns(given_g=pl.coalesce("given_g", pl.when(pl.col("from_node").is_null()).then("own_g")))
        .sort("node", "from_id")
        .select("node", "count", "given_g", "from_node", "since")
    )


def _solved(nodes: pl.DataFrame, sources: pl.DataFrame) -> pl.DataFrame:
    """Nodes with every root, and offset = root - grown_at: on a later day, root is offset + cumulative growth."""
    root = nodes["root"].fill_null(np.nan).to_numpy().copy()
    child, count = sources["node"].to_numpy(), sources["count"].to_numpy().astype(np.float64)
    given = sources["given_g"].fill_null(np.nan).to_numpy()
    parent, since = sources["from_node"].fill_null(0).to_numpy(), sources["since"].to_numpy()
    fish = np.bincount(child, count, root.size)
    unknown = np.isnan(root)
    while unknown.any():
        lookup = root[parent] + since
        mass = np.bincount(child, count * np.where(np.isnan(given), lookup * lookup * lookup, given), root.size)
        ready = unknown & ~np.isnan(mass)
        if not ready.any():
            stuck = nodes.filter(pl.Series(unknown)).row(0, named=True)
            raise InputError(
                f"transfers of {stuck['date']} into assignment {stuck['assignment_id']} go round in a circle: "
                "their weights cannot be told; correct the transfer actions of that day"
            )
        root[ready] = cube_root(mass[ready] / fish[ready])
        unknown &= ~ready
    return nodes.with_columns(root=pl.Series(root), offset=pl.Series(root) - pl.col("grown_at"))


__all__ = ["coefficient", "with_weight"]
