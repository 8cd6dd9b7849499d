"""The lake: atomic files, one owner, one farm, one version, and errors that say how to mend them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.files import write_atomically
from aquamind_pipeline.lake import Lake, Manifest
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.simulation.profile import GENERATOR_VERSION, Profile
from tests.helpers.manifests import newer, older, rewrite

FRAME = pl.DataFrame({"id": range(1000), "value": [0.5] * 1000})


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    one, two = Lake(tmp_path / "a").write("t", FRAME, "2026-01"), Lake(tmp_path / "b").write("t", FRAME, "2026-02")
    assert one.digest == two.digest == hashlib.sha256((tmp_path / "a/t/2026-01.parquet").read_bytes()).hexdigest()
    assert one.rows == 1000


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LakeError, match="cannot be written .*AQUAMIND_LAKE"), Lake(tmp_path / "file/lake").exclusive():
        pass


def test_missing_and_damaged_files_name_themselves(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(LakeError, match="has no t: materialise it first"):
        lake.read("t")
    lake.write("t", FRAME, "2026-01")
    path = lake.path("t", "2026-01")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(LakeError, match=r"2026-01.parquet is damaged .*materialise t 2026-01 again"):
        lake.read("t", "2026-01")
    with pytest.raises(LakeError, match="2026-02.parquet is missing: materialise t 2026-02"):
        lake.read("t", "2026-02")


@pytest.mark.parametrize(
    ("put", "reason"), [(Path.mkdir, "Is a directory"), (lambda path: path.symlink_to(path), "Too many levels")]
)
def test_what_is_no_file_is_named(tmp_path: Path, put: Callable[[Path], None], reason: str) -> None:
    """What lies in a month's place, and in that of the manifest."""
    lake = Lake(tmp_path)
    lake.write("t", FRAME, "2026-01")
    for path, use in (
        (lake.path("t", "2026-02"), lambda: lake.read("t", "2026-02")),
        (tmp_path / "manifest.json", lake.manifest),
    ):
        put(path)
        with pytest.raises(LakeError, match=rf"{path.name} cannot be read \({reason}.*\): .*delete it and build again"):
            use()


def test_a_copy_beside_a_month_is_not_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.write("t", FRAME, "2026-01")
    lake.write("t", FRAME, "2026-01 copy")
    assert (lake.partitions("t"), lake.rows("t")) == (["2026-01"], FRAME.height)


def test_a_lake_holds_one_farm(tmp_path: Path, tiny: Profile) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(LakeError, match="there is no lake"):
        lake.require(tiny)
    lake.claim(tiny)
    lake.claim(tiny.model_copy(update={"as_of": date(2026, 7, 1)}))
    assert lake.manifest() is not None
    with pytest.raises(LakeError, match=r"holds profile tiny, seed \d+.* but profile tiny, seed 7"):
        lake.claim(tiny.model_copy(update={"seed": 7}))
    rewrite(tmp_path, lambda values: values | {"identity": "0123456789abcdef"})
    with pytest.raises(LakeError, match=r"\(0123456789abcdef\), but profile tiny"):
        lake.require(tiny, any_version=True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "Expecting"),
        ("[1]", "it is not a JSON object"),
        ('{"version": "new"}', "3 mistakes: \\(1\\) profile: this has no value"),
        ('{"profile": "tiny", "seed": 1, "version": "new"}', "version: write a whole number, not 'new'"),
        (
            f'{{"profile": "tiny", "seed": 1, "version": {GENERATOR_VERSION}, "as_of": "2026-06-07"}}',
            "identity: this has no value",
        ),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, tiny: Profile, content: str, reason: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(LakeError, match=rf"manifest.json cannot be read \({reason}.*: delete the lake") as caught:
        Lake(tmp_path).require(tiny, any_version=True)
    assert "\n" not in str(caught.value)


def test_wiping_another_version_deletes_only_what_looks_like_a_table(tmp_path: Path, tiny: Profile) -> None:
    lake = Lake(tmp_path)
    lake.claim(tiny)
    rewrite(tmp_path, newer)
    for folder, file in (
        ("photos", "2026-01.jpg"),
        ("mixed", "2026-01.parquet"),
        ("mixed", "notes.txt"),
        ("deep/2026", "all.parquet"),
    ):
        write_atomically(tmp_path / folder / file, b"theirs")
    lake.write("table_of_another_version", FRAME)
    lake.write("monthly", FRAME, "2026-01")
    (tmp_path / "monthly" / ".2026-02.parquet.77").touch()
    assert lake.delete([])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "mixed", "photos"]


def test_farms_of_two_versions_are_compared_by_what_a_user_can_set() -> None:
    farm = load_profile("tiny", faults=["doubled-transfers:0.5"])
    mine = Manifest.of(farm)
    theirs = Manifest.parse(json.dumps(newer(json.loads(mine.as_json()))).encode())
    assert (theirs.version, theirs.as_of, theirs.identity) == (GENERATOR_VERSION + 1, date.min, "")
    assert theirs.is_same_farm(mine)
    for other in ({"seed": 7}, {"epoch": date(2026, 2, 3)}, {"faults": ()}, {"name": "single"}):
        assert not theirs.is_same_farm(Manifest.of(farm.model_copy(update=other))), other
    assert Manifest.parse(mine.as_json()) == mine
    unsaid = Manifest.parse(json.dumps(older(json.loads(mine.as_json()))).encode())
    assert unsaid.is_same_farm(Manifest.of(load_profile("tiny")))


def test_a_lake_whose_manifest_does_not_say_epoch_and_faults_is_built_on(tmp_path: Path, tiny: Profile) -> None:
    """Earlier releases of this version did not write them."""
    lake = Lake(tmp_path)
    lake.claim(tiny)
    rewrite(tmp_path, lambda values: {name: values[name] for name in values if name not in ("epoch", "faults")})
    assert lake.claim(tiny) == lake.manifest() == Manifest.of(tiny)


def test_a_small_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    write_atomically(path, "é")
    assert path.read_bytes() == "é".encode()
    write_atomically(path, b"bytes")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_bytes() == b"bytes"
    (tmp_path / "folder" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        write_atomically(tmp_path / "folder", "text")
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["file.json", "folder", "in the way", "new"]


def test_one_process_builds_at_a_time(tmp_path: Path) -> None:
    with Lake(tmp_path).exclusive():
        with (
            pytest.raises(LakeError, match=rf"process {os.getpid()} on .* is building the lake"),
            Lake(tmp_path).exclusive(),
        ):
            pass
    with Lake(tmp_path).exclusive():
        pass


def test_only_our_own_folders_are_deleted(tmp_path: Path, tiny: Profile) -> None:
    photos = tmp_path / "photos"
    (photos / "2026").mkdir(parents=True)
    for use in (lambda: Lake(photos).delete(["2026"]), lambda: Lake(photos).exclusive().__enter__()):
        with pytest.raises(LakeError, match="is no lake of ours and not empty"):
            use()
    with pytest.raises(LakeError, match="is no lake of ours and not empty"):
        Lake(photos).claim(tiny)
    assert [path.name for path in photos.iterdir()] == ["2026"]

    lake = Lake(tmp_path / "lake")
    assert not lake.delete(["t"])
    for theirs in ([], ["notes.txt"]):
        lake.claim(tiny)
        lake.write("t", FRAME)
        lake.write("fault/t", FRAME)
        for name in theirs:
            (lake.folder / name).write_text("theirs")
        assert lake.delete(["t"])
        assert lake.folder.exists() == bool(theirs)
    assert [path.name for path in lake.folder.iterdir()] == ["notes.txt"]


def test_a_lake_whose_build_was_killed_early_is_built_on(tmp_path: Path, tiny: Profile) -> None:
    """A writer killed before or while it wrote the manifest leaves nothing but hidden files."""
    for name in (".lock", ".manifest.77"):
        (tmp_path / name).touch()
    with Lake(tmp_path).exclusive():
        Lake(tmp_path).claim(tiny)
