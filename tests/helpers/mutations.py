"""Farms with one fault each, and which rules see it: the mutation matrix."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import AquaMindError
from aquamind_pipeline.lake import LABELS, Lake
from aquamind_pipeline.pipeline.slices import make_slices
from aquamind_pipeline.pipeline.steps import make_months
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.pipeline.writing import write
from aquamind_pipeline.quality.farm_rules import FARM_RULES
from aquamind_pipeline.quality.faults import FAULTS
from aquamind_pipeline.quality.rules import STATEMENTS
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.frames import references
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.settings import Settings, load_settings
from tests.helpers.farms import steps_in_order


def spoiled(clean: Settings, fault: str, home: Path) -> Workspace:
    """A copy of a built lake with a fault in it, as a build with that fault would make it."""
    made = load_settings(profile=clean.profile, seed=clean.seed, faults=(fault,), home=home, lake=home / "lake")
    workspace = Workspace(made)
    lake, farm = workspace.lake, made.farm
    lake.claim(farm)
    # A lake never writes into a file: it puts another in its place. So files can be shared.
    shared = shutil.ignore_patterns("manifest.json")
    shutil.copytree(clean.lake_path, lake.folder, ignore=shared, copy_function=os.link, dirs_exist_ok=True)
    changed = {name for name in FAULTS[fault.partition(":")[0]].tables if not REGISTRY[name].batch_slices}
    for name in changed:
        for month in lake.partitions(name) or [None]:
            write(lake, farm, REGISTRY[name], lake.read(name, month), month)
    hit = set(FAULTS[fault.partition(":")[0]].tables) - changed
    for step in steps_in_order():
        derived = [one for one in step if one.kind is Kind.DERIVED]
        if hit & {one.name for one in step} or any(changed & set(one.reads) for one in derived):
            changed |= {one.name for one in step}
            # Records that contradict themselves stop growth: a build would end there.
            with contextlib.suppress(AquaMindError, pl.exceptions.PolarsError):
                make_again(workspace, step)
    return workspace


def make_again(workspace: Workspace, step: list[TableDefinition]) -> None:
    """Make the monthly tables of a step anew from the lake as it is."""
    if any(one.batch_slices for one in step):
        list(make_slices(workspace, step))
        return
    for one in step:
        failed = make_months(workspace, one, workspace.lake.partitions(one.name)).failed
        if failed:
            raise next(iter(failed.values()))


def caught(clean: Settings, workspace: Workspace, only: Collection[str] | None = None) -> dict[str, set[str]]:
    """Rules that fail -> the tables that they fail for. Looks at what changed, at what refers to it, and at the rules
    on the farm that read it.

    Args:
        clean: The farm without the fault.
        workspace: The farm with it.
        only: Names of the rules to run; None for all.
    """
    changed = _changed(clean, workspace, REGISTRY)
    of_farm = {rule.name for rule in FARM_RULES if changed & {rule.about, *rule.reads}}
    unread = {rule.name for rule in FARM_RULES} - of_farm
    runner = workspace.checks(only=set(STATEMENTS if only is None else only) - unread)
    found: dict[str, set[str]] = {}
    for name in REGISTRY.aquamind:
        if name in changed or {parent for parent, _ in references(REGISTRY.table(name)).values()} & changed:
            for result in runner.of_table(name):
                if not result.passed:
                    found.setdefault(result.rule, set()).add(name)
    for name, result in runner.of_farm():
        if not result.passed:
            found.setdefault(result.rule, set()).add(name)
    return found


def spoiled_tables(clean: Settings, workspace: Workspace) -> set[str]:
    """Tables that the fault changed. A farm may have nothing to spoil, such as no transfer that is still planned."""
    return _changed(clean, workspace, REGISTRY.aquamind)


def _changed(clean: Settings, workspace: Workspace, names: Iterable[str]) -> set[str]:
    before, after = Lake(clean.lake_path), workspace.lake
    return {name for name in names if not _same(_files(before, name), _files(after, name))}


def _files(lake: Lake, name: str) -> dict[str, Path]:
    return {path.name: path for path in (lake.folder / name).glob("*.parquet")}


def _same(before: dict[str, Path], after: dict[str, Path]) -> bool:
    pairs = [(before[name], after[name]) for name in before.keys() & after.keys()]
    return before.keys() == after.keys() and all(
        one.samefile(other) or one.read_bytes() == other.read_bytes() for one, other in pairs
    )


def labels(lake: Lake, table: str) -> pl.DataFrame:
    """What was done to a table."""
    return pl.concat([pl.read_parquet(path) for path in sorted((lake.folder / LABELS / table).glob("*.parquet"))])


__all__ = ["caught", "labels", "make_again", "spoiled"]
