"""The profiles of the library, one TOML file each, and the reader of profiles."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import date
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.mistakes import explained, no_such, told

if TYPE_CHECKING:
    from aquamind_pipeline.simulation.profile import Profile

COUNTED_BATCHES = ("batches", "completed")
"""Names of counts that a profile's bands may have, beside the names of AquaMind's tables."""
_INTERNAL = ("name", "default_as_of")
"""Keys that no profile file has."""
_WORDS = {"bands": "write a table of [smallest, largest], as batches = [6, 6]"}


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
    faults: Sequence[str] | None = None,
) -> Profile:
    """Read a profile.

    Args:
        name: Name of a profile of the library, or path of a TOML file.
        seed: Replaces the profile's seed.
        epoch: Replaces the profile's epoch.
        as_of: Replaces the profile's as_of.
        faults: Replaces the profile's faults, unless empty.

    Raises:
        ConfigError: for an unknown name, a file that is no TOML, or an invalid key or value.
    """
    from pydantic import ValidationError  # slow to import, and the names alone are asked for, too

    from aquamind_pipeline.quality.faults import fault_mistakes
    from aquamind_pipeline.simulation.profile import Profile

    path = Path(name) if name.endswith(".toml") else resources.files("aquamind_pipeline.profiles") / f"{name}.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
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
    values |= {"name": stem, "default_as_of": values.get("as_of")}
    overrides = {"seed": seed, "epoch": epoch, "as_of": as_of, "faults": faults or None}
    values |= {key: value for key, value in overrides.items() if value is not None}
    mistakes = []
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


def _unknown_bands(bands: object) -> list[str]:
    """What is wrong with the names of a profile's bands."""
    from aquamind_pipeline.apps import REGISTRY  # tables import the profile's class

    known = (*COUNTED_BATCHES, *REGISTRY.aquamind)
    otherwise = f"use {' or '.join(COUNTED_BATCHES)}, or the name of a table, such as {known[-1]}"
    names = bands if isinstance(bands, dict) else {}
    return [f"bands: {no_such('count', name, known, otherwise)}" for name in names if name not in known]


__all__ = ["COUNTED_BATCHES", "load_profile", "profile_names"]
