"""Farms with one fault each, and which rules see it: the mutation matrix."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.proof import Proof
from aquamind_pipeline.quality.catalogue import READINGS, STATES
from aquamind_pipeline.quality.check_result import Finding
from assets.growth import READS, write_states
from assets.writing import write

from aquamind_pipeline import tables
from aquamind_pipeline.errors import AquaMindError
from aquamind_pipeline.growth.records import daily_temperature
from aquamind_pipeline.lake import LABELS, Lake
from aquamind_pipeline.orchestration.asset_specs import TEMPERATURE
from aquamind_pipeline.quality.faults import FAULTS
from aquamind_pipeline.settings import Settings, load_settings


def spoiled(clean: Settings, fault: str, home: Path) -> Workspace:
    """A copy of a built lake with a fault in it, as a build with that fault would make it."""
    made = load_settings(profile=clean.profile, seed=clean.seed, faults=(fault,), home=home, lake=home / "lake")
    workspace = Workspace(made)
    lake, farm = workspace.lake, made.farm
    lake.claim(farm)
    shutil.copytree(clean.lake_path, lake.folder, ignore=shutil.ignore_patterns("manifest.json"), dirs_exist_ok=True)
    hit = set(FAULTS[fault.partition(":")[0]].tables)
    for name in hit - {STATES}:
        for month in lake.partitions(name) or [None]:
            write(lake, farm, name, lake.read(name, month), month)
    if READINGS in hit:
        parameters = lake.scan("environmental_environmentalparameter")
        for month in lake.partitions(READINGS):
            lake.write(TEMPERATURE, daily_temperature(lake.scan(READINGS, [month]), parameters), month)
    if hit & {*READS, READINGS, STATES}:
        # Records that contradict themselves stop growth: a build would end there.
        with contextlib.suppress(AquaMindError, pl.exceptions.PolarsError):
            write_states(workspace, farm)
    return workspace


def caught(clean: Settings, workspace: Workspace) -> dict[str, set[str]]:
    """Rules that fail -> the tables that they fail for. Looks at what changed and at what refers to it."""
    before, proof = Lake(clean.lake_path), workspace.proof()
    changed = {name for name in tables.TABLES if _files(before, name) != _files(workspace.lake, name)}
    touched = {
        n for n, t in tables.TABLES.items() if n in changed or {p for p, _ in tables.references(t).values()} & changed
    }
    found: dict[str, set[str]] = {}
    for name, finding in _everything(proof, touched):
        if not finding.passed:
            found.setdefault(finding.rule, set()).add(name)
    return found


def _everything(proof: Proof, names: set[str]) -> Iterator[tuple[str, Finding]]:
    for name in tables.TABLES:
        if name in names:
            yield from ((name, finding) for finding in proof.of_table(name))
    for finding in (*proof.of_stores(), *proof.of_farm(), *proof.of_truth()):
        yield "farm", finding


def _files(lake: Lake, name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((lake.folder / name).glob("*.parquet"))}


def labels(lake: Lake, table: str) -> pl.DataFrame:
    """What was done to a table."""
    return pl.concat([pl.read_parquet(path) for path in sorted((lake.folder / LABELS / table).glob("*.parquet"))])


__all__ = ["caught", "labels", "spoiled"]
