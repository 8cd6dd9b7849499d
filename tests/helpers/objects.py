"""A real S3 server for tests: SeaweedFS from PyPI. It checks signatures and supports conditional writes."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tests.helpers.farms import wait_for

BUCKET = "lakes"
_USER = {"AWS_ACCESS_KEY_ID": "user", "AWS_SECRET_ACCESS_KEY": "hunter2-of-the-lake"}
_RIGHTS = ["Read", "Write", "List"]
_PORTS = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc")
_FILER = ("filer.port", "filer.port.grpc")


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[Mapping[str, str]]:
    """Run the server with one bucket. Yields the variables of a user who may not make buckets."""
    ports = _free_ports((*_PORTS, *_FILER))
    rights = folder / "rights.json"
    keys = [{"accessKey": _USER["AWS_ACCESS_KEY_ID"], "secretKey": _USER["AWS_SECRET_ACCESS_KEY"]}]
    rights.write_text(json.dumps({"identities": [{"name": "user", "credentials": keys, "actions": _RIGHTS}]}))
    options = {
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "s3.config": rights,
        "s3.port.iceberg": 0,
        "s3.localSocket": folder / "s3.sock",
        "filer.localSocket": folder / "filer.sock",
        "bucket": BUCKET,
        "admin.ui": "false",
        "webdav": "false",
        **ports,
    }
    weed = Path(sys.executable).with_name("weed")
    log = (folder / "log").open("w")
    with (
        log,
        subprocess.Popen(
            [weed, "mini", *(f"-{name}={value}" for name, value in options.items())], stdout=log, stderr=log, cwd=folder
        ) as server,
    ):
        variables = _USER | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['s3.port']}", "AWS_REGION": "us-east-1"}
        try:
            wait_for(lambda: _answers(variables), server)
            yield variables
        finally:
            server.kill()


def objects(variables: Mapping[str, str], prefix: str) -> S3Store:
    """The objects below a prefix of the bucket, read and written without the pipeline."""
    return S3Store(
        BUCKET,
        prefix=prefix,
        endpoint=variables["AWS_ENDPOINT_URL"],
        access_key_id=variables["AWS_ACCESS_KEY_ID"],
        secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region="us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )


def put_lake(variables: Mapping[str, str], folder: Path, url: str) -> None:
    """Copy a lake from a folder to S3 without the pipeline."""
    there = objects(variables, url.removeprefix(f"s3://{BUCKET}/"))
    for path in folder.rglob("[!.]*.*"):
        there.put(path.relative_to(folder).as_posix(), path)


def set_in(patched: pytest.MonkeyPatch, variables: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patched.delenv(name)
    for name, value in variables.items():
        patched.setenv(name, value)


def _answers(variables: Mapping[str, str]) -> bool:
    try:
        objects(variables, "here").put("probe", b"")
    except BaseError:
        return False
    return True


def _free_ports(names: tuple[str, ...]) -> dict[str, int]:
    """A free port for each name, all different."""
    with contextlib.ExitStack() as opened:
        found = {}
        for name in names:
            listening = opened.enter_context(socket.socket())
            listening.bind(("127.0.0.1", 0))
            found[name] = listening.getsockname()[1]
        return found
