"""The Parquet lake: one folder per table, one file per month (or one `all.parquet`), and a manifest.

A file is written under a temporary name and renamed, so a reader sees the old file or the new one and a killed writer
leaves nothing behind that anybody reads. The layout does not depend on the machine: rows are sorted by the generator,
row groups have a fixed size.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import polars as pl

from aquamind_pipeline.errors import LakeBusyError, LakeError
from aquamind_pipeline.profile import GENERATOR_VERSION, Profile

ROW_GROUP_ROWS = 131_072
_WHOLE = "all"
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


class Lake:
    """The lake in folder `root`. Making the object touches nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock_depth = 0

    def path(self, table: str, partition: str | None = None) -> Path:
        """Where a table's (or month's) file is, whether or not it exists."""
        return self.root / table / f"{partition or _WHOLE}.parquet"

    def partitions(self, table: str) -> list[str]:
        """Months that a table has, in order."""
        names = (p.stem for p in (self.root / table).glob("*.parquet"))
        return sorted(name for name in names if name != _WHOLE)

    def has(self, table: str, partition: str | None = None) -> bool:
        """Whether the file exists."""
        return self.path(table, partition).is_file()

    def scan(self, table: str, partitions: Sequence[str] | None = None) -> pl.LazyFrame:
        """A table, or some months of it, lazily.

        Raises:
            LakeError: when a file is missing or truncated, with the way to mend it.
        """
        if partitions is not None:
            paths = [self.path(table, partition) for partition in partitions]
        elif self.has(table):
            paths = [self.path(table)]
        else:
            paths = [self.path(table, partition) for partition in self.partitions(table)]
        if not paths:
            raise LakeError(f"the lake {self.root} has no {table}: materialise it first (aquamind build)")
        for path in paths:
            _require_whole(path)
        return pl.scan_parquet(paths, glob=False)

    def read(self, table: str, partition: str | None = None) -> pl.DataFrame:
        """A table or one month of it, in memory."""
        return self.scan(table, [partition] if partition else None).collect()

    def write(self, table: str, frame: pl.DataFrame, partition: str | None = None) -> Written:
        """Write a table or a month atomically.

        Raises:
            LakeError: when the folder cannot be written or the disk is full; the old file is still there.
        """
        started = time.perf_counter()
        path = self.path(table, partition)
        with _as_lake_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                frame.write_parquet(
                    temporary, compression="zstd", compression_level=3, statistics=True, row_group_size=ROW_GROUP_ROWS
                )
                digest = _digest(temporary)
                size = temporary.stat().st_size
                _sync(temporary)
                temporary.replace(path)
                _sync(path.parent)
            finally:
                temporary.unlink(missing_ok=True)
        return Written(table, partition, frame.height, size, time.perf_counter() - started, digest)

    def digest(self, table: str, partition: str | None = None) -> str:
        """SHA-256 of a file: equal for equal content, since equal content gives equal bytes."""
        path = self.path(table, partition)
        _require_whole(path)
        return _digest(path)

    def rows(self, table: str, partition: str | None = None) -> int:
        """Rows of a file, from its footer."""
        return int(self.scan(table, [partition] if partition else None).select(pl.len()).collect().item())

    def remove(self, table: str, partition: str | None = None) -> None:
        """Delete a file, if it is there."""
        self.path(table, partition).unlink(missing_ok=True)

    def damage(self, table: str, partition: str | None, *, keep: float) -> None:
        """Break a file on purpose: keep this share of its bytes, or delete it when that is 0."""
        path = self.path(table, partition)
        if keep == 0:
            path.unlink()
        else:
            os.truncate(path, int(path.stat().st_size * keep))

    def delete(self) -> bool:
        """Delete the lake, unless somebody is building it. False when there is none.

        Raises:
            LakeError: when the folder holds no lake of ours, or cannot be deleted.
        """
        if not self.root.exists():
            return False
        if self.manifest() is None and not (self.root / ".lock").exists():
            raise LakeError(f"{self.root} is no lake of ours: delete it by hand if you mean it")
        with self.exclusive(), _as_lake_errors(self.root):
            shutil.rmtree(self.root)
        return True

    def manifest(self) -> Manifest | None:
        """What the lake says it holds; None for a new lake."""
        path = self.root / "manifest.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return Manifest(**(values | {"as_of": date.fromisoformat(values["as_of"])}))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LakeError(f"{path} cannot be read ({error}): delete the lake and build it again") from None

    def claim(self, farm: Profile) -> Manifest:
        """Write this farm's manifest into a new lake, or check that the lake is this farm's and move its `as_of`.

        Raises:
            LakeError: when the lake holds another farm.
        """
        self.require(farm, must_exist=False)
        wanted = Manifest.of(farm)
        path = self.root / "manifest.json"
        with _as_lake_errors(path):
            self.root.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".manifest.{os.getpid()}")
            temporary.write_text(json.dumps(asdict(wanted) | {"as_of": wanted.as_of.isoformat()}, indent=2) + "\n")
            temporary.replace(path)
        return wanted

    def require(self, farm: Profile, *, must_exist: bool = True) -> None:
        """Raise LakeError unless the lake holds this farm (up to whatever `as_of`)."""
        found, wanted = self.manifest(), Manifest.of(farm)
        if found is None:
            if must_exist:
                raise LakeError(f"there is no lake in {self.root}: run `aquamind build` first")
        elif found.identity != wanted.identity:
            raise LakeError(
                f"the lake {self.root} holds {found.farm}, but {wanted.farm} was asked for: "
                "set AQUAMIND_LAKE to another folder, or delete this one"
            )

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lake for writing; nests within one object.

        Raises:
            LakeBusyError: when another process holds it.
        """
        if self._lock_depth:
            self._lock_depth += 1
            try:
                yield
            finally:
                self._lock_depth -= 1
            return
        path = self.root / ".lock"
        with _as_lake_errors(path):
            self.root.mkdir(parents=True, exist_ok=True)
            handle = path.open("a+")
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                owner = handle.read().strip() or "another process"
                raise LakeBusyError(f"{owner} is building the lake {self.root}: wait for it, or stop it") from None
            handle.truncate(0)
            handle.write(f"process {os.getpid()}")
            handle.flush()
            self._lock_depth = 1
            try:
                yield
            finally:
                self._lock_depth = 0
                handle.truncate(0)


def _require_whole(path: Path) -> None:
    """Raise LakeError unless the file ends as a Parquet file does."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_MAGIC), os.SEEK_END)
            whole = file.read() == _MAGIC
    except FileNotFoundError:
        raise LakeError(f"{path} is missing: materialise {path.parent.name} {path.stem} (aquamind build)") from None
    except OSError:
        whole = False
    if not whole:
        raise LakeError(
            f"{path} is damaged (not a whole Parquet file): delete it and materialise {path.parent.name} {path.stem} "
            "again (aquamind build)"
        )


@contextlib.contextmanager
def _as_lake_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LakeError(f"no space left on the disk of {path}: free some and run again") from None
        raise LakeError(
            f"{path} cannot be written ({error.strerror or error}): check AQUAMIND_HOME and AQUAMIND_LAKE"
        ) from None
    except pl.exceptions.PolarsError as error:
        raise LakeError(f"{path} cannot be written ({error})") from None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


__all__ = ["Lake", "Manifest", "Written"]
