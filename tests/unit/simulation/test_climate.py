"""The temperature of the water."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from aquamind_pipeline.simulation import climate


@given(st.integers(0, 2**63 - 1))
def test_water_is_warmest_in_late_summer(seed: int) -> None:
    """Monthly means over five years: warmest in July to September, coldest half a year from it; sites differ."""
    first = date(2021, 1, 1)
    temp_c = climate.site_temperature_c(seed, first.toordinal(), 5 * 365 + 1)
    assert temp_c.shape == (22 + 42, 5 * 365 + 1)
    months = pl.date_range(first, date(2025, 12, 31), eager=True).dt.month().to_numpy()
    sea = temp_c[22:].mean(axis=0)
    means = [sea[months == month].mean() for month in range(1, 13)]
    assert np.argmax(means) + 1 in (7, 8, 9)
    assert np.argmin(means) + 1 in (1, 2, 3)
    assert np.unique(temp_c[:, 0]).size == 22 + 42
