"""Small charts, as Markdown that Dagster's pages show."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Panel:
    """One panel of `stacked`.

    Attributes:
        label: What its axis shows, with the unit.
        days: date, and a column for each line or part of a bar.
        bars: Whether it draws bars, one on top of the other; else lines.
        from_zero: Whether its axis begins at 0.
    """

    label: str
    days: pl.DataFrame
    bars: bool = False
    from_zero: bool = True


def lines(
    panels: Mapping[str, pl.DataFrame], x: str, y: Sequence[str], *, x_label: str = "", y_label: str = ""
) -> dg.MarkdownMetadataValue:
    """Panels side by side. Each draws one line for every column of `y` over the column `x`."""
    figure = _figure(4.2 * len(panels))
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, frame) in zip(axes, panels.items(), strict=True):
        for column in y:
            axis.plot(frame[x].to_numpy(), frame[column].to_numpy(), label=column, linewidth=1.4)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(x_label)
        axis.set_ylabel(y_label)
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=8)
        if frame.schema[x] == pl.Date:
            _few_dates(axis)
    if len(y) > 1:
        axes[0].legend(fontsize=8)
    return _markdown(figure, ", ".join(panels))


def bars(title: str, names: Sequence[str], heights: Sequence[int]) -> dg.MarkdownMetadataValue:
    """A bar for each name. About six of the names label the axis."""
    figure = _figure(6.0)
    axis = figure.subplots()
    axis.bar(range(len(names)), heights, width=0.8)
    step = max(1, len(names) // 6)
    axis.set_xticks(range(0, len(names), step), names[::step], fontsize=8)
    axis.tick_params(labelsize=8)
    axis.yaxis.set_major_formatter("{x:,.0f}")
    axis.set_title(title, fontsize=10)
    return _markdown(figure, title)


_MARKS = ("#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e", "#e6ab02", "#a6761d", "#666666", "#000000")
"""Colours of marks: ColorBrewer's Dark2, and black."""


def stacked(title: str, panels: Sequence[Panel], marks: Mapping[str, Sequence[date]]) -> dg.MarkdownMetadataValue:
    """Panels one below the other over the same days, with a line through all of them for each mark.

    Args:
        title: Title of the picture.
        panels: The panels, from above.
        marks: Days of each kind of mark, by label.
    """
    height = 0.95 + 1.35 * len(panels)
    figure = _figure(9.0, height)
    figure.subplots_adjust(right=1 - 1.95 / 9.0, bottom=0.45 / height, top=1 - 0.3 / height, hspace=0.12)
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        days = panel.days["date"].to_numpy()
        columns = [name for name in panel.days.columns if name != "date"]
        below = np.zeros(days.size)
        for column in columns:
            values = panel.days[column].to_numpy()
            if panel.bars:
                axis.bar(days, values, bottom=below, width=1.0, label=column)
                below = below + values
            else:
                axis.plot(days, values, label=column, linewidth=1.3)
        for colour, dates in zip(_MARKS, marks.values(), strict=False):
            for day in dates:
                axis.axvline(np.datetime64(day), color=colour, linewidth=1.0, linestyle="--")
        axis.set_ylabel(panel.label, fontsize=8)
        axis.set_ylim(bottom=0 if panel.from_zero else None)
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=8)
        if len(columns) > 1:
            axis.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.04))
    keys = [axes[-1].plot([], [], "--", color=colour)[0] for colour, _ in zip(_MARKS, marks, strict=False)]
    axes[-1].legend(keys, list(marks), fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(1.0, -0.04))
    _few_dates(axes[-1])
    axes[0].set_title(title, fontsize=10)
    return _markdown(figure, title)


def _figure(width: float, height: float = 3.0) -> Figure:
    # Importing matplotlib takes a third of a second, which would delay every code location.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=90)
    # Fixed margins: matplotlib's own layout takes as long as the drawing.
    figure.subplots_adjust(left=0.65 / width, right=1 - 0.15 / width, bottom=0.18, top=0.9, wspace=0.25)
    return figure


def _few_dates(axis: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    # With 3 to 7 ticks some spacing fits every span. Other limits make matplotlib warn for some spans.
    places = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axis.xaxis.set_major_locator(places)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(places))  # type: ignore[no-untyped-call]


def _markdown(figure: Figure, text: str) -> dg.MarkdownMetadataValue:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return dg.MetadataValue.md(f"![{text}](data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()})")


__all__ = ["Panel", "bars", "lines", "stacked"]
