"""Arithmetic that is the same on every machine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aquamind_pipeline.arithmetic import cube_root, rounded_cube_root, units


@given(st.floats(0, 1e12))
def test_cube_root(x: float) -> None:
    root = float(cube_root(x))
    assert root**3 == pytest.approx(x, rel=1e-14, abs=1e-300)


@given(st.lists(st.floats(0, 1e9)))
def test_rounded_cube_root(values: list[float]) -> None:
    x = np.array(values, np.float64)
    assert rounded_cube_root(x, 2).tolist() == units(cube_root(x), 2).tolist()


@pytest.mark.parametrize("error", [-0.6, 0.6])
def test_the_c_library_does_not_decide_how_a_cube_root_is_rounded(
    error: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.array([0.0, 0.4999, 8.0, 27.5, 1234.5678])
    expected = rounded_cube_root(x, 2).tolist()
    exact = np.cbrt
    monkeypatch.setattr(np, "cbrt", lambda cube: exact(cube) + error)
    assert rounded_cube_root(x, 2).tolist() == expected
