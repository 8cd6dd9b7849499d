"""Arithmetic that is the same on every machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aquamind_pipeline.arithmetic import cube_root


@given(st.floats(0, 1e12))
def test_cube_root(x: float) -> None:
    root = float(cube_root(x))
    assert root**3 == pytest.approx(x, rel=1e-14, abs=1e-300)
