"""Prints the digest of every part of a farm's lake, made in the order that is asked for.

`python -m tests.contract.digests FARM ORDER` in another process, where FARM is a profile as JSON.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.pipeline.memory import MemoryTables
from aquamind_pipeline.simulation.profile import Profile


def digests(farm: Profile, order: int) -> dict[str, str]:
    """Digest of each file, as TABLE or TABLE/MONTH; the parts are written in an order drawn from `order`."""
    tables = MemoryTables(farm)
    parts = [(name, month) for name in REGISTRY for month in tables.partitions(name) or [None]]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        for name, month in random.Random(order).sample(parts, len(parts)):  # noqa: S311 - no secret
            rows = tables.scan(name, None if month is None else [month]).collect()
            found["/".join(filter(None, (name, month)))] = lake.write(name, rows, month).digest
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(digests(Profile.model_validate_json(sys.argv[1]), int(sys.argv[2]))))
