"""Random numbers without a generator: each draw is a hash of (seed, names, counters).

Counter-based generation (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") makes any slice of the
farm reproducible on its own. The mixer is splitmix64 (Steele, Lea & Flood 2014). The code uses integer arithmetic,
products, sums and square roots only. IEEE 754 fixes their results to the bit; exp, log and cos of the C libraries
differ between machines.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from aquamind_pipeline.arithmetic import Floats, Ints

Bits = npt.NDArray[np.uint64]

_ONE, _GOLDEN = np.uint64(1), np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_16, _27, _30, _31, _32 = (np.uint64(places) for places in (16, 27, 30, 31, 32))
_EVERY_OTHER = np.uint64(0x0000FFFF0000FFFF)
_BOTH_HALVES = np.uint64(0x0000000100000001)
_SQRT3 = float(np.sqrt(3.0))


@lru_cache(maxsize=1024)
def stream(seed: int, *names: str) -> int:
    """Key of the stream of draws with these names, such as ("mortality", "deaths"), for a farm with this seed."""
    digest = hashlib.blake2b("\x1f".join((str(seed), *names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _mix(x: Bits) -> Bits:
    """Apply splitmix64's mixer in place, because allocating memory costs more than the arithmetic."""
    x ^= x >> _30
    x *= _FIRST
    x ^= x >> _27
    x *= _SECOND
    x ^= x >> _31
    return x


def bits(key: int, *counters: npt.ArrayLike) -> Bits:
    """64 random bits for each combination of the broadcast integer counters (an id, a day, a slot …)."""
    state: Bits = np.full((), key, np.uint64)
    with np.errstate(over="ignore"):  # the hash relies on overflow
        for counter in counters:
            steps = np.asarray(counter, np.int64).view(np.uint64) + _ONE
            steps *= _GOLDEN
            state = _mix(state + steps)
    return state


def uniform(key: int, *counters: npt.ArrayLike) -> Floats:
    """Uniform draws in [0, 1)."""
    unit: Floats = (bits(key, *counters) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return unit


def normal(key: int, *counters: npt.ArrayLike) -> Floats:
    """Nearly standard normal draws, bounded to ±3.47: the sum of four uniforms of 16 bits (Irwin-Hall).

    The bounds suit sensors and fish: oxygen never becomes negative. A draw costs one hash and is exact on every
    machine.
    """
    deviate: Floats = centred(bits(key, *counters)) * np.float64(_SQRT3 / 65536.0)
    return deviate


def centred(random_bits: Bits) -> Ints:
    """Sum of the four 16-bit parts of each word, centred on zero: bell-shaped, with standard deviation 65536/√3."""
    # Two parts are added at once, each in its half of the word; then the halves, in the upper half of a product.
    total = random_bits >> _16
    total &= _EVERY_OTHER
    total += random_bits & _EVERY_OTHER
    total *= _BOTH_HALVES
    total >>= _32
    about_zero: Ints = total.view(np.int64)
    about_zero -= 131_070
    return about_zero


def stochastic_round(expected: npt.ArrayLike, u: Floats) -> Ints:
    """Whole numbers whose mean is `expected`: round up with a probability equal to the fraction.

    Args:
        expected: Numbers to round.
        u: Uniform draws in [0, 1), one for each number.
    """
    return np.floor(np.asarray(expected) + u).astype(np.int64)


__all__ = ["bits", "centred", "normal", "stochastic_round", "stream", "uniform"]
