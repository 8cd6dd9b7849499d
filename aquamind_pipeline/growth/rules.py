"""Which behaviour growth assimilation has: a rule set is a value, one named option for each repair.

An option that is false behaves as AquaMind's engine does (its standard one, assignments in order of date and id); true
repairs it. Rule numbers R1-R42 are those of the engine's description. `docs/growth.md` tells for each option what is
wrong, why, and by how much states differ.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class RuleSet:
    """Options of assimilation; without arguments, AquaMind's behaviour."""

    name: str
    transfers_leave: bool = False
    """Fish that move out, and those that die on the way, leave their source (R24)."""
    topups_count_once: bool = False
    """`population_count` already holds fish that came in after the first day; they are not added again (R28)."""
    prior_fish_stay: bool = False
    """A transfer on a stay's first day adds to the fish already there instead of replacing them (R29)."""
    ledger_population: bool = False
    """Fish are what was placed, moved and lost, not the `population_count` that AquaMind counts down (R25, R28)."""
    recorded_deaths_only: bool = False
    """A day without a record has no deaths, unless recording is declared incomplete (R20)."""
    weekly_mortality: bool = False
    """Weekly mortality models give a daily rate instead of failing the day (R8, R20)."""
    weights_mix: bool = False
    """Fish that come in bring the count-weighted mean of their sources on that day, corrected for selection; what is
    computed first does not matter (R3, R27)."""
    any_capitals: bool = False
    """Measured temperature counts however its parameter is capitalised (R14)."""
    zero_is_measured: bool = False
    """A measured mean of 0 °C is a measurement (R17)."""
    gaps_use_means: bool = False
    """Temperature is interpolated between the means of days, not between one reading of each (R15)."""
    no_assumed_temperature: bool = False
    """With neither measurement nor profile nothing is known and nothing grows, where AquaMind assumes 10 °C (R16)."""
    own_records: bool = False
    """Temperature and feed belong to the stay they were recorded for when two share a container (R14, R21)."""
    moves_are_no_growth: bool = False
    """Feed conversion counts the growth of the fish that were there, not those that moved in (R35)."""
    empty_stops: bool = False
    """The weight stops where nobody is left."""
    full_precision: bool = False
    """Values are carried at full precision and rounded where they are stored (R7)."""
    no_caps: bool = False
    """No safety cap on weight or feed conversion (R33, R36)."""
    assigned_stage: bool = False
    """The stage is the assignment's, not one guessed from the weight (R37)."""
    refuse_contradictions: bool = False
    """Records that contradict themselves are an error."""

    @property
    def closed_form(self) -> bool:
        """Whether no day depends on the rounded, capped or guessed outcome of the day before."""
        return (
            self.recorded_deaths_only
            and self.weights_mix
            and self.full_precision
            and self.no_caps
            and self.assigned_stage
        )


REPAIRS = tuple(field.name for field in fields(RuleSet) if field.name != "name")
"""The options' names."""

AQUAMIND = RuleSet("aquamind")
"""AquaMind's engine, to the last cell."""
CORRECTED = RuleSet("corrected", **dict.fromkeys(REPAIRS, True))
"""The default: every repair."""

GAP_DAYS = 7
"""How far a measured temperature reaches into days without one (R15)."""
LEAST_GAIN_KG = 1.0
"""Least growth of biomass in a day for which a feed conversion ratio is given (R36)."""
SELECTION_BIAS = {"LARGEST": 0.88, "SMALLEST": 1.12}
"""From the weight of fish picked for a transfer to that of all fish (R11)."""
LARGEST_FCR = 10.0
"""Cap on the feed conversion ratio (R36)."""
CAPS_G = (("egg", 1.0), ("alevin", 1.0), ("fry", 10.0), ("parr", 100.0), ("post", 700.0), ("smolt", 250.0))
"""Caps on weight by what the stage's name contains, first match (R33)."""
LARGEST_G = (("adult", 8000.0), ("harvest", 8000.0), ("", 7000.0))
"""Caps of grown fish, and of stages with other names (R33)."""

__all__ = [
    "AQUAMIND",
    "CAPS_G",
    "CORRECTED",
    "GAP_DAYS",
    "LARGEST_FCR",
    "LARGEST_G",
    "LEAST_GAIN_KG",
    "REPAIRS",
    "SELECTION_BIAS",
    "RuleSet",
]
