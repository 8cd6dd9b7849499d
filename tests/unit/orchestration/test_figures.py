"""Figures in the metadata of assets and checks."""

from __future__ import annotations

import base64
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.orchestration.figures import lines
from aquamind_pipeline.orchestration.table_figures import figure_metadata
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.settings import Settings, load_settings
from tests.helpers.farms import make_lake


@settings(max_examples=25)
@given(days=st.integers(1, 4_000))
@example(days=180)
@example(days=960)
def test_dates_of_any_span_find_their_ticks(days: int) -> None:
    """Else matplotlib warns, which is an error here."""
    first = date(2019, 6, 17)
    lines({"fish": pl.DataFrame({"date": [first, first + timedelta(days=days)], "fish": [0, 1]})}, "date", ["fish"])


def test_one_rings_year_is_a_picture(built: Settings) -> None:
    """Of a ring with fish; where no fish are at sea yet, a sentence says so."""
    metadata = figure_metadata(REGISTRY["health_licecount"], Workspace(built))
    picture = metadata["picture"]
    assert isinstance(picture, dg.MarkdownMetadataValue)
    title, _, image = picture.value.removeprefix("![").partition("](data:image/png;base64,")
    assert title.startswith("One ring's year: ")
    assert base64.b64decode(image.removesuffix(")")).startswith(b"\x89PNG")


def test_a_ring_without_fish_has_no_picture(tmp_path: Path) -> None:
    early = load_settings(profile="tiny", home=tmp_path, as_of=date(2026, 2, 20))
    workspace = make_lake(early)
    assert figure_metadata(REGISTRY["health_licecount"], workspace)["picture"].value.startswith("no picture: ")
