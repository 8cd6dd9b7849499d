"""Rule sets of the scenario projection: AquaMind's behaviour, and named options that repair it."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class ProjectionRules:
    """Options of a projection. Without arguments, AquaMind's behaviour."""

    name: str
    deaths_are_percent: bool = False
    """A mortality of 0.03 means 0.03 % a day. AquaMind divides by 100 twice, so too few fish die by far (P9)."""
    weekly_mortality: bool = False
    """A weekly mortality model gives a daily rate. AquaMind's run ends on the first such day (P10)."""
    no_caps: bool = False
    """Weights have no cap by the name of the stage (P8)."""


AQUAMIND = ProjectionRules("aquamind")
"""AquaMind's engine, equal in every cell where it draws no random number. This is what is stored."""
REPAIRS = tuple(field.name for field in fields(ProjectionRules) if field.name != "name")
"""Names of the options."""
CORRECTED = ProjectionRules("corrected", **dict.fromkeys(REPAIRS, True))
"""All repairs."""

HALL_C = 12.0
"""Temperature of fresh water, which replaces the profile's (P5)."""
HALL_STAGES = ("egg&alevin", "egg", "alevin", "fry", "parr", "smolt")
"""Names of stages in fresh water, in lower case."""
NOT_FED = ("egg", "alevin", "eyed egg")
"""Names of stages that neither eat nor grow, in lower case (P6)."""
NO_PROFILE_C = 10.0
"""Temperature of a profile without readings (P5)."""
NO_STAGE_FCR = 1.2
"""Feed per growth in a stage that the FCR model lacks (P12)."""
CAPS_G = (
    ("egg", 1.0),
    ("alevin", 1.0),
    ("fry", 10.0),
    ("parr", 100.0),
    ("smolt", 250.0),
    ("post smolt", 700.0),
    ("harvest", 8000.0),
    ("adult", 8000.0),
)
"""Caps on weight: the whole name decides, else the first text that is in the name, with `_` and `-` as blanks (P8)."""
NO_CAP_G = 7000.0
"""Cap of a stage with another name (P8)."""

__all__ = [
    "AQUAMIND",
    "CAPS_G",
    "CORRECTED",
    "HALL_C",
    "HALL_STAGES",
    "NOT_FED",
    "NO_CAP_G",
    "NO_PROFILE_C",
    "NO_STAGE_FCR",
    "REPAIRS",
    "ProjectionRules",
]
