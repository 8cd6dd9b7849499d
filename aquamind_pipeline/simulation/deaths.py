"""Why fish die: background, handling, treatment and episodes, and how strongly each acts on a container.

Chances of death of all reasons are added. The day's dead fish are put down to the strongest reason, and to the second
one where it took at least a fifth of them: people who collect the dead write down one or two reasons.
"""

from __future__ import annotations

import numpy as np

from aquamind_pipeline.arithmetic import Floats, Ints, exponential
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import ADULT, STAGES, Stage
from aquamind_pipeline.simulation.episodes import FRESHWATER_CAUSES, SEA_CAUSES

REASONS: tuple[tuple[str, str], ...] = (
    ("unknown", "UNKNOWN"),
    ("runt or deformity", "OTHER"),
    ("predator", "PREDATION"),
    ("environment", "ENVIRONMENTAL"),
    ("handling", "HANDLING"),
    ("treatment", "HANDLING"),
    ("failed hatching", "OTHER"),
    ("failed smolt", "OTHER"),
    ("gill disease", "DISEASE"),
    ("cardiomyopathy syndrome", "DISEASE"),
    ("heart and skeletal muscle inflammation", "DISEASE"),
    ("pancreas disease", "DISEASE"),
    ("winter ulcer", "DISEASE"),
    ("algae or jellyfish", "ENVIRONMENTAL"),
    ("storm", "ENVIRONMENTAL"),
    ("fungus", "DISEASE"),
    ("gas or water quality", "ENVIRONMENTAL"),
    ("unspecified illness", "DISEASE"),
)
"""Reasons of death with the cause that AquaMind's events name. The columns `reason` and `second_reason` are indexes."""
REASON = {name: number for number, (name, _) in enumerate(REASONS)}

FIXED_REASONS = np.array([REASON["unknown"], REASON["handling"], REASON["treatment"], REASON["failed smolt"]])
"""Reasons that are no episodes. The first stands for the background, which has reasons of its own."""
SECOND_SHARE = 5
"""The second reason is written down if it took at least one in so many of the day's dead."""
MOST_LOST = (0.005, 0.12, 0.10, 0.08, 0.08, 1.0)
"""By stage: most that episodes, handling and treatments take from a container, as a sum of daily chances of death.

Losses fade as the sum comes near: what the worst episodes kill are the fish that were weak.
"""
_VIGOUR = (
    (0.055, 0.95, 1.10),
    (0.30, 0.98, 2.5),
    (0.30, 0.98, 2.5),
    (0.30, 0.98, 2.5),
    (0.30, 0.98, 2.5),
    (0.40, 0.4, 3.5),
)
"""By stage: spread of the logarithm of the batch's factor on background deaths, and its smallest and largest value.

In freshwater the smallest value keeps a batch below the limit of fish in a ring, which is planned for the mean rate.
Eggs differ less, because poor eggs are picked out before they are laid.
"""
_DAY_SPREAD = 0.2
_DEVIATIONS = 5.0
MOVE_LOSS = (0.0, 0.0006, 0.0006, 0.0005, 0.0005, 0.0015)
"""By stage: median share of the fish that die in the days after they came in."""
SMOLT_LOSS, SMOLT_SPREAD, SMOLT_MOST, SMOLT_DAYS = 0.003, 0.9, 0.05, 42
"""Smolts that do not cope with salt water die in the first six weeks: median share, its spread, the most, and days."""
CONTAINER_SPREAD, BATCH_SPREAD = 0.25, 0.45
"""Spread of the logarithm of how strongly a container and a batch feel an episode."""
AGE_AT_SEA = ((0.0, 0.4), (3.0, 0.7), (6.0, 1.0), (9.0, 1.4), (13.0, 2.0))
"""Background deaths at sea by months since the transfer, as a multiple of the stage's rate."""


def background(seed: int, stage: Stage, batch: Ints) -> Floats:
    """Factor of each batch on the background deaths of a stage."""
    spread, least, most = _VIGOUR[stage.order - 1]
    luck = draws.normal(draws.stream(seed, "deaths", "brood"), batch, stage.order)
    mean = 1.03 if stage.order == 1 else 1.15 if not stage.at_sea else 0.70
    return np.clip(mean * exponential(spread * luck), least, most)


def day_factor(bell: Floats) -> Floats:
    """Factor of one container and day on background deaths, from a standard normal deviate."""
    return 1.0 + _DAY_SPREAD * bell


def background_reason(kind: np.typing.NDArray[np.uint16], stage: Stage) -> np.typing.NDArray[np.int8]:
    """Reason of a day's background deaths, from 16 random bits. Eggs die because they do not hatch."""
    if stage.order == 1:
        return np.full(kind.shape, REASON["failed hatching"], np.int8)
    return (_AT_SEA if stage.at_sea else _IN_TANKS).take(kind)


def failed_smolts(seed: int, speed: int, stage: Stage, batch: Ints, width: int) -> Floats:
    """Chance of death of smolts that do not cope with salt water [day, container], zero in freshwater.

    Args:
        seed: The farm's seed.
        speed: How many days of real fish a day has.
        stage: The stage.
        batch: Batch of each container.
        width: Number of days.
    """
    if not stage.at_sea:
        return np.zeros((width, 1))
    luck = draws.normal(draws.stream(seed, "deaths", "smolt"), batch)
    loss = np.minimum(SMOLT_LOSS * exponential(SMOLT_SPREAD * luck), SMOLT_MOST)
    edges = np.minimum(np.arange(width + 1) * speed / SMOLT_DAYS, 1.0)
    done = 1.0 - (1.0 - edges) ** 2  # most die early
    return np.diff(done)[:, None] * loss[None, :]


def _shares(*shares: tuple[str, float]) -> np.typing.NDArray[np.int8]:
    upto = np.cumsum([share for _, share in shares])
    reasons = np.array([REASON[name] for name, _ in shares], np.int8)
    return reasons[np.minimum(np.searchsorted(upto, np.arange(65_536) / 65_536, side="right"), len(shares) - 1)]


_AT_SEA = _shares(("unknown", 0.55), ("runt or deformity", 0.20), ("predator", 0.17), ("environment", 0.08))
_IN_TANKS = _shares(("unknown", 0.55), ("runt or deformity", 0.35), ("environment", 0.10))


def feels(seed: int, stage: Stage, batch: Ints, ids: Ints) -> Floats:
    """How strongly each container feels each cause of episodes [container, cause], 1 on average."""
    causes = SEA_CAUSES if stage.at_sea else FRESHWATER_CAUSES
    number = np.arange(len(causes))[None, :]
    brood = draws.normal(draws.stream(seed, "deaths", "resistance"), batch[:, None], number + 100 * stage.order)
    ring = draws.normal(draws.stream(seed, "deaths", "container"), ids[:, None], number)
    variance = BATCH_SPREAD**2 + CONTAINER_SPREAD**2
    return exponential(BATCH_SPREAD * brood + CONTAINER_SPREAD * ring - variance / 2.0)


def reasons_of(at_sea: bool) -> Ints:
    """Reason of each cause of episodes."""
    return np.array([REASON[cause.reason] for cause in (SEA_CAUSES if at_sea else FRESHWATER_CAUSES)])


def hazard_bounds(stage: int, days: Ints, containers: Ints, daily_rate: Floats) -> tuple[Floats, Floats]:
    """Bounds of a batch's mean chance of death in a stage, as multiples of the stage's daily rate.

    The lower bound is the smallest background. The upper bound adds all that episodes, handling and treatments can
    take (`MOST_LOST`).

    Args:
        stage: The stage's order.
        days: Days spent in the stage.
        containers: Number of containers that shared the batch.
        daily_rate: Share of the fish that die in a day by the stage's rate.

    Returns:
        The lower and the upper bound.
    """
    lived = np.maximum(np.asarray(days, np.float64), 1.0)
    _, least, most = _VIGOUR[stage - 1]
    if stage == ADULT.order:
        least, most = least * AGE_AT_SEA[0][1], most * AGE_AT_SEA[-1][1]
    spread = _DEVIATIONS * _DAY_SPREAD * most / np.sqrt(lived * np.asarray(containers, np.float64))
    lost = MOST_LOST[stage - 1] / (np.asarray(daily_rate, np.float64) * lived)
    return np.maximum(least - spread, 0.0), most + spread + lost


def most_fish(eggs: float) -> float:
    """Most fish that can come to sea of so many eggs, if every factor is at its smallest."""
    fish = float(eggs)
    for stage in STAGES[:-1]:
        fish *= (1 - stage.daily_mortality * _VIGOUR[stage.order - 1][1]) ** stage.days
    return fish


__all__ = [
    "AGE_AT_SEA",
    "FIXED_REASONS",
    "MOST_LOST",
    "MOVE_LOSS",
    "REASON",
    "REASONS",
    "SMOLT_DAYS",
    "SMOLT_LOSS",
    "SMOLT_MOST",
    "SMOLT_SPREAD",
    "background",
    "background_reason",
    "day_factor",
    "failed_smolts",
    "feels",
    "hazard_bounds",
    "most_fish",
    "reasons_of",
]
