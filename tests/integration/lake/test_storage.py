"""The lake on S3, against a real server: the same lake as in a folder, one owner, and errors in one line."""

from __future__ import annotations

import json
import multiprocessing
import signal
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Event
from pathlib import Path

import polars as pl
import pytest
from pydantic import SecretStr

from aquamind_pipeline.errors import ConfigError, LakeError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.lake.stores import lease
from aquamind_pipeline.settings import Settings, load_settings
from aquamind_pipeline.simulation.profile import GENERATOR_VERSION, Profile
from tests.helpers.commands import aquamind, one_line
from tests.helpers.farms import wait_for
from tests.helpers.objects import BUCKET, objects, put_lake
from tests.helpers.places import SIGNS

FRAME = pl.DataFrame({"id": range(1000), "value": [0.5] * 1000})
SPAWN = multiprocessing.get_context("spawn")


def test_a_file_is_the_same_in_a_folder_and_in_a_bucket(bucket: str, tmp_path: Path) -> None:
    here, there = Lake(tmp_path), Lake(bucket)
    one, two = here.write("t", FRAME, "2026-01"), there.write("t", FRAME, "2026-01")
    assert (one.digest, one.bytes, one.rows) == (two.digest, two.bytes, two.rows)
    assert there.digest("t", "2026-01") == here.digest("t", "2026-01")
    assert there.read("t", "2026-01").equals(FRAME)
    there.write("t", FRAME.head(1), "2026-02")
    there.write("fault/t", FRAME.head(2), "2026-02")
    assert there.partitions("t") == ["2026-01", "2026-02"]
    assert (there.rows("t"), there.rows("fault/t", "2026-02")) == (1001, 2)
    assert (there.has("t", "2026-01"), there.has("t")) == (True, False)
    there.remove("t", "2026-01")
    there.remove("t", "2026-01")
    assert there.partitions("t") == ["2026-02"]


def test_every_sign_in_a_prefix_is_taken_as_it_is(bucket: str) -> None:
    """Polars reads the objects that the store wrote. (`#` and `?` end the path of a URL, so they are refused.)"""
    lake = Lake(f"{bucket}/{SIGNS.replace('#', '').replace('?', '')}%41/lake")
    rows = pl.DataFrame({"id": [1, 2]})
    lake.write("t", rows, "2026-01")
    assert lake.partitions("t") == ["2026-01"]
    assert lake.read("t").equals(rows)


def test_a_digest_is_of_the_bytes_that_are_there(s3: Mapping[str, str], bucket: str) -> None:
    """Another program that replaces an object records no digest: the digest comes from the bytes then."""
    lake = Lake(bucket)
    other = lake.write("t", FRAME.head(5), "2026-02")
    lake.write("t", FRAME, "2026-01")
    theirs = objects(s3, bucket.removeprefix(f"s3://{BUCKET}/"))
    theirs.put("t/2026-01.parquet", theirs.get("t/2026-02.parquet").bytes())
    assert lake.digest("t", "2026-01") == other.digest


def test_missing_and_damaged_objects_name_themselves(bucket: str) -> None:
    lake = Lake(bucket)
    with pytest.raises(LakeError, match="has no t: materialise it first"):
        lake.read("t")
    lake.write("t", FRAME, "2026-01")
    lake.damage("t", "2026-01", keep=0.5)
    with pytest.raises(LakeError, match=rf"{bucket}/t/2026-01.parquet is damaged .*materialise t 2026-01 again"):
        lake.read("t", "2026-01")
    with pytest.raises(LakeError, match="2026-02.parquet is missing: materialise t 2026-02"):
        lake.read("t", "2026-02")
    with pytest.raises(LakeError, match="is no file of this machine"):
        lake.path("t", "2026-01")


def test_only_our_own_prefix_is_deleted(s3: Mapping[str, str], bucket: str, tiny: Profile) -> None:
    """Other objects of the bucket stay, also those of a prefix that begins like ours."""
    beside = objects(s3, "")
    folder = bucket.removeprefix(f"s3://{BUCKET}/")
    kept = [f"{folder}-of-others/manifest.json", folder.replace("/lake", "/photo.jpg")]
    for name in kept:
        beside.put(name, b"theirs")
    lake = Lake(bucket)
    assert not lake.delete(["t"])
    lake.write("t", FRAME)
    lake.write("t2", FRAME)
    with pytest.raises(LakeError, match="is no lake of ours and not empty"):
        lake.delete(["t"])
    with pytest.raises(LakeError, match="is no lake of ours and not empty"):
        lake.claim(tiny)
    lake.remove("t2")
    lake.remove("t")
    lake.claim(tiny)
    lake.write("t", FRAME)
    lake.write("t2", FRAME)
    assert lake.manifest() is not None
    assert lake.delete(["t"])
    assert (lake.has("t2"), lake.has("t"), lake.manifest()) == (True, False, None)
    lake.remove("t2")
    assert not lake.exists()
    lake.claim(tiny)
    lake.write("t2", FRAME)
    newer = json.loads(beside.get(f"{folder}/manifest.json").bytes().to_bytes()) | {"version": GENERATOR_VERSION + 1}
    beside.put(f"{folder}/manifest.json", json.dumps(newer).encode())
    assert lake.delete([]), "a lake of another version, which may have tables that this version does not know"
    assert not lake.exists()
    left = {one["path"] for some in beside.list(folder.rpartition("/")[0]) for one in some}
    assert left == set(kept)


def test_one_owner_builds_at_a_time(bucket: str, tmp_path: Path) -> None:
    """Processes of one run share a lake. Another run is refused until the last of them has left."""
    for root in (tmp_path, bucket):
        one, two, other = Lake(root, "run 1"), Lake(root, "run 1"), Lake(root, "run 2")
        with one.exclusive():
            with two.exclusive(), pytest.raises(LakeError, match="run 1 is building the lake"), other.exclusive():
                pass
            with pytest.raises(LakeError, match="run 1 is building the lake"), other.exclusive():
                pass
        with other.exclusive(), pytest.raises(LakeError, match="run 2 is building the lake"), one.exclusive():
            pass


def test_of_many_runs_at_once_one_wins(bucket: str, tmp_path: Path) -> None:
    """Two processes of each of four runs start together: those of one run get the lock, all others are refused."""
    for root in (tmp_path, bucket):
        begin, end = threading.Barrier(8), threading.Barrier(8)
        with ThreadPoolExecutor(8) as pool:
            seen = list(pool.map(lambda number: _enters(root, f"run {number % 4}", begin, end), range(8)))  # noqa: B023
        assert sorted(run for run in seen if run) in [[f"run {number}"] * 2 for number in range(4)]


def _enters(root: Path | str, owner: str, begin: threading.Barrier, end: threading.Barrier) -> str | None:
    begin.wait()
    try:
        with Lake(root, owner).exclusive():
            end.wait()
            return owner
    except LakeError:
        end.wait()
        return None


def test_a_killed_owners_lock_ends_by_itself(bucket: str) -> None:
    ready = SPAWN.Event()
    process = SPAWN.Process(target=_hold_until_killed, args=(bucket, ready))
    process.start()
    ready.wait()
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with pytest.raises(
        LakeError, match=r"run 1 is building the lake .* \(the lock of a killed process ends within 90 sec"
    ):
        with Lake(bucket, "run 2").exclusive():
            pass
    wait_for(lambda: _can_hold(bucket, "run 2"))


def _hold_until_killed(root: str, ready: Event) -> None:
    lease.LEASE_SECONDS = 4.0
    with Lake(root, "run 1").exclusive():
        ready.set()
        signal.pause()


def _can_hold(root: str, owner: str) -> bool:
    try:
        with Lake(root, owner).exclusive():
            return True
    except LakeError:
        return False


def test_a_lock_is_renewed_and_a_lost_one_stops_the_writer(
    s3: Mapping[str, str], bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", 1.5)
    theirs = objects(s3, bucket.removeprefix(f"s3://{BUCKET}/"))
    lake = Lake(bucket, "run 1")
    with lake.exclusive():
        first = theirs.get("lock.json").bytes().to_bytes()
        wait_for(lambda: theirs.get("lock.json").bytes().to_bytes() != first)
        lake.write("t", FRAME)
        theirs.put("lock.json", b'{"owner": "run 2", "holders": {"somebody": 9e9}}')
        wait_for(lambda: _refused(lake))
        assert lake.read("t").equals(FRAME)
    assert b"run 2" in theirs.get("lock.json").bytes().to_bytes(), "another owner's lock stays"


def _refused(lake: Lake) -> bool:
    try:
        lake.write("t", FRAME)
    except LakeError as error:
        return "could not be renewed in time" in str(error)
    return False


@pytest.mark.parametrize(
    ("changed", "location", "message"),
    [
        ({}, "s3://no-such-bucket/lake", "there is no bucket no-such-bucket at http://127.0.0.1"),
        ({"AWS_SECRET_ACCESS_KEY": "hunter3"}, None, r"refuses .* \(SignatureDoesNotMatch\): check AWS_ACCESS_KEY_ID"),
        ({"AWS_ACCESS_KEY_ID": "stranger"}, None, r"refuses .* \(InvalidAccessKeyId\): check AWS_ACCESS_KEY_ID"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, None, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_K"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, None, "127.0.0.1:1 cannot serve .*check AWS_ENDPOINT_URL"),
    ],
)
def test_errors_of_the_server_are_one_line(
    bucket: str, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], location: str | None, message: str
) -> None:
    for name, value in changed.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    lake = Lake(location or bucket)
    for use in (lake.manifest, lake.exists, lambda: lake.partitions("t"), lambda: lake.exclusive().__enter__()):
        with pytest.raises(LakeError, match=message) as caught:
            use()
        assert "\n" not in str(caught.value)
        assert "hunter" not in str(caught.value)
        assert "stranger" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("gs://bucket/lake", "s3://bucket/prefix, not gs://"),
        ("s3://key:hunter2@bucket/lake", "credentials belong in the AWS_"),
        ("s3://bucket", "needs a prefix of its own"),
        ("s3://bucket/a//b", "no `//`"),
        ("s3://bucket/a/../b", "no `//`"),
        ("s3://bucket/a\\b", "no backslash"),
        ("s3:///lake", "needs a prefix of its own"),
    ],
)
def test_locations_that_cannot_be_used(location: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_settings(lake=location)
    assert "hunter2" not in str(caught.value)


def test_load_and_wipe_a_lake_on_s3(
    s3: Mapping[str, str], bucket: str, built: Settings, database: SecretStr, tmp_path: Path
) -> None:
    """By the command line, configured by the environment only. The secret appears nowhere."""
    where = {
        "AQUAMIND_HOME": str(tmp_path),
        "AQUAMIND_LAKE": bucket,
        "AQUAMIND_DATABASE_URL": database.get_secret_value(),
    }
    lake = Lake(bucket)
    put_lake(s3, Path(built.lake_path), bucket)
    with lake.exclusive():
        one_line(aquamind("load", **where), f"is building the lake {bucket}")
    loaded = aquamind("load", **where)
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    one_line(aquamind("build", "--seed", "7", **where), "set AQUAMIND_LAKE to another folder")
    gone = aquamind("wipe", "--yes", **where)
    assert f"{bucket}: deleted" in gone.stdout
    assert not lake.exists()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"hunter2" not in kept + (loaded.stdout + loaded.stderr + gone.stdout + gone.stderr).encode()
