"""Whether the disk has room for a farm: said before anything is written, not when half of it is there."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.pipeline.preview import preview
from aquamind_pipeline.postgres.server import EmbeddedServer
from aquamind_pipeline.settings import Settings
from aquamind_pipeline.simulation.profile import Profile


@dataclass(frozen=True)
class Room:
    """One file system. `needed` is what a build still adds to `what` in `where`; what is there already is not."""

    what: str
    where: Path
    needed: int
    free: int

    @property
    def said(self) -> str:
        """In words."""
        return f"the disk of {self.where} has {size(self.free)} free; {self.what}: about {size(self.needed)} more"


def rooms(settings: Settings, farm: Profile, *, lake: bool = True, database: bool = True) -> list[Room]:
    """The file systems that a farm is written to. A bucket, or a server that is not ours, we do not see.

    Raises:
        LakeError: when we may not look into a folder.
    """
    try:
        return _rooms(settings, farm, lake=lake, database=database)
    except PermissionError as error:
        raise LakeError(
            f"{error.filename} cannot be read ({error.strerror}): check AQUAMIND_HOME and AQUAMIND_LAKE"
        ) from None


def _rooms(settings: Settings, farm: Profile, *, lake: bool, database: bool) -> list[Room]:
    seen = preview(farm)
    parts: list[tuple[str, Path, int]] = []
    if lake and isinstance(settings.lake_path, Path):
        there = Lake(settings.lake_path)
        held = sum(there.size(table) for table in there.tables())
        parts.append(("the lake", settings.lake_path, max(0, seen.lake_bytes - held)))
    if database and settings.database_url is None:
        server = EmbeddedServer(settings.home)
        held = server.held(settings.database_name)
        parts.append(("the embedded PostgreSQL", server.folder, max(0, seen.server_bytes - held)))
    disks: dict[int, list[tuple[str, Path, int]]] = {}
    for part in parts:
        disks.setdefault(_existing(part[1]).stat().st_dev, []).append(part)
    return [
        Room(
            " and ".join(what for what, _, _ in shared),
            shared[0][1],
            sum(needed for _, _, needed in shared),
            shutil.disk_usage(_existing(shared[0][1])).free,
        )
        for shared in disks.values()
    ]


def require(found: Iterable[Room]) -> None:
    """Refuse to begin where there is too little.

    Raises:
        LakeError: when a file system has less free than is needed.
    """
    for room in found:
        if room.needed > room.free:
            raise LakeError(
                f"too little room: {room.said}. Free some, set AQUAMIND_HOME to a larger disk, or take a smaller "
                "profile"
            )


def size(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def _existing(path: Path) -> Path:
    """The folder itself or, before it is made, the nearest one above."""
    return next(p for p in (path, *path.parents) if p.exists())


__all__ = ["Room", "require", "rooms", "size"]
