"""A farm beside real farms: which figures are judged, and what is said of them."""

from __future__ import annotations

import html
import math
import re
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aquamind_pipeline.lake import Lake
from aquamind_pipeline.quality import farm_months, realism
from aquamind_pipeline.quality.farm_rules import REALISTIC, compared_with_real_farms
from aquamind_pipeline.quality.realism import LIKE, OUTSIDE, TOO_LITTLE, Found
from aquamind_pipeline.quality.runner import CheckRunner
from aquamind_pipeline.report import save_realism_page
from aquamind_pipeline.settings import Settings
from aquamind_pipeline.simulation import lice

LEAST_FIGURES = 10


def farm(batches: int = 40, months: int = 10, *, even: bool = False) -> pl.DataFrame:
    """Farm-months of a farm. Deaths and lice rise and come in runs, as on real farms, or are even."""
    luck = np.random.Generator(np.random.PCG64(5)).normal(size=(batches, months))
    for month in range(1, months):
        luck[:, month] = 0.45 * luck[:, month - 1] + math.sqrt(1 - 0.45**2) * luck[:, month]
    age = np.arange(months)[None, :]
    mortality = np.full((batches, months), 0.32) if even else 0.42 * np.exp(1.0 * luck + 0.15 * (age - 4.5))
    females = np.full((batches, months), 0.3) if even else 0.0006 * np.exp(0.9 * age) * np.exp(0.3 * luck)
    mortality.flat[-1] = mortality.flat[-1] if even else 17.1
    first = date(2022, 1, 1)
    return pl.DataFrame(
        {
            "batch_id": np.repeat(np.arange(batches), months),
            "month": [first.replace(month=1 + month) for month in range(months)] * batches,
            "months_at_sea": np.tile(np.arange(months), batches),
            "mortality": mortality.ravel() + 0.001 * luck.ravel(),
            "lice": np.minimum(females, 2.5).ravel(),
        }
    )


def compared(months: pl.DataFrame) -> realism.Comparison:
    figures = farm_months.statistics(months)
    return realism.compare(Found({name: (value, months.height) for name, value in figures.items()}, months))


def verdicts(comparison: realism.Comparison, group: str) -> dict[str, str]:
    some = comparison.figures.filter(pl.col("group").str.starts_with(group))
    return dict(some.select("figure", "verdict").iter_rows())


def test_a_farm_like_real_ones_passes() -> None:
    comparison = compared(farm())
    assert OUTSIDE not in verdicts(comparison, "Mortality").values()
    result = realism.realistic(comparison)
    assert result.passed
    assert "too little data: Survival of a batch in a whole stage (0 batches)" in result.detail


def test_an_even_farm_is_seen() -> None:
    """As many fish die in every month: no tail, no bad months, no rise with time at sea."""
    comparison = compared(farm(even=True))
    found = verdicts(comparison, "Mortality")
    assert {name for name, verdict in found.items() if verdict == OUTSIDE} >= {
        "mean",
        "90 % quantile",
        "95 % quantile",
        "worst month",
        "share of months over 1 %",
        "months 8 and later over months 1 to 4",
    }
    assert OUTSIDE in verdicts(comparison, "Adult female lice").values()
    result = realism.realistic(comparison)
    assert not result.passed
    assert result.wrong == comparison.figures.filter(verdict=OUTSIDE).height
    assert result.detail.startswith("unlike real farms: Mortality at sea: mean 0.32; ")
    assert result.sample.height <= LEAST_FIGURES
    assert not REALISTIC.blocks


@pytest.mark.parametrize(("months", "verdict"), [(59, TOO_LITTLE), (60, OUTSIDE)])
def test_few_farm_months_are_not_judged(months: int, verdict: str) -> None:
    assert verdicts(compared(farm(6, 10, even=True).head(months)), "Mortality")["share of months over 1 %"] == verdict


def test_a_small_farm_may_scatter_more() -> None:
    """The same mean lies outside for a large farm, and may be chance for a small one."""
    level = {"mortality_mean": 0.62}
    found = {n: realism.compare(Found({k: (v, n) for k, v in level.items()}, farm(1))) for n in (60, 5000)}
    assert [verdicts(found[n], "Mortality")["mean"] for n in (60, 5000)] == [LIKE, OUTSIDE]


def test_every_figure_has_a_source_and_is_computed(built: Settings) -> None:
    """No figure of the reference is misspelt: each is found on the tiny farm, or lacks months for a pair or a rise."""
    reference = realism.reference()
    for group in reference["group"]:
        for figure in group["figures"].values():
            assert figure.get("source", group["source"]) in reference["sources"]
            assert figure.get("least", -math.inf) < figure.get("most", math.inf)
            assert any(char.isdigit() for char in figure["real"])
    runner = CheckRunner(Lake(built.lake_path), built.farm, only={"realistic"})
    comparison = compared_with_real_farms(runner.farm_inputs(REALISTIC))
    missing = comparison.figures.filter(pl.col("ours").is_null())["figure"].to_list()
    assert all("next month" in figure or "months 8" in figure for figure in missing)
    [(_, result)] = [(name, one) for name, one in runner.of_farm() if one.rule == "realistic"]
    assert result.passed
    assert "too little data: Mortality at sea (" in result.detail
    nightly = CheckRunner(Lake(built.lake_path), built.farm, only={"realistic"}, since="2026-06")
    assert all("needs all batches" in one.detail and one.passed for _, one in nightly.of_farm())


def test_lice_are_those_that_were_written_down(built: Settings) -> None:
    """The rows of lice counts come to the means of what was counted: 0 where other lice were found, or none."""
    lake = Lake(built.lake_path)
    runner = CheckRunner(lake, built.farm, only={"realistic"})
    months = compared_with_real_farms(runner.farm_inputs(REALISTIC)).months
    life = lake.read("life_lice")
    truly = farm_months.lice_by_month(lice.counts(built.farm.seed, life)).rename({"lice": "counted"})
    both = months.join(truly, on=["batch_id", "month"], how="left")
    assert both.drop_nulls("counted").height > 0
    assert both["lice"].to_list() == pytest.approx(both["counted"].to_list())


def test_survival_counts_whole_stages_only() -> None:
    """The second batch is still at sea, so only the first one's survival there counts; both have smolts."""
    lived = pl.DataFrame(
        {
            "batch_id": [1, 1, 2, 2],
            "stage": [5, 6, 5, 6],
            "days": [90, 300, 90, 100],
            "first_fish": [1000, 990, 1000, 980],
            "last_fish": [990, 891, 980, 900],
            "alive": [0.99, 0.9, 0.98, 900 / 980],
            "first_g": [180.0, 450.0, 180.0, 450.0],
            "last_g": [450.0, 5000.0, 450.0, 1000.0],
            "feed_kg": [300.0, 4800.0, 300.0, 550.0],
            "gain_kg": [270.0, 4000.0, 270.0, 500.0],
            "degree_days": [1000.0, 3000.0, 1000.0, 900.0],
        }
    )
    found = realism.of_stages(lived, pl.Series([1]), 1)
    assert found["survival_5"] == (pytest.approx(0.985), 2)
    assert found["survival_6"] == (pytest.approx(0.9), 1)
    assert found["fcr_mean"] == (pytest.approx(1.15), 2)
    assert found["tgc_mean"][0] == pytest.approx(
        500 * ((5000 ** (1 / 3) - 450 ** (1 / 3)) / 3000 + (10 - 450 ** (1 / 3)) / 900)
    )


@pytest.mark.parametrize("months", [400, 0])
def test_the_page_needs_no_other_file(tmp_path: Path, months: int) -> None:
    page = tmp_path / "new" / "realism.html"
    save_realism_page("a <farm>", compared(farm().head(months)), page)
    assert "a &lt;farm&gt;" in page.read_text("utf-8")
    text = html.unescape(page.read_text("utf-8"))
    assert text.count("<svg") == 2
    assert not re.search(r'(src|href)="(?!#)', re.sub(r'xlink:href="#', 'href="#', text))
    for source in realism.reference()["sources"].values():
        assert source in text
