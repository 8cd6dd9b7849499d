"""A lock for processes on many machines: an object that names the owner of the lake and when its lease ends."""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import asdict, dataclass, field

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

LEASE_SECONDS = 90.0
"""Seconds from a process's last renewal to the end of its lease."""


@dataclass
class _LockContent:
    """Content of the object: the owner of the lake, and for each of its processes when its lease ends (Unix time)."""

    owner: str = ""
    holders: dict[str, float] = field(default_factory=dict)


class Lease:
    """One process's share of the lock on a lake. An owner (a run) may have several processes.

    The object is made with If-None-Match and changed with If-Match: if two processes change it at once, one of them
    must read it again. A thread renews the lease. The lease of a killed process ends after `LEASE_SECONDS`.

    Limits: the store must support conditional writes (Amazon S3, MinIO, R2, Ceph and SeaweedFS do). The clocks of the
    machines may differ by a third of `LEASE_SECONDS`. A process that sleeps for longer than its lease notices this
    before its next write, but a PUT already under way still arrives. The same farm has the same bytes, so this can
    only harm a build with another `as_of`.
    """

    def __init__(self, objects: S3Store, name: str, owner: str) -> None:
        self._objects, self._name, self._owner = objects, name, owner
        self._process = secrets.token_hex(8)
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._valid_until = 0.0
        self.seconds = LEASE_SECONDS

    @property
    def is_valid(self) -> bool:
        """Whether no other owner can have taken the lock yet."""
        return time.monotonic() < self._valid_until

    def acquire(self) -> str | None:
        """Take the lease and keep renewing it. Returns None, or the name of another owner who holds the lock."""
        holder = self._extend(joining=True)
        if holder is None:
            self._renewing.start()
        return holder

    def release(self) -> None:
        """End this process's lease."""
        self._ended.set()
        self._renewing.join()
        while True:
            found, tag = self._read()
            if found.holders.pop(self._process, None) is None or self._write_if_unchanged(found, tag):
                return

    def _renew(self) -> None:
        while not self._ended.wait(self.seconds / 6):
            try:
                if self._extend(joining=False) is not None:
                    return
            except BaseError:
                continue  # the network may return before the lease ends; if not, `is_valid` turns false

    def _extend(self, *, joining: bool) -> str | None:
        """Write a new end of this process's lease. Returns None, or the name of another owner who holds the lock."""
        while True:
            started, now = time.monotonic(), time.time()
            found, tag = self._read()
            alive = {holder: end for holder, end in found.holders.items() if end > now}
            if (alive and found.owner != self._owner) or not (joining or self._process in found.holders):
                self._valid_until = 0.0
                return found.owner
            if self._write_if_unchanged(_LockContent(self._owner, alive | {self._process: now + self.seconds}), tag):
                self._valid_until = started + self.seconds * 2 / 3
                return None

    def _read(self) -> tuple[_LockContent, str | None]:
        """The object's content and tag; no owner and None when it does not exist."""
        try:
            found = self._objects.get(self._name)
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise
            return _LockContent(), None
        return _LockContent(**json.loads(bytes(found.bytes()))), found.meta["e_tag"]

    def _write_if_unchanged(self, content: _LockContent, tag: str | None) -> bool:
        """Write the object unless another process changed it since it was read. Returns whether it was written."""
        text = json.dumps(asdict(content)).encode()
        try:
            self._objects.put(self._name, text, mode={"e_tag": tag} if tag else "create")
        except (AlreadyExistsError, PreconditionError):
            return False
        return True


__all__ = ["LEASE_SECONDS", "Lease"]
