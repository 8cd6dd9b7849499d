"""Invariant I1: the same farm has the same bytes, whatever is made first, and in any process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import polars as pl
from hypothesis import given, seed, settings

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.simulation.profile import Profile
from tests.contract.digests import digests
from tests.contract.drawn import SEED, small_farms
from tests.helpers.places import ROOT


def in_another_process(farm: Profile, order: int) -> dict[str, str]:
    """The digests from a process with one thread, or two if this one has one, and other hashes of text."""
    threads = "1" if pl.thread_pool_size() > 1 else "2"
    done = subprocess.run(
        [sys.executable, "-m", "tests.contract.digests", farm.model_dump_json(), str(order)],
        cwd=ROOT,
        env=os.environ | {"POLARS_MAX_THREADS": threads, "PYTHONHASHSEED": str(order)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@settings(max_examples=2)
@seed(SEED)
@given(small_farms())
def test_the_same_bytes_in_any_order_and_process(farm: Profile) -> None:
    here = digests(farm, 1)
    assert {path.partition("/")[0] for path in here} == set(REGISTRY)
    assert digests(farm, 2) == here
    assert in_another_process(farm, 3) == here
