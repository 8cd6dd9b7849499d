"""Where the files of a lake lie: a local folder, or a prefix of an S3 bucket. Knows names and bytes, not tables."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit

import polars as pl

from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.lake.stores.folder import Folder

_S3 = "s3"


class Store(Protocol):
    """Files by name, such as `table/2026-01.parquet`. A reader sees a whole file, the old one or the new one.

    Every method raises LakeError, in one line, when the place cannot be reached, read or written.
    """

    lock: str
    """Name of the file that `held` makes."""

    def where(self, name: str = "") -> str:
        """The full place of a file, or of everything, in words."""

    def path(self, name: str) -> Path:
        """The file on this machine. Raises LakeError when it is elsewhere."""

    def exists(self) -> bool:
        """Whether there is anything."""

    def bare(self) -> bool:
        """Whether there is nothing, but perhaps the lock and what a killed writer left."""

    def has(self, name: str) -> bool:
        """Whether the file exists."""

    def stems(self, folder: str) -> list[str]:
        """Names of a folder's Parquet files, without `.parquet`, in no order."""

    def tails(self, names: Sequence[str], size: int) -> list[bytes | None]:
        """The last bytes of each file, fewer if it is shorter; None where there is none."""

    def read(self, name: str) -> bytes | None:
        """A small file; None when there is none."""

    def put(self, name: str, content: bytes) -> None:
        """Write a small file."""

    def write(self, name: str, fill: Callable[[Path | IO[bytes]], None]) -> tuple[int, str]:
        """Write a file, which `fill` makes; returns its bytes and SHA-256."""

    def scan(self, names: Sequence[str]) -> pl.LazyFrame:
        """Parquet files, lazily."""

    def digest(self, name: str) -> str:
        """SHA-256 of a file."""

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""

    def cut(self, name: str, keep: float) -> None:
        """Leave this share of a file's bytes."""

    def delete(self, names: Sequence[str]) -> None:
        """Delete these files and folders at the top, in this order, then the lock, and the place if nothing is left."""

    def held(self, owner: str) -> contextlib.AbstractContextManager[None]:
        """Keep other owners out during the block; the same may come in. Raises LakeBusyError when another is in."""


def placed(text: str | Path) -> str | Path:
    """A place as it was given: an S3 URL stays one, anything else is a folder.

    Raises:
        ConfigError: for a URL that cannot be used. The message does not repeat it, since it may hold a secret.
    """
    if isinstance(text, Path) or "://" not in text:
        return Path(text)
    url = urlsplit(text)
    if url.scheme != _S3:
        raise ConfigError(f"AQUAMIND_LAKE is a folder or s3://bucket/prefix, not {url.scheme}://")
    if "@" in url.netloc or url.query or url.fragment:
        raise ConfigError("AQUAMIND_LAKE is only s3://bucket/prefix: credentials belong in the AWS_* variables")
    if not url.netloc or not url.path.strip("/"):
        raise ConfigError("AQUAMIND_LAKE needs a prefix of its own in the bucket: s3://bucket/prefix")
    return f"{_S3}://{url.netloc}/{url.path.strip('/')}"


def open_store(place: str | Path) -> Store:
    """The store at a folder or an S3 URL. Touches nothing."""
    place = placed(place)
    if isinstance(place, Path):
        return Folder(place)
    from aquamind_pipeline.lake.stores.bucket import Bucket  # obstore takes a moment to import, which no folder needs

    return Bucket(place)


__all__ = ["Store", "open_store", "placed"]
