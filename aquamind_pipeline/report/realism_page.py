"""The page that compares a farm with real farms. It needs no other file; its pictures are SVG."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from aquamind_pipeline.quality.realism import LIKE, OUTSIDE, Comparison, reference
from aquamind_pipeline.report.pictures import COLOURS, INK, finish, svg
from aquamind_pipeline.report.storage import write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def save_realism_page(farm: str, comparison: Comparison, path: Path) -> None:
    """Write the page.

    Args:
        farm: The farm in words.
        comparison: Our figures beside those of real farms.
        path: Path of the page.

    Raises:
        LakeError: when the page cannot be written.
    """
    import jinja2

    template = resources.files("aquamind_pipeline.report").joinpath("realism.html.jinja").read_text("utf-8")
    page = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(template)
    figures = comparison.figures
    groups = [
        (str(title), rows.rows(named=True), rows["source"].unique(maintain_order=True).to_list())
        for (title,), rows in figures.group_by("group", maintain_order=True)
    ]
    text = page.render(
        farm=farm,
        groups=groups,
        classes={LIKE: "good", OUTSIDE: "bad"},
        verdicts=figures.group_by("verdict", maintain_order=True).len().rows(),
        ages=comparison.ages.rows(named=True),
        ages_source=reference()["sources"][reference()["ages"]["source"]],
        number=_number,
        pictures=_pictures(comparison),
    )
    write_file(path, text)


def _number(value: float | None) -> str:
    """Three digits."""
    if value is None:
        return ""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _pictures(comparison: Comparison) -> list[tuple[str, str]]:
    """Title and SVG of each picture."""
    ages, months = comparison.ages, comparison.months
    drawings = [
        (
            "Mean by months at sea: this farm (lines) and real farms (bars)",
            lambda figure: _by_age(figure, ages),
        ),
        (
            "Farm-months in order: this farm (lines) and quantiles of real farms (points)",
            lambda figure: _in_order(figure, months),
        ),
    ]
    return [(title, svg(draw, 3.2)) for title, draw in drawings]


def _by_age(figure: Figure, ages: pl.DataFrame) -> None:
    for axis, (name, label) in zip(_halves(figure), _LABELS.items(), strict=True):
        real = ages.drop_nulls(f"{name}_least")
        x = real["month"].to_numpy()
        least, most = (real[f"{name}_{end}"].to_numpy() for end in ("least", "most"))
        thin = 0.015 * float(most.max())
        axis.bar(x, np.maximum(most - least, thin), bottom=least, width=0.8, color=COLOURS[1], alpha=0.4)
        ours = ages.filter(pl.col("months") >= _FEW_MONTHS)
        axis.plot(ours["month"].to_numpy(), ours[name].to_numpy(), color=COLOURS[0], linewidth=1.4)
        axis.set_ylim(bottom=0)
        axis.set_xlabel("month at sea", fontsize=8, color=INK)
        axis.set_ylabel(label, fontsize=8, color=INK)
        finish(axis)


def _in_order(figure: Figure, months: pl.DataFrame) -> None:
    for axis, (name, label) in zip(_halves(figure), _LABELS.items(), strict=True):
        ours = months[name].drop_nulls().sort().to_numpy()
        if ours.size:
            axis.plot(100 * (np.arange(ours.size) + 0.5) / ours.size, ours, color=COLOURS[0], linewidth=1.4)
        real = _quantiles(name)
        axis.plot(list(real), list(real.values()), "o", color=COLOURS[1], markersize=5)
        axis.set_ylim(0, 1.6 * max(real.values()))
        axis.set_xlabel("% of the farm-months", fontsize=8, color=INK)
        axis.set_ylabel(label, fontsize=8, color=INK)
        finish(axis)


def _quantiles(name: str) -> dict[int, float]:
    """Quantiles of real farms, by the share of farm-months below them in percent."""
    figures = next(group["figures"] for group in reference()["group"] if f"{name}_mean" in group["figures"])
    prefix = f"{name}_p"
    return {int(key[len(prefix) :]): float(one["real"]) for key, one in figures.items() if key.startswith(prefix)}


_FEW_MONTHS = 5
"""Farm-months from which on their mean is drawn."""
_LABELS = {"mortality": "mortality, % in a month", "lice": "adult female lice per fish"}


def _halves(figure: Figure) -> tuple[Axes, Axes]:
    figure.subplots_adjust(bottom=0.16, wspace=0.2)
    left, right = figure.subplots(1, 2)
    return left, right


__all__ = ["save_realism_page"]
