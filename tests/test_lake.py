"""The lake: atomic files, one owner, one farm, and errors that say how to mend them."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import signal
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.simulation.profile import Profile

FRAME = pl.DataFrame({"id": range(1000), "value": [0.5] * 1000})


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    one, two = Lake(tmp_path / "a").write("t", FRAME, "2026-01"), Lake(tmp_path / "b").write("t", FRAME, "2026-02")
    assert one.digest == two.digest == hashlib.sha256((tmp_path / "a/t/2026-01.parquet").read_bytes()).hexdigest()
    assert one.rows == 1000


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A file-size limit stands for the full disk: the writer fails midway, the reader sees the old rows."""
    lake = Lake(tmp_path)
    lake.write("t", FRAME)
    process = multiprocessing.get_context("spawn").Process(target=_write_with_little_room, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 0, "the child saw another error than LakeError"
    assert lake.read("t").equals(FRAME)
    assert [p.name for p in (tmp_path / "t").iterdir()] == ["all.parquet"]


def _write_with_little_room(root: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    rows = pl.DataFrame({"id": pl.int_range(200_000, eager=True).hash(1)})
    try:
        Lake(root).write("t", rows)
    except LakeError as error:
        os._exit(0 if "cannot be written" in str(error) or "no space" in str(error) else 2)
    os._exit(3)


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


def test_a_lake_holds_one_farm(tmp_path: Path, tiny: Profile) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(LakeError, match="there is no lake"):
        lake.require(tiny)
    lake.claim(tiny)
    lake.claim(tiny.model_copy(update={"as_of": date(2026, 7, 1)}))
    assert lake.manifest() is not None
    with pytest.raises(LakeError, match=r"holds profile tiny, seed \d+.* but profile tiny, seed 7"):
        lake.claim(tiny.model_copy(update={"seed": 7}))
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(LakeError, match="manifest.json cannot be read"):
        lake.require(tiny)


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


def test_a_lake_that_was_only_begun_is_built_on(tmp_path: Path, tiny: Profile) -> None:
    """A writer killed before or while it wrote the manifest leaves nothing but hidden files."""
    for name in (".lock", ".manifest.77"):
        (tmp_path / name).touch()
    with Lake(tmp_path).exclusive():
        Lake(tmp_path).claim(tiny)
