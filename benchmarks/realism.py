"""`make realism`: the tables of docs/realism.md, from farms of several seeds. Nobody types these numbers.

Each farm is built in a folder of its own, without a database, and deleted afterwards. A farm of 170 batches takes some
minutes. `--outside` only names the figures that lie outside their range.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from aquamind_pipeline.orchestration.garbage_collection import collect_rarely
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.quality import realism
from aquamind_pipeline.quality.farm_rules import REALISTIC, compared_with_real_farms
from aquamind_pipeline.quality.realism import Comparison
from aquamind_pipeline.settings import load_settings
from benchmarks.measuring import LAKE_STAGES, STAGES, make, stages_before

PAGE = Path(__file__).parents[1] / "docs" / "realism.md"
HEADING = "## Our figures\n"
PROFILES, SEEDS = ("test-40", "saturation-170"), (9001, 9002, 9003)
Farms = Mapping[str, Sequence[Comparison]]
"""Comparisons by profile, one for each seed."""


def compared(profile: str, seed: int) -> Comparison:
    """Build a farm and compare it with real farms."""
    wanted = {REALISTIC.about, *REALISTIC.reads}
    needed = stages_before(wanted)
    stages = [stage for stage in LAKE_STAGES if stage in needed or wanted.intersection(STAGES[stage])]
    with tempfile.TemporaryDirectory(prefix="aquamind-realism-") as folder:
        workspace = Workspace(load_settings(profile=profile, seed=seed, home=Path(folder)))
        make(workspace, stages)
        return compared_with_real_farms(workspace.checks().farm_inputs(REALISTIC))


def tables(farms: Farms) -> str:
    """The part of the page below its heading."""
    *seeds, last = SEEDS
    named = f"{', '.join(map(str, seeds))} and {last}"
    intro = f"Three farms of each size, with seeds {named}, which nobody tuned to. `make realism` writes these tables."
    return "\n".join(["", intro, "", *_of_figures(farms), *_of_ages(farms)])


def described(group: Mapping[str, Any]) -> list[list[str]]:
    """Label, figure of real farms, and range of each figure of a group."""
    return [[one["label"], one["real"], _range(one.get("least"), one.get("most"))] for one in group["figures"].values()]


def _range(least: float | None, most: float | None) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f"{least:g} or more"
    return f"up to {most:g}" if least is None else f"{least:g} to {most:g}"


def _of_figures(farms: Farms) -> Iterator[str]:
    every = [one for some in farms.values() for one in some]
    ours = [{(group, name): value for group, name, value in _values(one)} for one in every]
    names = [name if place == 0 else "" for name, some in farms.items() for place in range(len(some))]
    for group in realism.reference()["group"]:
        title = group["title"]
        yield from (f"### {title}", "", _line(["", "Real farms", "Range", *names]), _rule(2 + len(every)))
        for label, *real in described(group):
            yield _line([label, *real, *(_number(one[title, label]) for one in ours)])
        yield ""


def _values(one: Comparison) -> Iterable[tuple[str, str, float | None]]:
    return one.figures.select("group", "figure", "ours").rows()


def _of_ages(farms: Farms) -> Iterator[str]:
    yield from ("### By months at sea", "", "Means of the three farms of each size.", "")
    means = {name: _mean_ages(some) for name, some in farms.items()}
    first, *others = (frame for frame in means.values())
    deaths = [*means, *(f"median, {name}" for name in means)]
    real = ("Mortality, %: real farms", "Adult female lice: real farms")
    yield _line(["Month", real[0], *deaths, real[1], *means])
    yield f"|{'---:|' * (3 + 3 * len(means))}"
    for row in first.rows(named=True):
        same = [row, *(frame.row(by_predicate=pl.col("month") == row["month"], named=True) for frame in others)]
        cells = [_number(one[name]) for name in ("mortality", "median_mortality") for one in same]
        lice = [_number(one["lice"]) for one in same]
        yield _line([str(row["month"]), _real(row, "mortality"), *cells, _real(row, "lice"), *lice])
    yield ""


def _mean_ages(some: Sequence[Comparison]) -> pl.DataFrame:
    """Means over farms of the months that real farms have."""
    ages = pl.concat([one.ages for one in some]).drop_nulls("mortality_least")
    return ages.group_by("month").agg(pl.exclude("month").mean()).sort("month")


def _real(row: Mapping[str, float], name: str) -> str:
    least, most = row[f"{name}_least"], row[f"{name}_most"]
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _rule(numbers: int) -> str:
    return "|---|" + "---:|" * numbers


def main() -> None:
    """Build the farms and write the tables."""
    collect_rarely()
    options = argparse.ArgumentParser(prog="python -m benchmarks.realism", description=__doc__)
    options.add_argument("--outside", action="store_true", help="write nothing, name figures outside their range")
    given = options.parse_args()
    farms: dict[str, list[Comparison]] = {name: [] for name in PROFILES}
    for profile in PROFILES:
        for seed in SEEDS:
            farms[profile].append(one := compared(profile, seed))
            print(profile, seed, realism.realistic(one).detail, flush=True)
    if not given.outside:
        above, heading, _ = PAGE.read_text("utf-8").partition(HEADING)
        PAGE.write_text(above + heading + tables(farms), encoding="utf-8")


__all__ = ["HEADING", "PAGE", "PROFILES", "SEEDS", "compared", "described", "main", "tables"]

if __name__ == "__main__":
    main()
