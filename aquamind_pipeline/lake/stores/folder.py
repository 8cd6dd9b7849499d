"""A lake in a local folder. A file is written under a temporary name, then renamed: nobody reads what a killed writer
leaves.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import polars as pl

from aquamind_pipeline.errors import LakeBusyError, LakeError
from aquamind_pipeline.files import write_atomically


class Folder:
    """Files below `root`."""

    lock_name = ".lock"

    def __init__(self, root: Path) -> None:
        self._root = root

    def location(self, name: str = "") -> str:
        """Path of a file, or of the folder."""
        return str(self._root / name)

    def path(self, name: str) -> Path:
        """Path of a file, whether or not it exists."""
        return self._root / name

    def exists(self) -> bool:
        """Whether the folder exists."""
        return self._root.exists()

    def is_empty(self) -> bool:
        """Whether the folder holds hidden files only. The lock and temporary files are hidden."""
        try:
            return all(path.name.startswith(".") for path in self._root.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError as error:
            raise LakeError(f"{self._root} cannot be read ({error.strerror}): check AQUAMIND_LAKE") from None

    def has(self, name: str) -> bool:
        """Whether the file exists."""
        return self.path(name).is_file()

    def names(self) -> list[str]:
        """Names of all files."""
        return [path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if not path.is_dir()]

    def partitions(self, folder: str) -> list[str]:
        """Names of a folder's Parquet files without `.parquet`."""
        try:
            names = os.listdir(self.path(folder))  # pathlib takes ten times as long
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(self.path(folder), error) from None
        return [name.removesuffix(".parquet") for name in names if name.endswith(".parquet")]

    def last_bytes(self, names: Sequence[str], count: int) -> list[bytes | None]:
        """The last bytes of each file."""
        return [self._last_bytes(name, count) for name in names]

    def _last_bytes(self, name: str, count: int) -> bytes | None:
        try:
            with self.path(name).open("rb") as file:
                file.seek(-min(count, file.seek(0, os.SEEK_END)), os.SEEK_END)
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(self.path(name), error) from None

    def read(self, name: str) -> bytes | None:
        """Content of a small file."""
        try:
            return self.path(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(self.path(name), error) from None

    def put(self, name: str, content: bytes) -> None:
        """Write a small file."""
        path = self.path(name)
        with _as_lake_errors(path):
            write_atomically(path, content)

    def write(self, name: str, fill: Callable[[Path | IO[bytes]], None]) -> tuple[int, str]:
        """Write a file. If that fails, for example on a full disk, the old file is kept."""
        path = self.path(name)
        with _as_lake_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            for abandoned in path.parent.glob(f".{path.name}.*"):  # temporary files of killed writers
                abandoned.unlink(missing_ok=True)
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                fill(temporary)
                digest = _digest(temporary)
                size = temporary.stat().st_size
                _sync(temporary)
                temporary.replace(path)
                _sync(path.parent)
            finally:
                temporary.unlink(missing_ok=True)
        return size, digest

    def scan(self, names: Sequence[str]) -> pl.LazyFrame:
        """Parquet files, lazily."""
        return pl.scan_parquet([self.path(name) for name in names], glob=False, hive_partitioning=False)

    def digest(self, name: str) -> str:
        """SHA-256 of a file."""
        return _digest(self.path(name))

    def remove(self, name: str) -> None:
        """Delete a file if it exists."""
        self.path(name).unlink(missing_ok=True)

    def truncate(self, name: str, keep: float) -> None:
        """Keep only this share of a file's bytes."""
        path = self.path(name)
        os.truncate(path, int(path.stat().st_size * keep))

    def delete(self, names: Sequence[str]) -> None:
        """Delete files and folders, then the lock, then the root folder if it is empty."""
        with _as_lake_errors(self._root):
            for path in map(self.path, (*names, self.lock_name)):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self._root.rmdir()

    @contextlib.contextmanager
    def hold(self, owner: str) -> Iterator[None]:
        """Lock the folder with the operating system's flock, which ends when the processes that hold it end.

        The first process takes an exclusive lock, writes the owner's name into the lock file, and changes to a shared
        lock. Later processes take the shared lock and compare the name: only those of the same owner may stay. Two
        processes that come while a third one leaves may both be refused. On a network file system this lock is only
        as reliable as the locks of that file system.
        """
        path = self.path(self.lock_name)
        with _as_lake_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = path.open("a+")
        with handle:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                handle.truncate(0)
                handle.write(owner)
                handle.flush()
            fcntl.flock(handle, fcntl.LOCK_SH)  # waits only while another process writes the owner's name
            handle.seek(0)
            holder = handle.read()
            if holder != owner:
                raise LakeBusyError(
                    f"{holder or 'another process'} is building the lake {self._root}: wait for it, or stop it"
                )
            yield


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


def _unreadable(path: Path, error: OSError) -> LakeError:
    return LakeError(f"{path} cannot be read ({error.strerror}): correct its rights, or delete it and build again")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


__all__ = ["Folder"]
