"""Random draws: they depend on nothing but what they are named after, and are spread as they should be."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aquamind_pipeline.simulation import draws


@given(st.integers(0, 2**63 - 1), st.lists(st.integers(0, 2**40), min_size=1, max_size=50))
def test_draws_depend_on_nothing_but_seed_and_counters(seed: int, counters: list[int]) -> None:
    key = draws.stream(seed, "fish")
    together = draws.uniform(key, np.array(counters))
    alone = [float(draws.uniform(key, np.array([c]))[0]) for c in counters]
    assert together.tolist() == alone
    assert all(0 <= u < 1 for u in alone)
    assert draws.stream(seed, "fish") != draws.stream(seed, "feed")


def test_draws_are_evenly_spread() -> None:
    """Mean and variance of a million draws within five standard errors; neighbours unrelated."""
    n = 1_000_000
    u = draws.uniform(draws.stream(1, "even"), np.arange(n))
    assert abs(u.mean() - 0.5) < 5 * np.sqrt(1 / 12 / n)
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 5 / np.sqrt(n)
    z = draws.normal(draws.stream(1, "bell"), np.arange(n))
    assert abs(z.mean()) < 5 / np.sqrt(n)
    assert abs(z.std() - 1) < 5 / np.sqrt(2 * n)
    assert np.abs(z).max() <= 3.47


def test_stochastic_rounding_keeps_the_mean() -> None:
    n = 1_000_000
    whole = draws.stochastic_round(np.full(n, 2.3), draws.uniform(draws.stream(1, "round"), np.arange(n)))
    assert set(np.unique(whole)) == {2, 3}
    assert abs(whole.mean() - 2.3) < 5 * np.sqrt(0.3 * 0.7 / n)
