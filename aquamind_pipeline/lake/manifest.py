"""The manifest says which farm a lake holds, and which version of the generator made it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date

from pydantic import TypeAdapter, ValidationError

from aquamind_pipeline.mistakes import explained, told
from aquamind_pipeline.simulation.profile import GENERATOR_VERSION, Profile

_VERSION = ", generator version "
_ANCHORED = re.compile(r", anchored to (\d{4}-\d\d-\d\d), generator version ")


@dataclass(frozen=True)
class Manifest:
    """Which farm a lake holds, and how far it reaches.

    Attributes:
        profile: Name of the profile.
        seed: Seed of the farm.
        version: `GENERATOR_VERSION` of the program that made the lake.
        identity: Hash of everything that decides the rows: `Profile.identity`. It covers the version too, so the
            identities of two versions always differ. Empty if a manifest of another version has none.
        as_of: Last day that has data; `date.min` if a manifest of another version has none.
        epoch: First day of the farm; None in manifests that do not say it.
        faults: Faults that were put into the tables; None in manifests that do not say it.
        anchor: Day to which the farm is anchored; None if its profile has a last day of its own.
    """

    profile: str
    seed: int
    version: int
    identity: str
    as_of: date
    epoch: date | None = None
    faults: tuple[str, ...] | None = None
    anchor: date | None = None

    @classmethod
    def of(cls, farm: Profile) -> Manifest:
        """The manifest that this version writes for a farm."""
        anchor = farm.default_as_of if farm.is_anchored else None
        return cls(farm.name, farm.seed, GENERATOR_VERSION, farm.identity, farm.as_of, farm.epoch, farm.faults, anchor)

    @classmethod
    def parse(cls, content: bytes) -> Manifest:
        """Read a manifest. Of another version, profile, seed and version are enough, and unknown fields are ignored.

        Raises:
            ValueError: in one line, when the content is no manifest.
        """
        values = json.loads(content)
        if not isinstance(values, dict):
            raise ValueError("it is not a JSON object")
        if values.get("version") != GENERATOR_VERSION:
            values = {"identity": "", "as_of": date.min} | values
        try:
            return _ADAPTER.validate_python(values)
        except ValidationError as error:
            raise ValueError(told(explained(error, cls.__dataclass_fields__, otherwise="leave it out"))) from None

    def as_json(self) -> bytes:
        """Content that `parse` reads."""
        return _ADAPTER.dump_json(self, indent=2) + b"\n"

    @property
    def farm(self) -> str:
        """The farm in words."""
        anchored = f", anchored to {self.anchor}" if self.anchor else ""
        return f"profile {self.profile}, seed {self.seed}{anchored}{_VERSION}{self.version} ({self.identity})"

    def is_same_farm(self, other: Manifest) -> bool:
        """Whether both are the same farm, whatever their versions.

        Manifests of one version are compared by identity; others by profile, seed, and where both say it, epoch,
        faults and anchor. These are what a user can set, and every version has them.
        """
        if self.version == other.version:
            return self.identity == other.identity
        return (self.profile, self.seed) == (other.profile, other.seed) and all(
            mine is None or theirs is None or mine == theirs
            for mine, theirs in ((self.epoch, other.epoch), (self.faults, other.faults), (self.anchor, other.anchor))
        )

    def is_of(self, farm: str, identity: str) -> bool:
        """Whether this is the same farm as one that is known by its words (`farm`) and identity only.

        Identities decide within one version. Farms of two versions are the same if profile, seed and anchor are.
        """
        mine, _, my_version = self.farm.partition(_VERSION)
        theirs, _, their_version = farm.partition(_VERSION)
        other_version = my_version.partition(" ")[0] != their_version.partition(" ")[0]
        return identity == self.identity or (mine == theirs and other_version)


def anchor_in(farm: str) -> date | None:
    """The anchor that the words of a farm (`Manifest.farm`) name."""
    found = _ANCHORED.search(farm)
    return date.fromisoformat(found[1]) if found else None


_ADAPTER = TypeAdapter(Manifest)

__all__ = ["Manifest", "anchor_in"]
