"""A lake below a prefix of an S3 bucket. A PUT is atomic, so no temporary names are needed.

Endpoint and credentials come from the usual variables: AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, or from the role of the machine. Polars reads the same variables. Messages
never repeat an answer of the server, since it may name keys.
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

_REQUESTS = 16
"""Requests at once when many files are read: each spends most of its time waiting."""
_DIGEST = "sha256"
"""Name of the object's metadata that holds its SHA-256, so that a comparison needs no download."""


class Bucket:
    """Objects below `s3://bucket/prefix`."""

    lock_name = "lock.json"

    def __init__(self, url: str) -> None:
        self._url = url
        self._endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "Amazon S3"
        plain = self._endpoint.startswith("http://")
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._objects = S3Store(  # not from_url: it would decode percent signs, and Polars takes them as they are
            bucket,
            prefix=prefix,
            client_options={"allow_http": plain, "timeout": timedelta(minutes=5)},
            retry_config={"max_retries": 4, "retry_timeout": timedelta(minutes=2)},
        )
        self._lease: Lease | None = None

    def location(self, name: str = "") -> str:
        """URL of an object, or of the prefix."""
        return f"{self._url}/{name}".rstrip("/")

    def path(self, name: str) -> Path:
        """Raise LakeError: an object has no path on this machine."""
        raise LakeError(f"{self.location(name)} is no file of this machine: this needs a lake in a folder")

    def exists(self) -> bool:
        """Whether any object lies below the prefix."""
        with self._errors():
            return any(self._objects.list(chunk_size=1))

    def is_empty(self) -> bool:
        """Whether nothing lies below the prefix but the lock, and hidden files of a lake copied from a folder."""
        with self._errors():
            return all(
                each["path"] == self.lock_name or each["path"].startswith(".")
                for page in self._objects.list(chunk_size=3)
                for each in page
            )

    def has(self, name: str) -> bool:
        """Whether the object exists."""
        with self._errors():
            try:
                self._objects.head(name)
            except FileNotFoundError:
                return False
        return True

    def names(self) -> list[str]:
        """Names of all objects."""
        with self._errors():
            return [each["path"] for page in self._objects.list() for each in page]

    def partitions(self, folder: str) -> list[str]:
        """Names of a folder's Parquet files without `.parquet`."""
        with self._errors():
            names = [Path(each["path"]) for each in self._objects.list_with_delimiter(folder)["objects"]]
        return [name.stem for name in names if name.suffix == ".parquet"]

    def last_bytes(self, names: Sequence[str], count: int) -> list[bytes | None]:
        """The last bytes of each object."""
        with ThreadPoolExecutor(_REQUESTS, thread_name_prefix="last-bytes") as pool:
            return list(pool.map(lambda name: self._get(name, last=count), names))

    def read(self, name: str) -> bytes | None:
        """Content of a small object."""
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
        """Make an object in memory, then write it."""
        content = io.BytesIO()
        fill(content)
        buffer = content.getbuffer()
        digest = hashlib.sha256(buffer).hexdigest()
        self._put(name, buffer, {_DIGEST: digest})
        return len(buffer), digest

    def _put(self, name: str, content: bytes | memoryview, metadata: dict[str, str]) -> None:
        self._require_lock()
        with self._errors():
            self._objects.put(name, content, attributes=metadata)

    def scan(self, names: Sequence[str]) -> pl.LazyFrame:
        """Parquet files, lazily."""
        return pl.scan_parquet([self.location(name) for name in names], glob=False, hive_partitioning=False)

    def digest(self, name: str) -> str:
        """SHA-256 of an object: from its metadata if we wrote it, else from its bytes."""
        with self._errors():
            recorded = self._objects.get(name, options={"head": True}).attributes.get(_DIGEST)
            return recorded or hashlib.sha256(self._objects.get(name).bytes()).hexdigest()

    def remove(self, name: str) -> None:
        """Delete an object if it exists."""
        self._require_lock()
        with self._errors(), contextlib.suppress(FileNotFoundError):
            self._objects.delete(name)

    def truncate(self, name: str, keep: float) -> None:
        """Keep only this share of an object's bytes."""
        content = self._get(name) or b""
        self._put(name, content[: int(len(content) * keep)], {})

    def delete(self, names: Sequence[str]) -> None:
        """Delete objects and all objects below folders, then the lock."""
        self._require_lock()
        everything = self.names()
        with self._errors():
            for name in (*names, self.lock_name):
                chosen = [path for path in everything if path == name or path.startswith(f"{name}/")]
                if chosen:
                    self._objects.delete(chosen)

    @contextlib.contextmanager
    def hold(self, owner: str) -> Iterator[None]:
        """Lock the prefix with a lease in an object. `Lease` says what it can and cannot do."""
        with self._errors():
            lease = Lease(self._objects, self.lock_name, owner)
            holder = lease.acquire()
        if holder is not None:
            raise LakeBusyError(
                f"{holder} is building the lake {self._url}: wait for it, or stop it "
                f"(the lock of a killed process ends within {lease.seconds:.0f} seconds)"
            )
        self._lease = lease
        try:
            yield
        finally:
            self._lease = None
            with contextlib.suppress(BaseError):  # a lease that cannot be released ends by itself
                lease.release()

    def _require_lock(self) -> None:
        """Raise LakeError if this object held the lock and may have lost it: another process may write by now."""
        if self._lease is not None and not self._lease.is_valid:
            raise LakeError(f"the lock on {self._url} could not be renewed in time: run again")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise LakeError(self._explain(str(error))) from None

    def _explain(self, text: str) -> str:
        """Say what went wrong and how to mend it, from the text of an error, without the server's answer."""
        bucket = self._url.split("/")[2]
        code = re.search(r"<Code>(\w+)</Code>", text)
        reason = code.group(1) if code else text.splitlines()[0].rsplit(" - ", 1)[-1]
        if "NoSuchBucket" in text:
            return f"there is no bucket {bucket} at {self._endpoint}: make it, or correct AQUAMIND_LAKE"
        if "169.254." in text or "/credentials" in text:
            return f"no credentials for {self._url}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        if re.search(r"\b(401|403)\b", text):
            return (
                f"{self._endpoint} refuses {self._url} ({reason}): check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
                f"and their rights in bucket {bucket}"
            )
        if "not found" in text:
            return f"an object of {self._url} was deleted while it was read: build again"
        return f"{self._endpoint} cannot serve {self._url} ({reason}): check AWS_ENDPOINT_URL and the network"


__all__ = ["Bucket"]
