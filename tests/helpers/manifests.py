"""Manifests of lakes that other versions of the program wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aquamind_pipeline.simulation.profile import GENERATOR_VERSION

Values = dict[str, Any]


def older(values: Values) -> Values:
    """The manifest as the previous version wrote it: it did not say epoch and faults."""
    kept = {name: value for name, value in values.items() if name not in ("epoch", "faults")}
    return kept | {"version": GENERATOR_VERSION - 1, "identity": "0123456789abcdef"}


def newer(values: Values) -> Values:
    """The manifest as a later version may write it: fields that we do not know, and without two that we know."""
    kept = {name: value for name, value in values.items() if name not in ("as_of", "identity")}
    return kept | {"version": GENERATOR_VERSION + 1, "digest": {"farm": "x"}, "reaches": "2026-06-07"}


def rewrite(root: Path, change: Callable[[Values], Values]) -> None:
    """Change the manifest of a lake."""
    path = root / "manifest.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


__all__ = ["Values", "newer", "older", "rewrite"]
