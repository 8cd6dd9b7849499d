"""Stores keep the files of a lake: in a local folder, or below a prefix of an S3 bucket. They know no tables."""

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

    Every method raises LakeError, with a message of one line, when the store cannot be reached, read or written.
    """

    lock_name: str
    """Name of the file that `hold` makes."""

    def location(self, name: str = "") -> str:
        """Path or URL of a file, or of the whole store, for messages."""

    def path(self, name: str) -> Path:
        """Path of the file on this machine. Raises LakeError when the store is elsewhere."""

    def exists(self) -> bool:
        """Whether the store holds any file."""

    def is_empty(self) -> bool:
        """Whether the store holds nothing but its lock and the temporary files of killed writers."""

    def has(self, name: str) -> bool:
        """Whether the file exists."""

    def names(self) -> list[str]:
        """Names of all files, in any order. Hidden files (the lock, temporary ones) may be among them."""

    def partitions(self, folder: str) -> list[str]:
        """Names of a folder's Parquet files without `.parquet`, in any order."""

    def last_bytes(self, names: Sequence[str], count: int) -> list[bytes | None]:
        """The last bytes of each file; all bytes of a shorter file; None for a file that does not exist."""

    def read(self, name: str) -> bytes | None:
        """Content of a small file; None when it does not exist."""

    def put(self, name: str, content: bytes) -> None:
        """Write a small file."""

    def write(self, name: str, fill: Callable[[Path | IO[bytes]], None]) -> tuple[int, str]:
        """Write a file; `fill` makes its content. Returns its size in bytes and its SHA-256."""

    def scan(self, names: Sequence[str]) -> pl.LazyFrame:
        """Parquet files, lazily."""

    def digest(self, name: str) -> str:
        """SHA-256 of a file."""

    def remove(self, name: str) -> None:
        """Delete a file if it exists."""

    def truncate(self, name: str, keep: float) -> None:
        """Keep only this share (0 to 1) of a file's bytes."""

    def delete(self, names: Sequence[str]) -> None:
        """Delete these files and top folders in this order, then the lock, then the store itself if it is empty."""

    def hold(self, owner: str) -> contextlib.AbstractContextManager[None]:
        """Lock the store during the block. Others with the same owner may hold it at the same time.

        Raises LakeBusyError when another owner holds it.
        """


def parse_location(text: str | Path) -> str | Path:
    """Parse the value of AQUAMIND_LAKE: an S3 URL stays text, anything else becomes the path of a folder.

    Raises:
        ConfigError: for a URL that cannot be used. The message does not repeat the URL, which may hold a secret.
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
    prefix = url.path.strip("/")
    if {"", ".", ".."}.intersection(prefix.split("/")) or "\\" in prefix:
        raise ConfigError("AQUAMIND_LAKE: a prefix in a bucket has no `//`, `/./`, `/../` and no backslash")
    return f"{_S3}://{url.netloc}/{prefix}"


def open_store(location: str | Path) -> Store:
    """The store in a folder or at an S3 URL. Reads and writes nothing."""
    location = parse_location(location)
    if isinstance(location, Path):
        return Folder(location)
    from aquamind_pipeline.lake.stores.bucket import Bucket  # importing obstore is slow, and no folder needs it

    return Bucket(location)


__all__ = ["Store", "open_store", "parse_location"]
