"""A lake in a local folder. A file is written under a temporary name and renamed, so that a killed writer leaves
nothing behind that anybody reads.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import polars as pl

from aquamind_pipeline.errors import LakeBusyError, LakeError


class Folder:
    """Files below `root`."""

    lock = ".lock"

    def __init__(self, root: Path) -> None:
        self._root = root

    def where(self, name: str = "") -> str:
        """The path."""
        return str(self._root / name)

    def path(self, name: str) -> Path:
        """The file."""
        return self._root / name

    def exists(self) -> bool:
        """Whether the folder exists."""
        return self._root.exists()

    def bare(self) -> bool:
        """Whether everything in the folder is hidden, as lock and temporary files are."""
        try:
            return all(path.name.startswith(".") for path in self._root.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError as error:
            raise LakeError(f"{self._root} cannot be read ({error.strerror}): check AQUAMIND_LAKE") from None

    def has(self, name: str) -> bool:
        """Whether the file exists."""
        return self.path(name).is_file()

    def stems(self, folder: str) -> list[str]:
        """Names of a folder's Parquet files."""
        return [path.stem for path in self.path(folder).glob("*.parquet")]

    def tails(self, names: Sequence[str], size: int) -> list[bytes | None]:
        """The last bytes of each file."""
        return [self._tail(name, size) for name in names]

    def _tail(self, name: str, size: int) -> bytes | None:
        try:
            with self.path(name).open("rb") as file:
                file.seek(-min(size, file.seek(0, os.SEEK_END)), os.SEEK_END)
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LakeError(f"{self.path(name)} cannot be read ({error.strerror})") from None

    def read(self, name: str) -> bytes | None:
        """A small file."""
        try:
            return self.path(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise LakeError(f"{self.path(name)} cannot be read ({error.strerror})") from None

    def put(self, name: str, content: bytes) -> None:
        """Write a small file."""
        path = self.path(name)
        with _as_lake_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.stem}.{os.getpid()}-{threading.get_ident()}")
            temporary.write_bytes(content)
            temporary.replace(path)

    def write(self, name: str, fill: Callable[[Path | IO[bytes]], None]) -> tuple[int, str]:
        """Write a file; when the disk is full, the old one is still there."""
        path = self.path(name)
        with _as_lake_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            for left in path.parent.glob(f".{path.name}.*"):  # by a killed writer
                left.unlink(missing_ok=True)
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
        return pl.scan_parquet([self.path(name) for name in names], glob=False)

    def digest(self, name: str) -> str:
        """SHA-256 of a file."""
        return _digest(self.path(name))

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""
        self.path(name).unlink(missing_ok=True)

    def cut(self, name: str, keep: float) -> None:
        """Leave this share of a file's bytes."""
        path = self.path(name)
        os.truncate(path, int(path.stat().st_size * keep))

    def delete(self, names: Sequence[str]) -> None:
        """Delete files and folders, the lock last, and the root if it is empty then."""
        with _as_lake_errors(self._root):
            for path in map(self.path, (*names, self.lock)):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self._root.rmdir()

    @contextlib.contextmanager
    def held(self, owner: str) -> Iterator[None]:
        """A lock of the operating system (flock), which ends with the processes that hold it, however they end.

        Whoever finds nobody writes its name while alone, then shares: those of the same name may come in, others may
        not. Two that come in the very moment in which a third leaves may both be refused. On a network file system the
        lock is as good as that system's own.
        """
        path = self.path(self.lock)
        with _as_lake_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = path.open("a+")
        with handle:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                handle.truncate(0)
                handle.write(owner)
                handle.flush()
            fcntl.flock(handle, fcntl.LOCK_SH)  # alone is nobody for longer than it takes to write a name
            handle.seek(0)
            found = handle.read()
            if found != owner:
                raise LakeBusyError(
                    f"{found or 'another process'} is building the lake {self._root}: wait for it, or stop it"
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
