"""The Parquet lake: one folder per table, one file per month (or one `all.parquet`), and a manifest.

The lake lies in a local folder or in an S3 bucket (`storage`); readers see the old file or the new one, never half of
one. The layout does not depend on the machine: rows are sorted by the generator, row groups have a fixed size.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
import socket
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import IO

import polars as pl

from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.lake.stores import open_store
from aquamind_pipeline.simulation.profile import GENERATOR_VERSION, Profile

ROW_GROUP_ROWS = 131_072
LABELS = "fault"
"""Folder of the lake that says which rows were spoiled, by table and month like the tables themselves."""
PARTS = "parts"
"""Folder of the lake for months of some batches, until all are made."""
_WHOLE = "all"
_SUFFIX = ".parquet"
_MANIFEST = "manifest.json"
_MAGIC = b"PAR1"


@dataclass(frozen=True)
class Written:
    """What one file of the lake holds, and what writing it took. `digest` is the SHA-256 of the file."""

    table: str
    partition: str | None
    rows: int
    bytes: int
    seconds: float
    digest: str


@dataclass(frozen=True)
class Manifest:
    """Which farm a lake holds. `identity` covers all that decides rows; `as_of` is how far they reach."""

    profile: str
    seed: int
    version: int
    identity: str
    as_of: date

    @classmethod
    def of(cls, farm: Profile) -> Manifest:
        """The manifest that a lake of this farm has."""
        return cls(farm.name, farm.seed, GENERATOR_VERSION, farm.identity, farm.as_of)

    @property
    def farm(self) -> str:
        """The farm in words."""
        return f"profile {self.profile}, seed {self.seed}, generator version {self.version} ({self.identity})"

    def is_of(self, farm: str, identity: str) -> bool:
        """Whether a farm in words and its identity are this one, or, of another version, have its profile and seed:
        identities of two versions differ, whatever the farms.
        """
        one, other = (words.partition(", generator version ") for words in (self.farm, farm))
        another_version = one[2].partition(" ")[0] != other[2].partition(" ")[0]
        return identity == self.identity or (one[0] == other[0] and another_version)


class Lake:
    """The lake at `root`, a folder or `s3://bucket/prefix`. Making the object touches nothing.

    Attributes:
        root: Where it is.
        owner: In whose name this object holds it; several processes of one run have one owner.
    """

    def __init__(self, root: Path | str, owner: str | None = None) -> None:
        self.root = root
        self.owner = owner or f"process {os.getpid()} on {socket.gethostname()} ({secrets.token_hex(2)})"
        self._store = open_store(root)
        self._lock_depth = 0

    def path(self, table: str, partition: str | None = None) -> Path:
        """Where a table's (or month's) file is, whether or not it exists.

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
        """Whether there is anything where the lake should be."""
        return self._store.exists()

    def tables(self) -> list[str]:
        """Tables of a lake in a folder that have a file, in order."""
        return sorted({path.parent.name for path in self.folder.glob("*/*.parquet")})

    def size(self, table: str) -> int:
        """Bytes of a table's files, in a folder."""
        return sum(path.stat().st_size for path in (self.folder / table).glob("*.parquet"))

    def partitions(self, table: str) -> list[str]:
        """Months that a table has, in order."""
        return sorted(name for name in self._store.stems(table) if name != _WHOLE)

    def has(self, table: str, partition: str | None = None) -> bool:
        """Whether the file exists."""
        return self._store.has(_file(table, partition))

    def scan(self, table: str, partitions: Sequence[str] | None = None) -> pl.LazyFrame:
        """A table, or some months of it, lazily.

        Raises:
            LakeError: when a file is missing or truncated, with the way to mend it.
        """
        if partitions is not None:
            names = [_file(table, partition) for partition in partitions]
        elif self.has(table):
            names = [_file(table, None)]
        else:
            names = [_file(table, partition) for partition in self.partitions(table)]
        if not names:
            raise LakeError(f"the lake {self.root} has no {table}: materialise it first (aquamind build)")
        self._require_whole(names)
        return self._store.scan(names)

    def read(self, table: str, partition: str | None = None) -> pl.DataFrame:
        """A table or one month of it, in memory."""
        return self.scan(table, [partition] if partition else None).collect()

    def write(self, table: str, frame: pl.DataFrame, partition: str | None = None) -> Written:
        """Write a table or a month atomically.

        Raises:
            LakeError: when it cannot be written or the disk is full; the old file is still there.
        """
        started = time.perf_counter()
        size, digest = self._store.write(_file(table, partition), lambda target: _fill(target, frame))
        return Written(table, partition, frame.height, size, time.perf_counter() - started, digest)

    def digest(self, table: str, partition: str | None = None) -> str:
        """SHA-256 of a file: equal for equal content, since equal content gives equal bytes."""
        name = _file(table, partition)
        self._require_whole([name])
        return self._store.digest(name)

    def digest_of(self, frame: pl.DataFrame) -> str:
        """SHA-256 of the file that these rows would have."""
        file = io.BytesIO()
        _fill(file, frame)
        return hashlib.sha256(file.getbuffer()).hexdigest()

    def rows(self, table: str, partition: str | None = None) -> int:
        """Rows of a file, from its footer."""
        return int(self.scan(table, [partition] if partition else None).select(pl.len()).collect().item())

    def remove(self, table: str, partition: str | None = None) -> None:
        """Delete a file, if it is there."""
        self._store.remove(_file(table, partition))

    def damage(self, table: str, partition: str | None, *, keep: float) -> None:
        """Break a file on purpose: keep this share of its bytes, or delete it when that is 0."""
        name = _file(table, partition)
        if keep == 0:
            self._store.remove(name)
        else:
            self._store.cut(name, keep)

    def delete(self, names: Collection[str]) -> bool:
        """Delete these tables, `LABELS`, `PARTS` and manifest, unless somebody is building the lake, and its folder if
        nothing else is in there. False when there is no lake.

        Raises:
            LakeError: when the place holds no lake of ours, or cannot be deleted.
        """
        if not self.exists():
            return False
        with self.exclusive():
            self._store.delete([*names, LABELS, PARTS, _MANIFEST])  # killed before its end, it is a lake still
        return True

    def manifest(self) -> Manifest | None:
        """What the lake says it holds; None for a new lake."""
        content = self._store.read(_MANIFEST)
        if content is None:
            return None
        try:
            values = json.loads(content)
            return Manifest(**(values | {"as_of": date.fromisoformat(values["as_of"])}))
        except (ValueError, KeyError, TypeError) as error:
            where = self._store.where(_MANIFEST)
            raise LakeError(
                f"{where} cannot be read ({error}): delete the lake, if it is one of ours, and build it again"
            ) from None

    def claim(self, farm: Profile) -> Manifest:
        """Write this farm's manifest into a new lake, or check that the lake is this farm's and move its `as_of`.

        Raises:
            LakeError: when the lake holds another farm.
        """
        self.require(farm, must_exist=False)
        wanted = Manifest.of(farm)
        content = json.dumps(asdict(wanted) | {"as_of": wanted.as_of.isoformat()}, indent=2) + "\n"
        self._store.put(_MANIFEST, content.encode())
        return wanted

    def require(self, farm: Profile, *, must_exist: bool = True) -> None:
        """Raise LakeError unless the lake holds this farm (up to whatever `as_of`), or is new."""
        self._require_ours()
        found, wanted = self.manifest(), Manifest.of(farm)
        if found is None:
            if must_exist:
                raise LakeError(f"there is no lake in {self.root}: run `aquamind build` (in Dagster, build_farm) first")
        elif found.identity != wanted.identity:
            raise LakeError(
                f"the lake {self.root} holds {found.farm}, but {wanted.farm} was asked for: "
                "set AQUAMIND_LAKE to another folder, or delete this one"
            )

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lake for writing; nests within one object, and other processes of the same owner may hold it, too.

        Raises:
            LakeBusyError: when another owner holds it.
            LakeError: when the place holds something else than a lake of ours.
        """
        if not self._lock_depth:
            self._require_ours()
        with contextlib.nullcontext() if self._lock_depth else self._store.held(self.owner):
            self._lock_depth += 1
            try:
                yield
            finally:
                self._lock_depth -= 1

    def _require_ours(self) -> None:
        """Raise LakeError when files lie here that are no lake: we would build among them, and wipe beside them."""
        if not self._store.bare() and not self._store.has(_MANIFEST):  # asked last: a lake begins with its manifest
            raise LakeError(
                f"{self.root} is no lake of ours and not empty: set AQUAMIND_LAKE to a place where nothing else is"
            )

    def _require_whole(self, names: Sequence[str]) -> None:
        """Raise LakeError unless the files end as Parquet files do."""
        for name, tail in zip(names, self._store.tails(names, len(_MAGIC)), strict=True):
            if tail == _MAGIC:
                continue
            folder, _, file = name.rpartition("/")
            part = f"{folder.rpartition('/')[2]} {file.removesuffix(_SUFFIX)}"
            where = self._store.where(name)
            if tail is None:
                raise LakeError(f"{where} is missing: materialise {part} (aquamind build)")
            raise LakeError(
                f"{where} is damaged (not a whole Parquet file): delete it and materialise {part} again "
                "(aquamind build)"
            )


def _fill(target: Path | IO[bytes], frame: pl.DataFrame) -> None:
    """Write rows as every file of the lake is: the same rows give the same bytes."""
    frame.write_parquet(target, compression="zstd", compression_level=3, statistics=True, row_group_size=ROW_GROUP_ROWS)


def _file(table: str, partition: str | None) -> str:
    return f"{table}/{partition or _WHOLE}{_SUFFIX}"


__all__ = ["LABELS", "PARTS", "Lake", "Manifest", "Written"]
