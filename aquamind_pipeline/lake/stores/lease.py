"""A lock for processes on many machines: an object that says who holds the lake and until when."""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import asdict, dataclass, field

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

LASTS = 90.0
"""Seconds from a holder's last renewal to the end of its lease."""


@dataclass
class _Held:
    """What the object says: whose the lake is, and for each of the owner's processes until when (Unix time)."""

    owner: str = ""
    holders: dict[str, float] = field(default_factory=dict)


class Lease:
    """One process's part in holding a lake for an owner (a run), which may have several processes.

    The object is made with If-None-Match and changed with If-Match, so of two that change it at once one has to look
    again. A thread renews the lease; a killed process's part ends by itself after `LASTS` seconds.

    Its limits: the store must have conditional writes (Amazon S3, MinIO, R2, Ceph, SeaweedFS have). Clocks of the
    machines may differ by a third of `LASTS`. A process that sleeps for longer than its lease notices before its next
    write, but a PUT that is under way at that moment still arrives; since the same farm has the same bytes, only a
    build of another `as_of` could suffer.
    """

    def __init__(self, objects: S3Store, name: str, owner: str) -> None:
        self._objects, self._name, self._owner = objects, name, owner
        self._me = secrets.token_hex(8)
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._sure_until = 0.0
        self.lasts = LASTS

    @property
    def sure(self) -> bool:
        """Whether nobody else can have taken the lake."""
        return time.monotonic() < self._sure_until

    def take(self) -> str | None:
        """Take the lease and keep renewing it; or the name of the owner that has it."""
        other = self._extend(joining=True)
        if other is None:
            self._renewing.start()
        return other

    def give_back(self) -> None:
        """End this process's part."""
        self._ended.set()
        self._renewing.join()
        while True:
            found, tag = self._read()
            if found.holders.pop(self._me, None) is None or self._wrote(found, tag):
                return

    def _renew(self) -> None:
        while not self._ended.wait(self.lasts / 6):
            try:
                if self._extend(joining=False) is not None:
                    return
            except BaseError:
                continue  # the network may be back before the lease ends; `sure` says if not

    def _extend(self, *, joining: bool) -> str | None:
        """Write a new end of this process's part, unless another owner has the lake: then its name."""
        while True:
            asked, now = time.monotonic(), time.time()
            found, tag = self._read()
            alive = {holder: end for holder, end in found.holders.items() if end > now}
            if (alive and found.owner != self._owner) or not (joining or self._me in found.holders):
                self._sure_until = 0.0
                return found.owner
            if self._wrote(_Held(self._owner, alive | {self._me: now + self.lasts}), tag):
                self._sure_until = asked + self.lasts * 2 / 3
                return None

    def _read(self) -> tuple[_Held, str | None]:
        """The object and its tag; nobody and None when there is none."""
        try:
            found = self._objects.get(self._name)
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise
            return _Held(), None
        return _Held(**json.loads(bytes(found.bytes()))), found.meta["e_tag"]

    def _wrote(self, held: _Held, tag: str | None) -> bool:
        """Write the object if it is still as it was read."""
        content = json.dumps(asdict(held)).encode()
        try:
            self._objects.put(self._name, content, mode={"e_tag": tag} if tag else "create")
        except (AlreadyExistsError, PreconditionError):
            return False
        return True


__all__ = ["LASTS", "Lease"]
