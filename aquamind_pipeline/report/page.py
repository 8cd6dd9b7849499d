"""The report as one page of HTML that needs nothing else: pictures are SVG inside it, light or dark as the reader's."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.quality.farm_rules import FCR
from aquamind_pipeline.quality.matrix import MATRIX
from aquamind_pipeline.report.series import Series
from aquamind_pipeline.report.verification import Report, cell
from aquamind_pipeline.simulation.biology import STAGES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK = "#010203"
"""Stands for the reader's own text colour, which an SVG inside a page calls currentColor."""
_WIDTH = 8.0
_COLOURS = ("#3b82c4", "#d9822b", "#4f9d69", "#b5558f")


def save_page(report: Report, series: Series, findings: pl.DataFrame, path: Path) -> None:
    """Write the page, atomically.

    Args:
        report: The report.
        series: What its pictures show.
        findings: asset, rule, passed, blocks, detail of the checks of the last build; may be empty.
        path: Where to.

    Raises:
        LakeError: when it cannot be written.
    """
    import jinja2

    template = resources.files("aquamind_pipeline.report").joinpath("page.html.jinja").read_text("utf-8")
    page = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(template)
    rules = findings.group_by("rule", maintain_order=True).agg(
        checks=pl.len(), failed=(~pl.col("passed")).sum(), blocks=pl.col("blocks").first()
    )
    text = page.render(
        report=report,
        cell=cell,
        pictures=[(title, _svg(draw, height)) for title, height, draw in _pictures(series)],
        rules=rules.rows(named=True),
        broken=findings.filter(~pl.col("passed")).rows(named=True),
        matrix=MATRIX,
        columns=sorted({rule for seen in MATRIX.values() for rule in seen}),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise LakeError(f"{path} cannot be written ({error.strerror})") from None


def _pictures(series: Series) -> list[tuple[str, float, Callable[[Figure], None]]]:
    return [
        ("Fish of sample batches; dotted lines are transitions", 3.2, lambda figure: _lives(figure, series, "fish")),
        ("Mean weight of sample batches, g", 3.2, lambda figure: _lives(figure, series, "weight_g")),
        ("Rows by month (bars) and as planned (dashes)", 5.6, lambda figure: _months(figure, series)),
        ("Containers in use: now, ever, and by container-days", 3.2, lambda figure: _use(figure, series)),
        (
            "Survival of each batch's stages against the bounds of their rates, and FCR against the published range",
            3.4,
            lambda figure: _stages(figure, series),
        ),
    ]


def _lives(figure: Figure, series: Series, column: str) -> None:
    axis = figure.subplots()
    for colour, (batch, life) in zip(_COLOURS, _groups(series.lives, "batch"), strict=False):
        dates = life["date"].to_numpy()
        axis.plot(dates, life[column].to_numpy(), color=colour, label=batch, linewidth=1.4)
        moved = life.filter(pl.col("stage") != pl.col("stage").shift(1))
        for day in moved["date"].to_numpy():
            axis.axvline(day, color=colour, linewidth=0.7, linestyle=":")
    axis.set_ylim(bottom=0)
    _finish(axis)
    if series.lives.height:
        axis.legend(fontsize=8, frameon=False, labelcolor=_INK)


def _months(figure: Figure, series: Series) -> None:
    tables = list(_groups(series.months, "table"))
    axes = figure.subplots(len(tables) or 1, 1, sharex=True, squeeze=False)[:, 0]
    for axis, (table, rows) in zip(axes, tables, strict=True):
        dates = rows["month"].str.to_date("%Y-%m").to_numpy()
        axis.vlines(dates, 0, rows["rows"].fill_null(0).to_numpy(), color=_COLOURS[0], alpha=0.6, linewidth=4)
        axis.plot(dates, rows["planned"].to_numpy(), "_", color=_COLOURS[1], markeredgewidth=1.6)
        axis.set_title(table, fontsize=8, loc="left", color=_INK)
        _finish(axis)


def _use(figure: Figure, series: Series) -> None:
    axis, use = figure.subplots(), series.use
    if use.height:
        days = pl.int_range(1, use.height + 1, eager=True)
        shares = {
            "with fish on the day": use["occupied"] / use["of"],
            "ever used so far": use["ever"] / use["of"],
            "container-days used so far": use["days"] / (use["of"] * days),
        }
        for colour, (label, share) in zip(_COLOURS, shares.items(), strict=False):
            axis.plot(use["date"].to_numpy(), (share * 100).to_numpy(), color=colour, label=label, linewidth=1.4)
        axis.legend(fontsize=8, frameon=False, labelcolor=_INK)
    axis.set_ylabel("% of containers that can hold fish", fontsize=8, color=_INK)
    axis.set_ylim(bottom=0)
    _finish(axis)


def _stages(figure: Figure, series: Series) -> None:
    _place(figure, figure.get_figheight(), below=0.8)
    left, right = figure.subplots(1, 2)
    names = [stage.name for stage in STAGES]
    for stage, rows in _groups(series.stages, "stage"):
        place = int(stage) - 1
        low, high = (100 * float(share) for share in rows.select(pl.col("least", "most").mean()).row(0))
        left.fill_between([place - 0.3, place + 0.3], low, high, color=_COLOURS[1], alpha=0.3, linewidth=0)
        left.plot([place] * rows.height, (rows["survival"] * 100).to_numpy(), ".", color=_COLOURS[0], markersize=4)
        fed = rows.drop_nulls("fcr")
        right.plot([place] * fed.height, fed["fcr"].to_numpy(), ".", color=_COLOURS[0], markersize=4)
    right.axhspan(*FCR, color=_COLOURS[1], alpha=0.3, linewidth=0)
    for axis, label in ((left, "survival, %"), (right, "FCR")):
        axis.set_xticks(range(len(names)), names, rotation=35, ha="right")
        axis.set_ylabel(label, fontsize=8, color=_INK)
        _finish(axis)


def _groups(frame: pl.DataFrame, column: str) -> list[tuple[str, pl.DataFrame]]:
    return [(str(key), rows) for (key,), rows in frame.group_by(column, maintain_order=True)]


def _finish(axis: Axes) -> None:
    axis.tick_params(labelsize=8, colors=_INK)
    axis.yaxis.get_offset_text().set(fontsize=8, color=_INK)
    axis.grid(alpha=0.25)
    for side in axis.spines.values():
        side.set_visible(False)


def _place(figure: Figure, height: float, *, below: float = 0.3) -> None:
    """Room for labels, in inches: to find it out, matplotlib would draw everything twice."""
    figure.subplots_adjust(0.65 / _WIDTH, below / height, 1 - 0.05 / _WIDTH, 1 - 0.25 / height, 0.18, 0.3)


def _svg(draw: Callable[[Figure], None], height: float) -> str:
    """A picture without background, its text in the reader's colour and still text."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "aquamind", "font.family": "sans-serif"}):
        figure = Figure(figsize=(_WIDTH, height))
        _place(figure, height)
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    return re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"(.*?) (?:width|height)="[^"]*"', r"\1\2", svg, count=1)


__all__ = ["save_page"]
