"""The lake where the disk is full, and where another version wrote it: as commands and processes meet it."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.months import months_between
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.settings import Settings, load_settings
from aquamind_pipeline.simulation.profile import GENERATOR_VERSION
from tests.helpers.commands import aquamind, one_line
from tests.helpers.farms import make_lake
from tests.helpers.manifests import Values, newer, older, rewrite

FRAME = pl.DataFrame({"id": range(1000), "value": [0.5] * 1000})


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A limit on file sizes acts as a full disk: the writer fails midway, the reader sees the old rows."""
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


@pytest.mark.parametrize(
    ("change", "commands"),
    [
        (older, ["load"]),
        (newer, ["build --no-database"]),
        pytest.param(older, ["build --no-database", "build", "verify", "lake"], marks=pytest.mark.slow),
    ],
)
def test_a_lake_of_another_version_is_refused_and_can_be_wiped(
    a_copy: Settings, change: Callable[..., Values], commands: list[str]
) -> None:
    """Every command says which versions meet and what to do. After `wipe`, nothing of the lake is left."""
    root = a_copy.lake_path
    assert isinstance(root, Path)
    rewrite(root, change)
    Lake(root).write("table_of_another_version", FRAME, "2026-01")
    version = json.loads((root / "manifest.json").read_text())["version"]
    where = {"AQUAMIND_HOME": str(a_copy.home), "AQUAMIND_LAKE": str(root)}
    message = (
        f"the lake {root} was built by generator version {version}, but this program has version "
        f"{GENERATOR_VERSION}: run `aquamind wipe` and build again, or set AQUAMIND_LAKE to another folder"
    )
    for command in commands:
        one_line(aquamind(*command.split(), **where), message)
    one_line(aquamind("wipe", "--yes", "--no-database", "--seed", "7", **where), "but profile tiny, seed 7")
    assert Lake(root).has("batch_batch")
    done = aquamind("wipe", "--yes", "--no-database", **where)
    assert done.returncode == 0, done.stderr
    assert not root.exists()


def test_a_farm_has_months_without_fish(tmp_path: Path) -> None:
    """One batch is harvested in April, the next one comes a year later: tables have all months, and all rules hold."""
    profile = tmp_path / "gap.toml"
    profile.write_text(
        'description = "One batch in each geography, and the next one a year later."\n'
        "seed = 1\nepoch = 2026-02-02\nas_of = 2026-06-15\nbatches_per_geography = 1\nstagger_days = 400\n"
        "eggs = [90_000, 100_000]\nspeed = 10\ntanks_per_stage = 3\nrings_per_batch = 4\n"
        "meals_per_day = [0, 4, 3, 3, 2, 2]\n"
    )
    settings = load_settings(profile=str(profile), home=tmp_path)
    make_lake(settings)
    lake = Lake(settings.lake_path)
    months = months_between(settings.farm.epoch, settings.farm.as_of)
    assert [lake.rows(STATES.name, month) > 0 for month in months] == [True, True, True, False, False]
    assert [one for _, one in Workspace(settings).checks().everything() if not one.passed] == []
