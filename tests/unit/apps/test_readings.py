"""Readings of sensors are what water can be."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.simulation.biology import oxygen_saturation_mg_l
from tests.helpers.farms import Made


def test_readings_are_physical(tiny_made: Made) -> None:
    """Values within the parameter's own limits, and oxygen within 15 % of what water of that temperature can hold."""
    values = (
        tiny_made.frame("environmental_environmentalreading")
        .with_columns(pl.col("value").cast(pl.Float64))
        .join(
            tiny_made.frame("environmental_environmentalparameter").rename({"id": "parameter_id"}),
            on="parameter_id",
        )
    )
    assert values["name"].n_unique() == 8
    assert values.filter(~pl.col("value").is_between("min_value", "max_value")).is_empty()
    here = ["container_id", "batch_id", "reading_time"]
    water = values.filter(name="temperature").select(*here, temp_c="value")
    salt = values.filter(name="Salinity").select(*here, ppt="value")
    oxygen = values.filter(name="Dissolved Oxygen").join(water, on=here).join(salt, on=here, how="left").fill_null(0.0)
    assert oxygen.height == water.height
    share = oxygen["value"].to_numpy() / oxygen_saturation_mg_l(oxygen["temp_c"].to_numpy(), oxygen["ppt"].to_numpy())
    assert 0.6 < share.min() < share.max() < 1.15
