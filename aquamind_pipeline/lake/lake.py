"""The Parquet lake: one folder per table, one file per month (or one `all.parquet`), and a manifest.

The lake lies in a local folder or in an S3 bucket (`lake.stores`). Readers see the old file or the new one, never half
of one. The layout does not depend on the machine: the generator sorts rows, and row groups have a fixed size.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import secrets
import socket
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import polars as pl

from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.lake.manifest import Manifest
from aquamind_pipeline.lake.stores import open_store, parse_location
from aquamind_pipeline.mistakes import nearest
from aquamind_pipeline.simulation.profile import GENERATOR_VERSION, Profile

ROW_GROUP_ROWS = 131_072
LABELS = "fault"
"""Folder of the lake that lists the rows which faults changed, by table and month like the tables themselves."""
PARTS = "parts"
"""Folder of the lake for slices of a month (some batches), until all slices of the month are made."""
_WHOLE = "all"
_SUFFIX = ".parquet"
_PARTITION = re.compile(r"\d{4}-\d{2}(\.\d+)?")
"""A month, or a slice of one in `PARTS`. Other files beside a table's, such as copies, are not read."""
_TABLE_FILE = re.compile(rf"({_WHOLE}|\d{{4}}-\d{{2}}){re.escape(_SUFFIX)}")
_MANIFEST = "manifest.json"
_MAGIC = b"PAR1"
"""The first and the last bytes of every whole Parquet file."""


@dataclass(frozen=True)
class Written:
    """Rows and bytes of one file of the lake, and the seconds that writing it took. `digest` is the file's SHA-256."""

    table: str
    partition: str | None
    rows: int
    bytes: int
    seconds: float
    digest: str


class Lake:
    """The lake at `root`, a folder or `s3://bucket/prefix`. Making the object reads and writes nothing.

    Attributes:
        root: Folder or URL of the lake.
        owner: Name under which this object locks the lake. All processes of one run have the same owner.
    """

    def __init__(self, root: Path | str, owner: str | None = None) -> None:
        self.root = root
        self.owner = owner or f"process {os.getpid()} on {socket.gethostname()} ({secrets.token_hex(2)})"
        self._store = open_store(root)
        self._lock_depth = 0

    def path(self, table: str, partition: str | None = None) -> Path:
        """Path of the file of a table or month, whether or not it exists.

        Raises:
            LakeError: when the lake is not in a folder.
        """
        return self._store.path(_file(table, partition))

    @property
    def folder(self) -> Path:
        """The lake's folder.

        Raises:
            LakeError: when the lake is not in a folder.
        """
        return self._store.path("")

    def exists(self) -> bool:
        """Whether `root` holds any file."""
        return self._store.exists()

    def tables(self) -> list[str]:
        """Names of the tables that have a file, in order. Only for a lake in a folder."""
        return sorted({path.parent.name for path in self.folder.glob("*/*.parquet")})

    def size(self, table: str) -> int:
        """Bytes of a table's files. Only for a lake in a folder."""
        return sum(path.stat().st_size for path in (self.folder / table).glob("*.parquet"))

    def partitions(self, table: str) -> list[str]:
        """Months (as 2026-01) that a table has, in order."""
        return sorted(filter(_PARTITION.fullmatch, self._store.partitions(table)))

    def has(self, table: str, partition: str | None = None) -> bool:
        """Whether the file exists."""
        return self._store.has(_file(table, partition))

    def scan(self, table: str, partitions: Sequence[str] | None = None) -> pl.LazyFrame:
        """A table, or some months of it, lazily.

        Raises:
            LakeError: when a file is missing or truncated; the message says how to mend it.
        """
        if partitions is not None:
            names = [_file(table, partition) for partition in partitions]
        elif self.has(table):
            names = [_file(table, None)]
        else:
            names = [_file(table, partition) for partition in self.partitions(table)]
        if not names:
            from aquamind_pipeline.apps import REGISTRY  # only for the message

            near = [] if table in REGISTRY else nearest(table, REGISTRY)
            meant = f"; did you mean {' or '.join(near)}?" if near else ": materialise it first (aquamind build)"
            raise LakeError(f"the lake {self.root} has no {table}{meant}")
        self._require_whole(names)
        return self._store.scan(names)

    def read(self, table: str, partition: str | None = None) -> pl.DataFrame:
        """A table or one month of it, in memory."""
        return self.scan(table, [partition] if partition else None).collect()

    def write(self, table: str, frame: pl.DataFrame, partition: str | None = None) -> Written:
        """Write a table or a month atomically.

        Raises:
            LakeError: when the file cannot be written, for example on a full disk. The old file is kept.
        """
        started = time.perf_counter()
        fill = _fill_quickly if table.startswith(f"{PARTS}/") else _fill
        size, digest = self._store.write(_file(table, partition), lambda target: fill(target, frame))
        return Written(table, partition, frame.height, size, time.perf_counter() - started, digest)

    def digest(self, table: str, partition: str | None = None) -> str:
        """SHA-256 of a file. Equal rows give equal bytes, and so equal digests."""
        name = _file(table, partition)
        self._require_whole([name])
        return self._store.digest(name)

    def digest_of(self, frame: pl.DataFrame) -> str:
        """SHA-256 of the file that `write` would make of these rows."""
        file = io.BytesIO()
        _fill(file, frame)
        return hashlib.sha256(file.getbuffer()).hexdigest()

    def rows(self, table: str, partition: str | None = None) -> int:
        """Rows of a file, from its footer."""
        return int(self.scan(table, [partition] if partition else None).select(pl.len()).collect().item())

    def remove(self, table: str, partition: str | None = None) -> None:
        """Delete a file if it exists."""
        self._store.remove(_file(table, partition))

    def damage(self, table: str, partition: str | None, *, keep: float) -> None:
        """Damage a file on purpose: keep only this share (0 to 1) of its bytes; 0 deletes it."""
        name = _file(table, partition)
        if keep == 0:
            self._store.remove(name)
        else:
            self._store.truncate(name, keep)

    def delete(self, names: Collection[str]) -> bool:
        """Delete the tables `names`, `LABELS`, `PARTS` and the manifest, then the folder if it is empty.

        A lake of another version may have tables that this version does not know: all folders that look like tables
        are deleted then.

        Returns:
            False when there is no lake.

        Raises:
            LakeBusyError: when another owner builds the lake.
            LakeError: when `root` holds something else than a lake, or cannot be deleted.
        """
        if not self.exists():
            return False
        with self.exclusive():
            found = self.manifest()
            other_version = found is not None and found.version != GENERATOR_VERSION
            chosen = sorted({*names, *(self._table_folders() if other_version else ())})
            # The manifest goes last: if this is killed before its end, the rest is still recognised as a lake.
            self._store.delete([*chosen, LABELS, PARTS, _MANIFEST])
        return True

    def _table_folders(self) -> set[str]:
        """Top folders in which every file (except hidden ones) is named like a file of a table."""
        folders: dict[str, list[str]] = {}
        for name in self._store.names():
            folder, _, file = name.partition("/")
            if file and not file.startswith("."):
                folders.setdefault(folder, []).append(file)
        return {folder for folder, files in folders.items() if all(map(_TABLE_FILE.fullmatch, files))}

    def manifest(self) -> Manifest | None:
        """The lake's manifest; None for a new lake.

        Raises:
            LakeError: when the file is damaged.
        """
        content = self._store.read(_MANIFEST)
        if content is None:
            return None
        try:
            return Manifest.parse(content)
        except ValueError as error:
            raise LakeError(
                f"{self._store.location(_MANIFEST)} cannot be read ({error}): delete the lake and build again"
            ) from None

    def claim(self, farm: Profile) -> Manifest:
        """Write this farm's manifest into a new lake, or change the `as_of` of a lake that already holds this farm.

        Raises:
            LakeError: when the lake holds another farm, or was built by another version.
        """
        self.require(farm, must_exist=False)
        wanted = Manifest.of(farm)
        self._store.put(_MANIFEST, wanted.as_json())
        return wanted

    def require(self, farm: Profile, *, must_exist: bool = True, any_version: bool = False) -> None:
        """Check that the lake holds this farm, up to any `as_of`.

        Args:
            farm: The farm.
            must_exist: Whether a lake must exist.
            any_version: Whether another version of this program may have built the lake, so that it can be deleted.

        Raises:
            LakeError: when the lake holds another farm, or was built by another version, or does not exist.
        """
        self._require_ours()
        found, wanted = self.manifest(), Manifest.of(farm)
        if found is None:
            if must_exist:
                raise LakeError(f"there is no lake in {self.root}: run `aquamind build` (in Dagster, build_farm) first")
        elif not found.is_same_farm(wanted):
            raise LakeError(
                f"the lake {self.root} holds {found.farm}, but {wanted.farm} was asked for: "
                "set AQUAMIND_LAKE to another folder, or delete this one"
            )
        elif found.version != wanted.version and not any_version:
            raise LakeError(
                f"the lake {self.root} was built by generator version {found.version}, but this program has version "
                f"{wanted.version}: run `aquamind wipe` and build again, or set AQUAMIND_LAKE to another folder"
            )

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock the lake for writing during the block. Blocks of one object may nest.

        Other processes of the same owner may lock the lake at the same time.

        Raises:
            LakeBusyError: when another owner holds the lock.
            LakeError: when `root` holds something else than a lake.
        """
        if not self._lock_depth:
            self._require_ours()
        with contextlib.nullcontext() if self._lock_depth else self._store.hold(self.owner):
            self._lock_depth += 1
            try:
                yield
            finally:
                self._lock_depth -= 1

    def _require_ours(self) -> None:
        """Raise LakeError when `root` holds files but no lake: building and wiping would mix with these files."""
        # The manifest is looked for last: a new lake gets it first, perhaps between the two questions.
        if not self._store.is_empty() and not self._store.has(_MANIFEST):
            raise LakeError(
                f"{self.root} is no lake of ours and not empty: set AQUAMIND_LAKE to a place where nothing else is"
            )

    def _require_whole(self, names: Sequence[str]) -> None:
        """Raise LakeError unless the files end as Parquet files do."""
        for name, tail in zip(names, self._store.last_bytes(names, len(_MAGIC)), strict=True):
            if tail == _MAGIC:
                continue
            folder, _, file = name.rpartition("/")
            part = f"{folder.rpartition('/')[2]} {file.removesuffix(_SUFFIX)}"
            location = self._store.location(name)
            if tail is None:
                raise LakeError(f"{location} is missing: materialise {part} (aquamind build)")
            raise LakeError(
                f"{location} is damaged (not a whole Parquet file): delete it and materialise {part} again "
                "(aquamind build)"
            )


def open_lake(location: str | Path) -> Lake:
    """Open a lake to read it: a folder, or `s3://bucket/prefix`.

    Raises:
        LakeError: when there is no lake.
        ConfigError: for a URL that cannot be used.
    """
    lake = Lake(parse_location(location))
    if lake.manifest() is None:
        raise LakeError(f"there is no lake in {lake.root}: run `aquamind build`, or give the folder of a lake")
    return lake


def _fill(target: Path | IO[bytes], frame: pl.DataFrame) -> None:
    """Write rows in the format of every file of the lake: the same rows give the same bytes."""
    frame.write_parquet(target, compression="zstd", compression_level=3, statistics=True, row_group_size=ROW_GROUP_ROWS)


def _fill_quickly(target: Path | IO[bytes], frame: pl.DataFrame) -> None:
    """Write a part of a month, which is read once and deleted. lz4 takes less time than zstd."""
    frame.write_parquet(target, compression="lz4", statistics=False)


def _file(table: str, partition: str | None) -> str:
    return f"{table}/{partition or _WHOLE}{_SUFFIX}"


__all__ = ["LABELS", "PARTS", "ROW_GROUP_ROWS", "Lake", "Written", "open_lake"]
