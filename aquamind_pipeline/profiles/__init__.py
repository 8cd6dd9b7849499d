"""The profiles of the library, one TOML file each, and the reader of profiles."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import date, timedelta
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.mistakes import explained, no_such, told

if TYPE_CHECKING:
    from aquamind_pipeline.simulation.profile import Profile

COUNTED_BATCHES = ("batches", "completed")
"""Names of counts that a profile's bands may have, beside the names of AquaMind's tables."""
TODAY = "today"
"""What a profile, or a user, writes for a last day that is the day of the build."""
_INTERNAL = ("name", "default_as_of", "is_anchored")
"""Keys that no profile file has."""
_WORDS = {
    "bands": "write a table of [smallest, largest], as batches = [6, 6]",
    "as_of": "write a day, as 2026-06-30, or 'today'",
}


def profile_names() -> list[str]:
    """Names of the profiles of the library."""
    files = resources.files("aquamind_pipeline.profiles").iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def load_profile(
    name: str,
    *,
    seed: int | None = None,
    epoch: date | None = None,
    as_of: date | None = None,
    anchor: date | None = None,
    faults: Sequence[str] | None = None,
) -> Profile:
    """Read a profile.

    Args:
        name: Name of a profile of the library, or path of a TOML file.
        seed: Replaces the profile's seed.
        epoch: Replaces the profile's epoch.
        as_of: Replaces the profile's as_of.
        anchor: The day to which the farm is anchored, for a profile whose as_of is `today`. Its as_of, too, unless
            another one is given.
        faults: Replaces the profile's faults, unless empty.

    Raises:
        ConfigError: for an unknown name, a file that is no TOML, an invalid key or value, a missing anchor, or one that
            does not belong to the profile.
    """
    from pydantic import ValidationError  # slow to import, and the names alone are asked for, too

    from aquamind_pipeline.quality.faults import fault_mistakes
    from aquamind_pipeline.simulation.profile import Profile

    try:
        values = _read(name)
    except FileNotFoundError:
        otherwise = f"there are {', '.join(profile_names())}, or give the path of a .toml file"
        raise ConfigError(
            told([no_such("profile", name, profile_names(), otherwise), *fault_mistakes(faults or ())])
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"profile {name!r} cannot be read: {error}") from None
    stem = Path(name).stem
    if stem.startswith(".") or not stem.isprintable():  # a folder and a database are named after it
        raise ConfigError(
            f"profile {name!r}: the name of its file must be printable and not begin with a dot: rename it"
        )
    mistakes = _anchored(values, anchor) if values.get("as_of") == TODAY else _unanchored(values, anchor)
    if mistakes:
        raise ConfigError(told(mistakes, f"profile {name!r}"))
    values |= {"name": stem, "default_as_of": values.get("as_of")}
    overrides = {"seed": seed, "epoch": epoch, "as_of": as_of, "faults": faults or None}
    values |= {key: value for key, value in overrides.items() if value is not None}
    farm = None
    try:
        farm = Profile.model_validate(values)
    except ValidationError as error:
        keys = [key for key in Profile.model_fields if key not in _INTERNAL]
        mistakes = explained(error, keys, otherwise=f"there are {', '.join(keys)}", words=_WORDS)
    mistakes += _unknown_bands(values.get("bands"))
    given = values.get("faults")
    mistakes += fault_mistakes([text for text in given if isinstance(text, str)] if isinstance(given, Sequence) else [])
    if farm is None or mistakes:
        raise ConfigError(told(mistakes, f"profile {name!r}"))
    return farm


def _anchored(values: dict[str, Any], anchor: date | None) -> list[str]:
    """Put an anchor into the keys of a profile whose as_of is `today`. Returns what is wrong with them."""
    if anchor is None:
        return [f"its as_of is {TODAY!r}, so its farm is anchored to a day: give that day as anchor"]
    values |= {"as_of": anchor, "is_anchored": True}
    if "history_days" not in values:
        return []
    if "epoch" in values:
        return ["history_days: this profile has an epoch, too; leave one of them out"]
    days = values["history_days"]
    if isinstance(days, int) and 0 < days < anchor.toordinal():  # else the profile's class says what is wrong
        values["epoch"] = anchor - timedelta(days=days)
    return []


def _unanchored(values: dict[str, Any], anchor: date | None) -> list[str]:
    """What is wrong with the anchor of a profile that has a last day of its own."""
    if anchor is not None:
        return [f"it has a last day of its own and no anchor; leave anchor {anchor} out, or give as_of"]
    if "history_days" in values:
        return [f"history_days: counts back from an anchor; write as_of = {TODAY!r}, or leave it out and give epoch"]
    return []


def _unknown_bands(bands: object) -> list[str]:
    """What is wrong with the names of a profile's bands."""
    from aquamind_pipeline.apps import REGISTRY  # tables import the profile's class

    known = (*COUNTED_BATCHES, *REGISTRY.aquamind)
    otherwise = f"use {' or '.join(COUNTED_BATCHES)}, or the name of a table, such as {known[-1]}"
    names = bands if isinstance(bands, dict) else {}
    return [f"bands: {no_such('count', name, known, otherwise)}" for name in names if name not in known]


def is_anchored(name: str) -> bool:
    """Whether the farms of a profile are anchored to a day: its as_of is `today`. False for a file that is no profile.

    Args:
        name: Name of a profile of the library, or path of a TOML file.
    """
    try:
        return _read(name).get("as_of") == TODAY
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False


def _read(name: str) -> dict[str, Any]:
    path = Path(name) if name.endswith(".toml") else resources.files("aquamind_pipeline.profiles") / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


__all__ = ["COUNTED_BATCHES", "TODAY", "is_anchored", "load_profile", "profile_names"]
