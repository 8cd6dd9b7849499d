"""Rule sets: which behaviour growth assimilation has.

A rule set has one named option for each repair. An option that is false behaves as AquaMind's standard engine does,
which computes assignments in order of date and id. An option that is true repairs that behaviour. R1 to R42 number the
rules of AquaMind's engine. `docs/growth.md` says what each option repairs and how many states change with it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class RuleSet:
    """Options of assimilation. Without arguments, AquaMind's behaviour."""

    name: str
    transfers_leave: bool = False
    """Transferred fish, and those that die on the way, leave their source (R24)."""
    topups_count_once: bool = False
    """Fish that arrive after the first day are in `population_count` already and are not added again (R28)."""
    prior_fish_stay: bool = False
    """A transfer on the first day of an assignment adds to the fish already there instead of replacing them (R29)."""
    ledger_population: bool = False
    """Fish are counted from placements, transfers and deaths. AquaMind starts from `population_count`, from which it
    has taken the deaths already (R25, R28)."""
    recorded_deaths_only: bool = False
    """A day without a record has no deaths, unless its records are declared incomplete (R20)."""
    weekly_mortality: bool = False
    """A weekly mortality model gives a daily rate. AquaMind fails on such a day (R8, R20)."""
    weights_mix: bool = False
    """Arriving fish have the count-weighted mean weight of their sources on that day, corrected for selection. The
    order of computation does not matter (R3, R27)."""
    any_capitals: bool = False
    """The temperature parameter is recognised whatever its capitals (R14)."""
    zero_is_measured: bool = False
    """A measured mean of 0 °C is a measurement (R17)."""
    zero_is_no_weight: bool = False
    """A weight of 0 g measured on fish that leave is no measurement. AquaMind sets that day to 0 g (R10)."""
    gaps_use_means: bool = False
    """Gaps in temperature are bridged between the means of days, not between single readings (R15)."""
    no_assumed_temperature: bool = False
    """Without measurement and profile the temperature is unknown and nothing grows. AquaMind assumes 10 °C (R16)."""
    own_records: bool = False
    """Of two assignments in one container, each has the temperature and feed recorded for it (R14, R21)."""
    moves_are_no_growth: bool = False
    """Feed conversion counts the growth of the fish that were there, not the fish that arrived (R35)."""
    empty_stops: bool = False
    """The weight of an empty assignment does not grow."""
    full_precision: bool = False
    """Values are carried on at full precision and rounded only for storage (R7)."""
    no_caps: bool = False
    """Weight has no cap (R33)."""
    assigned_stage: bool = False
    """The stage is the assignment's. AquaMind derives it from the weight (R37)."""
    refuse_contradictions: bool = False
    """Records that contradict each other are an error."""

    @property
    def closed_form(self) -> bool:
        """Whether no day depends on the rounded, capped or modelled result of the day before."""
        return (
            self.recorded_deaths_only
            and self.weights_mix
            and self.full_precision
            and self.no_caps
            and self.assigned_stage
        )

    @property
    def follows_ledger(self) -> bool:
        """Whether the fish of an assignment are what the records of placements, transfers and deaths add up to."""
        return self.transfers_leave and self.topups_count_once and self.prior_fish_stay and self.ledger_population


REPAIRS = tuple(field.name for field in fields(RuleSet) if field.name != "name")
"""Names of the options."""

AQUAMIND = RuleSet("aquamind")
"""AquaMind's engine, equal in every cell."""
CORRECTED = RuleSet("corrected", **dict.fromkeys(REPAIRS, True))
"""The default: all repairs."""

GAP_DAYS = 7
"""Days without measured temperature that are bridged from the nearest day that has one (R15)."""
LEAST_GAIN_KG = 1.0
"""A feed conversion ratio is given for days that gain more biomass than this (R36)."""
SELECTION_BIAS = {"LARGEST": 0.88, "SMALLEST": 1.12}
"""Factor from the weight of the picked fish to that of all fish, by selection method (R11)."""
LARGEST_FCR = 10.0
"""Cap on the feed conversion ratio of a day (R36). On a day of little growth the ratio says nothing."""
CAPS_G = (("egg", 1.0), ("alevin", 1.0), ("fry", 10.0), ("parr", 100.0), ("post", 700.0), ("smolt", 250.0))
"""Caps on weight: the first whose text is in the name of the stage (R33)."""
LARGEST_G = (("adult", 8000.0), ("harvest", 8000.0), ("", 7000.0))
"""Caps on weight of grown fish, and of stages with any other name (R33)."""

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
