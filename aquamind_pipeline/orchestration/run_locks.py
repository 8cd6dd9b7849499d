"""Lock files that show which runs have a living process.

Each process of a run holds a shared lock on the run's file. The kernel releases the lock when the process ends, however
it ends. So the answer depends neither on host names nor on process ids, and holds for containers that share a folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class RunLocks:
    """The lock files of all runs whose records lie in one folder of Dagster. Making the object touches nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}
        """File descriptors of the locks of this process, by id of the run."""

    def hold(self, run_id: str) -> None:
        """Show until `release`, or until this process ends, that it works for a run.

        Does nothing on a file system without locks: then the host and the id of the process must tell.
        """
        if run_id in self._held:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(run_id)
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            except OSError:
                os.close(descriptor)
                path.unlink(missing_ok=True)
                return
            if _is_file(descriptor, path):  # else another process has just deleted the file
                self._held[run_id] = descriptor
                return
            os.close(descriptor)

    def release(self, run_id: str) -> None:
        """Delete the file of a run that has ended, if this process holds it."""
        descriptor = self._held.pop(run_id, None)
        if descriptor is not None:
            self._path(run_id).unlink(missing_ok=True)
            os.close(descriptor)

    def is_held(self, run_id: str) -> bool | None:
        """Whether a living process works for a run; None if the run has no lock file."""
        if run_id in self._held:
            return True
        with self._opened(run_id) as descriptor:
            return None if descriptor is None else not _is_free(descriptor)

    def runs(self) -> list[str]:
        """Ids of the runs that have a lock file."""
        return sorted(path.name for path in self._folder.iterdir()) if self._folder.is_dir() else []

    def forget(self, run_id: str) -> None:
        """Delete the lock file of a run that has ended, unless a process still holds it."""
        with self._opened(run_id) as descriptor:
            if descriptor is not None and run_id not in self._held and _is_free(descriptor):
                self._path(run_id).unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        return self._folder / run_id

    @contextlib.contextmanager
    def _opened(self, run_id: str) -> Iterator[int | None]:
        try:
            descriptor = os.open(self._path(run_id), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            yield None
            return
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _is_free(descriptor: int) -> bool:
    """Whether no other process holds the file. Locks it until the descriptor is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_file(descriptor: int, path: Path) -> bool:
    """Whether a path still leads to the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


__all__ = ["RunLocks"]
