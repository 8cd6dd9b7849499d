"""Constants and formulas of salmon: stages, growth, oxygen, length.

Numbers are AquaMind's (farm-figures b.1). Where AquaMind's numbers contradict each other or physics, the constant
names another source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aquamind_pipeline.arithmetic import Floats, Ints, rounded_cube_root


@dataclass(frozen=True)
class Stage:
    """One lifecycle stage. `order` is its order in AquaMind and its lifecycle_stage_id here."""

    order: int
    name: str
    days: int  # planned length; for Adult the upper limit, because harvest by weight comes earlier
    tgc: float  # thermal growth coefficient x 1000, g^(1/3) per degree-day
    daily_mortality: float  # share of the fish per day
    fcr: float  # kg feed per kg gain
    expected_weight_g: tuple[float, float]
    hall: str | None  # letter of the stage's hall; None at sea
    feed_id: int | None

    @property
    def at_sea(self) -> bool:
        """Whether the stage is spent in sea rings."""
        return self.hall is None


STAGES: tuple[Stage, ...] = (
    Stage(1, "Egg&Alevin", 90, 0.0, 0.0015, 0.0, (0.05, 0.5), "A", None),
    Stage(2, "Fry", 90, 2.25, 0.0005, 1.0, (0.5, 6.0), "B", 1),
    Stage(3, "Parr", 90, 2.75, 0.0003, 1.1, (6.0, 60.0), "C", 2),
    Stage(4, "Smolt", 90, 2.75, 0.0002, 1.0, (60.0, 180.0), "D", 3),
    Stage(5, "Post-Smolt", 90, 3.25, 0.00015, 1.1, (180.0, 500.0), "E", 4),
    Stage(6, "Adult", 450, 3.1, 0.0001, 1.2, (500.0, 7000.0), None, 5),
)
ADULT = STAGES[-1]
FRESHWATER = STAGES[:-1]

EGG_WEIGHT_G = 0.1
TRANSFER_MORTALITY = 0.0005
"""Share of the fish that die in a pump transfer; well-run transfers lose less than 0.1 %."""
RING_FISH_LIMIT = 200_000
"""Most fish in one sea unit: Norwegian aquaculture operation regulation (akvakulturdriftsforskriften) § 47 a."""
RING_DENSITY_KG_M3 = 25.0
"""Highest stocking density at sea, the same regulation § 25. AquaMind limits a ring to 500 t, which is 10 kg/m3."""
TANK_DENSITY_KG_M3 = {"A": 50.0, "B": 50.0, "C": 50.0, "D": 75.0, "E": 75.0}
"""AquaMind allows 50 kg/m3 in every hall, but its own smolts and post-smolts exceed that. Their halls allow 75 kg/m3:
post-smolts grow and fare well up to that density (Calabrese et al. 2017, Aquaculture 468, 363-370)."""
WEIGHT_VARIATION = (0.15, 0.18, 0.17, 0.15, 0.15, 0.18)
"""By stage: coefficient of variation of weight within a container, 15 to 25 % where fish are not graded often."""


def oxygen_saturation_mg_l(temp_c: Floats, salinity_ppt: npt.ArrayLike) -> Floats:
    """Dissolved oxygen of air-saturated water in mg/L (Truesdale, Downing & Lowden 1955, J. appl. Chem. 5, 53-62)."""
    fresh = 14.161 - 0.3943 * temp_c + 0.007714 * temp_c * temp_c - 0.0000646 * temp_c * temp_c * temp_c
    return fresh - np.asarray(salinity_ppt) * (0.0841 - 0.00256 * temp_c + 0.0000374 * temp_c**2)


def fork_length(weight_g: Floats, condition: Floats) -> Ints:
    """Fork length, in 0.01 cm, of fish of this weight, by Fulton's condition factor K = 100 W/L³ (g, cm)."""
    return rounded_cube_root(100.0 * weight_g / condition, 2)


__all__ = [
    "ADULT",
    "EGG_WEIGHT_G",
    "FRESHWATER",
    "RING_DENSITY_KG_M3",
    "RING_FISH_LIMIT",
    "STAGES",
    "TANK_DENSITY_KG_M3",
    "TRANSFER_MORTALITY",
    "WEIGHT_VARIATION",
    "Stage",
    "fork_length",
    "oxygen_saturation_mg_l",
]
