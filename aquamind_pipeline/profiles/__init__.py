"""The profiles of the library, one TOML file each, and the reader of profiles."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import date
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from aquamind_pipeline.errors import ConfigError

if TYPE_CHECKING:
    from aquamind_pipeline.simulation.profile import Profile

COUNTED_BATCHES = ("batches", "completed")
"""Names of counts that a profile's bands may have, beside the names of AquaMind's tables."""
_MEND = {
    "extra_forbidden": "there is no such key; leave it out, or correct its name (docs/volumes.md has the keys)",
    "missing": "this has no value; add it (docs/volumes.md says what it means)",
    "tuple_type": "write a list, such as [1, 2]",
}
"""What to write, by the kind of a mistake, where pydantic's words say only what is wrong."""


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

    from aquamind_pipeline.simulation.profile import Profile

    path = Path(name) if name.endswith(".toml") else resources.files("aquamind_pipeline.profiles") / f"{name}.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = ", ".join(profile_names())
        raise ConfigError(
            f"there is no profile {name!r}; there are {names}, or give the path of a .toml file"
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
    _require_known_bands(name, values.get("bands", {}))
    try:
        return Profile.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "values"
        what = _MEND.get(first["type"]) or first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"profile {name!r}: {where}: {what}") from None


def _require_known_bands(profile: str, bands: object) -> None:
    from aquamind_pipeline.apps import REGISTRY  # tables import the profile's class

    names = bands if isinstance(bands, dict) else {}
    for name in names:
        if name not in (*COUNTED_BATCHES, *REGISTRY.aquamind):
            raise ConfigError(
                f"profile {profile!r}: bands.{name}: there is no such count; use the name of a table, or one of "
                f"{', '.join(COUNTED_BATCHES)}"
            )


__all__ = ["COUNTED_BATCHES", "load_profile", "profile_names"]
