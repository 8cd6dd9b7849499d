"""Golden digests: what a version of the generator makes, byte for byte. They are bound to the version."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

RENEW = bool(os.environ.get("WRITE_GOLDEN"))
"""Whether golden files are written anew."""


def hold(path: Path, version: int, found: Mapping[str, str], *, renew: bool = RENEW) -> None:
    """Compare digests with those of a golden file, or renew the file.

    A version of the generator never changes a file that it made. It may make tables that it did not make before.

    Args:
        path: The golden file.
        version: GENERATOR_VERSION of the program.
        found: Digest of each file, by `table/month`.
        renew: Whether to write the file where that is allowed.

    Raises:
        AssertionError: when digests differ; it says what to do.
    """
    golden = json.loads(path.read_text("utf-8"))
    kept: dict[str, str] = golden["digests"]
    assert version >= golden["version"], (
        f"{path.name} is of version {golden['version']}: raise GENERATOR_VERSION in "
        f"aquamind_pipeline/simulation/profile.py, which is {version}, to at least that"
    )
    tables = {file.partition("/")[0] for file in kept}
    new = {file for file in found if file.partition("/")[0] not in tables}
    changed = sorted(file for file in (kept.keys() | found.keys()) - new if kept.get(file) != found.get(file))
    assert not changed or version > golden["version"], (
        f"{len(changed)} files are no longer what version {version} of the generator made: {', '.join(changed[:5])}. "
        "If that is wanted, raise GENERATOR_VERSION in aquamind_pipeline/simulation/profile.py, then run `make renew`. "
        f"If it is a new table that is not committed, restore {path.name} by `git checkout`, then run `make renew`"
    )
    if renew:
        path.write_text(json.dumps({"version": version, "digests": dict(sorted(found.items()))}, indent=1) + "\n")
        return
    assert (golden["version"], kept) == (version, dict(found)), (
        f"{path.name} is of version {golden['version']} and lacks {', '.join(sorted(new)[:5]) or 'what changed'}: "
        "run `make renew`"
    )


def stale(path: Path) -> str:
    """What to do about a generated file that is not what the definitions say."""
    return f"{path.name} is not what the definitions say: run `make renew`, and read the difference in git"


__all__ = ["RENEW", "hold", "stale"]
