"""What sensors measure, with units and limits."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.schema.columns import EMPTY, INSTALLED, identity, numeric, text, timestamp, varchar
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind

PARAMETER_IDS = {
    "Temperature": 1,
    "Dissolved Oxygen": 2,
    "pH": 3,
    "CO2": 4,
    "NO2": 5,
    "NO3": 6,
    "NH4": 7,
    "Salinity": 8,
}
"""environmental_environmentalparameter.id by sensor type. The parameter of `Temperature` is named `temperature`:
AquaMind's growth engine looks for that spelling (rule R14)."""
SHOWN_TEMPERATURE_ID = 9
"""environmental_environmentalparameter.id of `Temperature`. AquaMind's pages of areas, rings and stations look for that
spelling. The last temperature of each day is stored under it, so both find readings and there are no more rows."""


def parameters(inputs: Inputs) -> pl.DataFrame:
    """Units and limits: AquaMind's documented safety limits (farm-figures b.2).

    Oxygen is in per cent of saturation: AquaMind's limits are (80 to 100), and its pages write `% saturation`.
    """
    rows = [
        (1, "temperature", "°C", -1.0, 20.0, 6.0, 14.0),
        (2, "Dissolved Oxygen", "%", 30.0, 130.0, 80.0, 100.0),
        (3, "pH", "pH", 6.0, 9.0, 6.5, 8.5),
        (4, "CO2", "mg/L", 0.0, 25.0, 0.0, 15.0),
        (5, "NO2", "mg/L", 0.0, 0.5, 0.0, 0.1),
        (6, "NO3", "mg/L", 0.0, 100.0, 0.0, 50.0),
        (7, "NH4", "mg/L", 0.0, 0.1, 0.0, 0.02),
        (8, "Salinity", "ppt", 30.0, 37.0, 33.0, 36.0),
        (SHOWN_TEMPERATURE_ID, "Temperature", "°C", -1.0, 20.0, 6.0, 14.0),
    ]
    columns = ["id", "name", "unit", "min_value", "max_value", "optimal_min", "optimal_max"]
    return pl.DataFrame(rows, schema=columns, orient="row")


PARAMETERS = TableDefinition(
    name="environmental_environmentalparameter",
    kind=Kind.REFERENCE,
    meaning="What sensors measure, with unit and limits.",
    how="One parameter for each type of sensor, and `Temperature` for AquaMind's pages.",
    columns=(
        identity("id"),
        varchar("name", 100),
        varchar("unit", 20),
        text("description", fill=EMPTY),
        numeric("min_value", 10, 2, nullable=True),
        numeric("max_value", 10, 2, nullable=True),
        numeric("optimal_min", 10, 2, nullable=True),
        numeric("optimal_max", 10, 2, nullable=True),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
    ),
    natural_key=("name",),
    reads=(),
    generate=parameters,
    expected=ByFormula(lambda farm, plan: len(PARAMETER_IDS) + 1),
    lineage={},
    rules=(),
)

__all__ = ["PARAMETERS", "PARAMETER_IDS", "SHOWN_TEMPERATURE_ID"]
