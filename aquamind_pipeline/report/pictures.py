"""Draws the report's pictures as SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import polars as pl

from aquamind_pipeline.quality.farm_rules import FCR
from aquamind_pipeline.report.picture_data import PictureData
from aquamind_pipeline.simulation.biology import STAGES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"
"""Placeholder for the page's own text colour, which SVG calls currentColor."""
_WIDTH = 8.0
_COLUMNS = 2
"""Tables side by side in the picture of rows by month."""
_MOST_DATES = 4
"""How many dates fit under one of them."""
COLOURS = ("#3b82c4", "#d9822b", "#4f9d69", "#b5558f")


def pictures(data: PictureData) -> list[tuple[str, str]]:
    """Title and SVG of each picture."""
    drawings: list[tuple[str, float, Callable[[Figure], None]]] = [
        ("Fish of sample batches; dotted lines are transitions", 3.2, lambda figure: _lives(figure, data, "fish")),
        ("Mean weight of sample batches, g", 3.2, lambda figure: _lives(figure, data, "weight_g")),
        (
            "Rows by month (bars) and as planned (dashes)",
            0.6 + 1.0 * -(-data.months["table"].n_unique() // _COLUMNS),
            lambda figure: _months(figure, data),
        ),
        ("Containers in use: now, ever, and by container-days", 3.2, lambda figure: _use(figure, data)),
        (
            "Survival of each batch's stages against the bounds of their rates, and FCR against the published range",
            3.4,
            lambda figure: _stages(figure, data),
        ),
    ]
    return [(title, svg(draw, height)) for title, height, draw in drawings]


def _lives(figure: Figure, data: PictureData, column: str) -> None:
    axis = figure.subplots()
    for colour, (batch, life) in zip(COLOURS, _groups(data.lives, "batch"), strict=False):
        dates = life["date"].to_numpy()
        axis.plot(dates, life[column].to_numpy(), color=colour, label=batch, linewidth=1.4)
        moved = life.filter(pl.col("stage") != pl.col("stage").shift(1))
        for day in moved["date"].to_numpy():
            axis.axvline(day, color=colour, linewidth=0.7, linestyle=":")
    axis.set_ylim(bottom=0)
    finish(axis)
    if data.lives.height:
        axis.legend(fontsize=8, frameon=False, labelcolor=INK)


def _months(figure: Figure, data: PictureData) -> None:
    from matplotlib.dates import AutoDateLocator

    tables = list(_groups(data.months, "table"))
    figure.subplots_adjust(hspace=0.6)  # space for the titles of low panels
    axes = figure.subplots(-(-len(tables) // _COLUMNS) or 1, _COLUMNS, sharex=True, squeeze=False).ravel()
    for axis in axes[len(tables) :]:
        axis.remove()
    for axis, (table, rows) in zip(axes, tables, strict=False):
        dates = rows["month"].str.to_date("%Y-%m").to_numpy()
        axis.vlines(dates, 0, rows["rows"].fill_null(0).to_numpy(), color=COLOURS[0], alpha=0.6, linewidth=4)
        axis.plot(dates, rows["planned"].to_numpy(), "_", color=COLOURS[1], markeredgewidth=1.6)
        axis.set_title(table, fontsize=8, loc="left", color=INK)
        axis.xaxis.set_major_locator(AutoDateLocator(minticks=2, maxticks=_MOST_DATES))  # type: ignore[no-untyped-call]
        finish(axis)


def _use(figure: Figure, data: PictureData) -> None:
    axis, use = figure.subplots(), data.use
    if use.height:
        days = pl.int_range(1, use.height + 1, eager=True)
        shares = {
            "with fish on the day": use["occupied"] / use["of"],
            "ever used so far": use["ever"] / use["of"],
            "container-days used so far": use["days"] / (use["of"] * days),
        }
        for colour, (label, share) in zip(COLOURS, shares.items(), strict=False):
            axis.plot(use["date"].to_numpy(), (share * 100).to_numpy(), color=colour, label=label, linewidth=1.4)
        axis.legend(fontsize=8, frameon=False, labelcolor=INK)
    axis.set_ylabel("% of containers that can hold fish", fontsize=8, color=INK)
    axis.set_ylim(bottom=0)
    finish(axis)


def _stages(figure: Figure, data: PictureData) -> None:
    _place(figure, figure.get_figheight(), below=0.8)
    left, right = figure.subplots(1, 2)
    names = [stage.name for stage in STAGES]
    for stage, rows in _groups(data.stages, "stage"):
        place = int(stage) - 1
        low, high = (100 * float(share) for share in rows.select(pl.col("least", "most").mean()).row(0))
        left.fill_between([place - 0.3, place + 0.3], low, high, color=COLOURS[1], alpha=0.3, linewidth=0)
        left.plot([place] * rows.height, (rows["survival"] * 100).to_numpy(), ".", color=COLOURS[0], markersize=4)
        fed = rows.drop_nulls("fcr")
        right.plot([place] * fed.height, fed["fcr"].to_numpy(), ".", color=COLOURS[0], markersize=4)
    right.axhspan(*FCR, color=COLOURS[1], alpha=0.3, linewidth=0)
    for axis, label in ((left, "survival, %"), (right, "FCR")):
        axis.set_xticks(range(len(names)), names, rotation=35, ha="right")
        axis.set_ylabel(label, fontsize=8, color=INK)
        finish(axis)


def _groups(frame: pl.DataFrame, column: str) -> list[tuple[str, pl.DataFrame]]:
    return [(str(key), rows) for (key,), rows in frame.group_by(column, maintain_order=True)]


def finish(axis: Axes) -> None:
    """Small labels in the colour of the page, a light grid, no frame."""
    axis.tick_params(labelsize=8, colors=INK)
    axis.yaxis.get_offset_text().set(fontsize=8, color=INK)
    axis.grid(alpha=0.25)
    for side in axis.spines.values():
        side.set_visible(False)


def _place(figure: Figure, height: float, *, below: float = 0.3) -> None:
    """Leave space for labels, in inches. Matplotlib would draw everything twice to find it out."""
    figure.subplots_adjust(0.65 / _WIDTH, below / height, 1 - 0.05 / _WIDTH, 1 - 0.25 / height, 0.18, 0.3)


def svg(draw: Callable[[Figure], None], height: float) -> str:
    """A picture without background. Its text stays text, in the colour of the page."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "aquamind", "font.family": "sans-serif"}):
        figure = Figure(figsize=(_WIDTH, height))
        _place(figure, height)
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :].replace(INK, "currentColor")
    return re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"(.*?) (?:width|height)="[^"]*"', r"\1\2", drawn, count=1)


__all__ = ["COLOURS", "INK", "finish", "pictures", "svg"]
