"""Small pictures for people who would rather look than read, as Markdown that Dagster's pages show."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def lines(
    panels: Mapping[str, pl.DataFrame], x: str, y: Sequence[str], *, x_label: str, y_label: str
) -> dg.MarkdownMetadataValue:
    """Panels side by side, each with a line for every column of `y` over `x`."""
    # matplotlib takes a third of a second to import, which no code location should wait for.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(panels), 3.0), layout="constrained", dpi=90)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, frame) in zip(axes, panels.items(), strict=True):
        for column in y:
            axis.plot(frame[x].to_numpy(), frame[column].to_numpy(), label=column, linewidth=1.4)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(x_label)
        axis.set_ylabel(y_label)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    return _markdown(figure, ", ".join(panels))


def _markdown(figure: Figure, text: str) -> dg.MarkdownMetadataValue:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return dg.MetadataValue.md(f"![{text}](data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()})")


__all__ = ["lines"]
