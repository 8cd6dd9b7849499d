"""A lake below a prefix of an S3 bucket. One PUT is atomic, so no temporary names are needed.

Where and who comes from the usual variables: AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_SESSION_TOKEN, or a machine's role. Polars reads the same ones. Answers of the server are never repeated: they may
name keys.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import IO

import polars as pl
from obstore.exceptions import BaseError
from obstore.store import S3Store

from aquamind_pipeline.errors import LakeBusyError, LakeError
from aquamind_pipeline.lake.stores.lease import Lease

_STREAMS = 16
"""Requests at once when many files are looked at: each mostly waits."""
_DIGEST = "sha256"
"""Metadata of an object, written with it, so that comparing needs no download."""


class Bucket:
    """Objects below `s3://bucket/prefix`."""

    lock = "lock.json"

    def __init__(self, url: str) -> None:
        self._url = url
        self._endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "Amazon S3"
        plain = self._endpoint.startswith("http://")
        self._objects = S3Store.from_url(
            url,
            client_options={"allow_http": plain, "timeout": timedelta(minutes=5)},
            retry_config={"max_retries": 4, "retry_timeout": timedelta(minutes=2)},
        )
        self._lease: Lease | None = None

    def where(self, name: str = "") -> str:
        """The URL."""
        return f"{self._url}/{name}".rstrip("/")

    def path(self, name: str) -> Path:
        """There is none."""
        raise LakeError(f"{self.where(name)} is no file of this machine: this needs a lake in a folder")

    def exists(self) -> bool:
        """Whether there is any object below the prefix."""
        with self._errors():
            return any(self._objects.list(chunk_size=1))

    def bare(self) -> bool:
        """Whether there is nothing below the prefix but the lock, and what a folder's lake had hidden before a copy."""
        with self._errors():
            return all(
                one["path"] == self.lock or one["path"].startswith(".")
                for some in self._objects.list(chunk_size=3)
                for one in some
            )

    def has(self, name: str) -> bool:
        """Whether the object exists."""
        with self._errors():
            try:
                self._objects.head(name)
            except FileNotFoundError:
                return False
        return True

    def stems(self, folder: str) -> list[str]:
        """Names of a folder's Parquet files."""
        with self._errors():
            names = [Path(one["path"]) for one in self._objects.list_with_delimiter(folder)["objects"]]
        return [name.stem for name in names if name.suffix == ".parquet"]

    def tails(self, names: Sequence[str], size: int) -> list[bytes | None]:
        """The last bytes of each object."""
        with ThreadPoolExecutor(_STREAMS, thread_name_prefix="tails") as pool:
            return list(pool.map(lambda name: self._get(name, last=size), names))

    def read(self, name: str) -> bytes | None:
        """A small object."""
        return self._get(name)

    def _get(self, name: str, last: int | None = None) -> bytes | None:
        with self._errors():
            try:
                found = self._objects.get(name, options={"range": {"suffix": last}} if last else None)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None
            return bytes(found.bytes())

    def put(self, name: str, content: bytes) -> None:
        """Write a small object."""
        self._put(name, content, {})

    def write(self, name: str, fill: Callable[[Path | IO[bytes]], None]) -> tuple[int, str]:
        """Write an object, made in memory."""
        content = io.BytesIO()
        fill(content)
        held = content.getbuffer()
        digest = hashlib.sha256(held).hexdigest()
        self._put(name, held, {_DIGEST: digest})
        return len(held), digest

    def _put(self, name: str, content: bytes | memoryview, metadata: dict[str, str]) -> None:
        self._sure()
        with self._errors():
            self._objects.put(name, content, attributes=metadata)

    def scan(self, names: Sequence[str]) -> pl.LazyFrame:
        """Parquet files, lazily."""
        return pl.scan_parquet([self.where(name) for name in names], glob=False)

    def digest(self, name: str) -> str:
        """SHA-256 of an object: as it was written with it, else from its bytes."""
        with self._errors():
            known = self._objects.get(name, options={"head": True}).attributes.get(_DIGEST)
            return known or hashlib.sha256(self._objects.get(name).bytes()).hexdigest()

    def remove(self, name: str) -> None:
        """Delete an object, if it is there."""
        self._sure()
        with self._errors(), contextlib.suppress(FileNotFoundError):
            self._objects.delete(name)

    def cut(self, name: str, keep: float) -> None:
        """Leave this share of an object's bytes."""
        content = self._get(name) or b""
        self._put(name, content[: int(len(content) * keep)], {})

    def delete(self, names: Sequence[str]) -> None:
        """Delete objects, and those below folders, the lock last."""
        self._sure()
        with self._errors():
            everything = [one["path"] for some in self._objects.list() for one in some]
            for name in (*names, self.lock):
                mine = [path for path in everything if path == name or path.startswith(f"{name}/")]
                if mine:
                    self._objects.delete(mine)

    @contextlib.contextmanager
    def held(self, owner: str) -> Iterator[None]:
        """A lease in an object of the lake; see `Lease` for what it can and cannot do."""
        with self._errors():
            lease = Lease(self._objects, self.lock, owner)
            other = lease.take()
        if other is not None:
            raise LakeBusyError(
                f"{other} is building the lake {self._url}: wait for it, or stop it "
                f"(a killed one holds it for {lease.lasts:.0f} seconds more at most)"
            )
        self._lease = lease
        try:
            yield
        finally:
            self._lease = None
            with contextlib.suppress(BaseError):  # it ends by itself
                lease.give_back()

    def _sure(self) -> None:
        """Raise LakeError if the lake was held and may be no more: somebody else may write by now."""
        if self._lease is not None and not self._lease.sure:
            raise LakeError(f"the lock on {self._url} could not be renewed in time: run again")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise LakeError(self._explained(str(error))) from None

    def _explained(self, text: str) -> str:
        """What went wrong and how to mend it, from an error's text, without what the server answered."""
        bucket = self._url.split("/")[2]
        code = re.search(r"<Code>(\w+)</Code>", text)
        said = code.group(1) if code else text.splitlines()[0].rsplit(" - ", 1)[-1]
        if "NoSuchBucket" in text:
            return f"there is no bucket {bucket} at {self._endpoint}: make it, or correct AQUAMIND_LAKE"
        if "169.254." in text or "/credentials" in text:
            return f"no credentials for {self._url}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        if re.search(r"\b(401|403)\b", text):
            return (
                f"{self._endpoint} refuses {self._url} ({said}): check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
                f"and what they may do in bucket {bucket}"
            )
        if "not found" in text:
            return f"{self._url} has lost an object while it was read: build again"
        return f"{self._endpoint} cannot serve {self._url} ({said}): check AWS_ENDPOINT_URL and the network"


__all__ = ["Bucket"]
