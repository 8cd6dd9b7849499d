"""Checks that the disks have room for a farm before anything is written."""

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
class DiskSpace:
    """The free space of one disk, and how much of it a build needs.

    Attributes:
        content: What is written there, such as "the lake".
        folder: Where it is written.
        needed: Bytes that the build adds, excluding files that exist already.
        free: Free bytes of the disk.
    """

    content: str
    folder: Path
    needed: int
    free: int

    @property
    def description(self) -> str:
        """The same in words."""
        there, needed = size(self.free), size(self.needed)
        return f"the disk of {self.folder} has {there} free; {self.content} will take about {needed} more"

    @property
    def is_enough(self) -> bool:
        """Whether the disk has as much free space as is needed."""
        return self.needed <= self.free


def disk_spaces(settings: Settings, farm: Profile, *, lake: bool = True, database: bool = True) -> list[DiskSpace]:
    """Every disk that a farm is written to. A bucket, or a server that is not ours, cannot be asked.

    Args:
        settings: Say where the lake and the embedded server are.
        farm: The farm to build.
        lake: Whether the lake is written.
        database: Whether the database is loaded.

    Raises:
        LakeError: when a folder cannot be read.
    """
    try:
        return _disk_spaces(settings, farm, lake=lake, database=database)
    except PermissionError as error:
        raise LakeError(
            f"{error.filename} cannot be read ({error.strerror}): check AQUAMIND_HOME and AQUAMIND_LAKE"
        ) from None


def _disk_spaces(settings: Settings, farm: Profile, *, lake: bool, database: bool) -> list[DiskSpace]:
    estimate = preview(farm)
    parts: list[tuple[str, Path, int]] = []
    if lake and isinstance(settings.lake_path, Path):
        existing = Lake(settings.lake_path)
        size_now = sum(existing.size(table) for table in existing.tables())
        parts.append(("the lake", settings.lake_path, max(0, estimate.lake_bytes - size_now)))
    if database and settings.database_url is None:
        server = EmbeddedServer(settings.home)
        size_now = server.held(settings.database_name)
        parts.append(("the embedded PostgreSQL", server.folder, max(0, estimate.server_bytes - size_now)))
    by_disk: dict[int, list[tuple[str, Path, int]]] = {}
    for part in parts:
        by_disk.setdefault(_nearest_existing(part[1]).stat().st_dev, []).append(part)
    return [
        DiskSpace(
            content=" and ".join(content for content, _, _ in shared),
            folder=shared[0][1],
            needed=sum(needed for _, _, needed in shared),
            free=shutil.disk_usage(_nearest_existing(shared[0][1])).free,
        )
        for shared in by_disk.values()
    ]


def require(spaces: Iterable[DiskSpace]) -> None:
    """Refuse to build where a disk is too small.

    Raises:
        LakeError: when a disk has less free space than is needed.
    """
    for space in spaces:
        if not space.is_enough:
            raise LakeError(
                f"too little disk space: {space.description}. Free some, set AQUAMIND_HOME to a larger disk, or take a "
                "smaller profile"
            )


def size(count: int) -> str:
    """A number of bytes in words, such as "1.4 GB"."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def _nearest_existing(path: Path) -> Path:
    """The folder itself or, if it does not exist yet, the nearest folder above that exists."""
    return next(p for p in (path, *path.parents) if p.exists())


__all__ = ["DiskSpace", "disk_spaces", "require", "size"]
