"""Which behaviour growth assimilation has: rule sets are values, so two of them differ in named options only.

Rule numbers R1-R42 are those of AquaMind's engine. Ours repairs: R3 and R27 (a destination starts from the mean of its
sources, whatever the order), R14 (capitals of the parameter), R20 (no death without a record), R21 (feed of the stay,
not of the container), R24 (fish that move out are gone), R28 and R29 (fish come from the ledger, so nothing doubles),
R33 (no caps), R36 (moved fish are no growth) and R37 (the stage is the assignment's).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RuleSet:
    """Options of assimilation."""

    name: str
    gap_days: int = 7
    """How far a measured temperature reaches into days without one (R15)."""
    least_gain_kg: float = 1.0
    """Least growth of biomass in a day for which a feed conversion ratio is given (R36)."""
    selection_bias: tuple[tuple[str, float], ...] = (("LARGEST", 0.88), ("SMALLEST", 1.12))
    """From the weight of fish picked for a transfer to that of all fish (R11)."""


CORRECTED = RuleSet("corrected")
"""The default: AquaMind's rules with the repairs named above."""

__all__ = ["CORRECTED", "RuleSet"]
