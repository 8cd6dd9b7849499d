"""Health samplings: what AquaMind would compute from their fish, whom they hit, and how fish are shaped and scored."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

import numpy as np
import polars as pl
import pytest

from aquamind_pipeline.apps.health.catalogue import PARAMETER
from aquamind_pipeline.apps.health.lab_samples import CARRIER_CT, ILL_CT, PATHOGENS
from aquamind_pipeline.apps.health.sampling import OBSERVATIONS, SAMPLINGS, aggregates
from aquamind_pipeline.apps.health.scores import FISH_SCORES, THRESHOLDS, burdens
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.simulation.body import condition_factor
from aquamind_pipeline.simulation.deaths import REASON
from aquamind_pipeline.simulation.examinations import EVERY_DAYS
from aquamind_pipeline.simulation.treatments import VACCINE
from tests.helpers.farms import Made

EVENTS, FISH, SCORES = SAMPLINGS.name, OBSERVATIONS.name, FISH_SCORES.name
CENT = Decimal("0.01")


@cache
def tiny() -> Made:
    return Made(load_profile("tiny"))


@cache
def days() -> pl.DataFrame:
    """Sampling events with the day of life that they are about."""
    lived = tiny().life.days.select("stage", "batch_id", "weight_g", "gill", "wound", id="state_id")
    return tiny().frame(EVENTS).join(lived, on="id", how="left")


def rounded(value: Decimal, to: Decimal = CENT) -> Decimal:
    return value.quantize(to, ROUND_HALF_UP)


@pytest.mark.parametrize(
    ("weights", "lengths"),
    [
        (["61.25", "70.10", "58.81"], ["18.50", "19.25", "18.02"]),
        (["0.01", "0.02"], ["0.21", "0.27"]),
        (["5012.34"], ["74.01"]),
        (["100.00"] * 7, ["20.00"] * 7),
    ],
)
def test_aggregates_are_those_of_exact_arithmetic(weights: list[str], lengths: list[str]) -> None:
    """Twice the same event, so that one does not leak into the other."""
    grams, cm = ([Decimal(text) for text in texts] for texts in (weights, lengths))
    n = len(grams)
    cents = [np.array([int(100 * value) for value in values] * 2) for values in (grams, cm)]
    found = pl.DataFrame(aggregates(np.array([n, n]), *cents))
    assert found.row(0) == found.row(1)
    row = found.row(0, named=True)
    for name, values in (("weight_g", grams), ("length_cm", cm)):
        mean = sum(values, Decimal()) / n
        variance = sum(((value - mean) ** 2 for value in values), Decimal()) / n
        assert row[f"avg_{name}"] == rounded(mean)
        assert row[f"min_{name}"] == min(values)
        assert row[f"max_{name}"] == max(values)
        assert row[f"std_dev_{name}"] == (rounded(variance.sqrt()) if n > 1 else None)
    factor = sum((100 * w / length**3 for w, length in zip(grams, cm, strict=True)), Decimal()) / n
    assert row["avg_k_factor"] == rounded(factor, Decimal("0.0001"))
    assert row["calculated_sample_size"] == n


def test_each_vaccination_is_a_weighing_and_other_stages_have_one_container_at_a_time() -> None:
    vaccinated = tiny().life.treatments.filter(method=VACCINE).select("assignment_id", sampling_date="date")
    assert vaccinated.height
    assert vaccinated.join(tiny().frame(EVENTS), on=["assignment_id", "sampling_date"], how="anti").is_empty()
    others = days().join(vaccinated, on=["assignment_id", "sampling_date"], how="anti")
    assert others.height
    assert others.select("batch_id", "sampling_date").is_duplicated().sum() == 0
    assert set(others["stage"]) == set(EVERY_DAYS)


def test_single_fish_weigh_as_the_container_does() -> None:
    """The mean of all samplings is exact to a percent; single ones within six standard errors."""
    error = days().select(pl.col("avg_weight_g").cast(pl.Float64) / pl.col("weight_g") - 1.0).to_series()
    assert abs(float(error.mean() or 0.0)) < 0.012  # type: ignore[arg-type]
    assert float(error.abs().max() or 0.0) < 6 * 0.18 / 20**0.5  # type: ignore[arg-type]


def factor(stage: int, share: float, weight_g: float, day: int) -> float:
    return float(condition_factor(np.array([stage]), np.array([share]), np.array([weight_g]), np.array([day]))[0])


def test_condition_factor_by_stage_and_season() -> None:
    """Published means by stage; late winter takes 0.05 from adults; no stage begins far from where the last ended."""
    share = np.linspace(0.0, 1.0, 101)
    means = {
        stage: condition_factor(np.full(101, stage), share, np.full(101, 100.0), np.full(101, 200)).mean()
        for stage in (2, 3, 4, 5)
    }
    assert 1.10 <= means[3] <= 1.20
    assert 0.95 <= means[4] <= 1.00
    assert 1.05 <= means[5] <= 1.15
    assert factor(6, 0.0, 450.0, 200) == pytest.approx(1.15)
    assert factor(6, 0.9, 5500.0, 200) == pytest.approx(1.35)
    assert factor(6, 0.5, 2000.0, 60) == pytest.approx(factor(6, 0.5, 2000.0, 200) - 0.05)
    for stage in range(2, 6):
        assert abs(factor(stage, 1.0, 450.0, 200) - factor(stage + 1, 0.0, 450.0, 200)) <= 0.06


def test_growth_samples_and_health_samplings_have_the_same_shape() -> None:
    """In parr and smolts, whose condition differs most."""
    stage = tiny().frame("batch_batchcontainerassignment").select("lifecycle_stage_id", assignment_id="id")
    factors = {}
    for table, column in (("batch_growthsample", "condition_factor"), (EVENTS, "avg_k_factor")):
        rows = tiny().frame(table).join(stage, on="assignment_id")
        factors[table] = [
            rows.filter(lifecycle_stage_id=order).select(pl.col(column).cast(pl.Float64).mean()).item()
            for order in (3, 4, 5, 6)
        ]
    assert np.allclose(*factors.values(), atol=0.06)


def test_scores_follow_welfare_and_agree_within_a_fish() -> None:
    events = tiny().frame(FISH).select("sampling_event_id", individual_fish_observation_id="id")
    scored = tiny().frame(SCORES).join(events, on="individual_fish_observation_id")
    names = {number: name for name, number in PARAMETER.items()}
    fish = (
        scored.with_columns(name=pl.col("parameter_id").replace_strict(names))
        .pivot("name", index=["individual_fish_observation_id", "sampling_event_id"], values="score")
        .join(days().select("gill", "wound", sampling_event_id="id"), on="sampling_event_id")
    )
    assert fish.height == tiny().frame(FISH).height
    well = fish.filter((pl.col("gill") < 0.02) & (pl.col("wound") < 0.02))
    assert well.height > 500
    for name in ("Eye Condition", "Wounds/Lesions"):
        assert well.select((pl.col(name) >= 2).mean()).item() < 0.05
    alike = well.select(pl.corr("Gill Condition", "Wounds/Lesions")).item()
    assert 0.1 < alike < 0.5
    loud = burdens(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([0.0, 0.5]))
    assert (loud[:, 1] > loud[:, 0]).all()
    assert loud[PARAMETER["Gill Condition"] - 1, 1] > THRESHOLDS[0]


def test_laboratory_finds_what_episodes_say() -> None:
    """In an episode the pathogen is found with many copies; carriers have few. The last samples have no results yet."""
    samples = tiny().frame("health_healthlabsample")
    pending = samples.filter(pl.col("date_results_received").is_null())
    assert 0 < pending.height < 30
    assert pending["quantitative_results"].null_count() == pending.height
    site = tiny().plan.assignments.select("site", "assignment_date", batch_container_assignment_id="assignment_id")
    at_sea = (pl.col("sample_date") - pl.col("assignment_date")).dt.total_days() * tiny().farm.speed / 30.4
    episodes = tiny().frame("life_episode")
    panels = samples.join(site, on="batch_container_assignment_id").filter(
        pl.col("quantitative_results").str.contains("SAV") & pl.col("quantitative_results").str.contains("PMCV")
    )
    assert panels.height
    seen = {True: 0, False: 0}
    rows = panels.select("sample_date", "site", "quantitative_results", months=at_sea).iter_rows()
    for date, place, text, months in rows:
        result = json.loads(text)
        assert list(result) == ["PRV", "SAV", "PMCV"]
        on = episodes.filter(
            (pl.col("site") == place)
            & (pl.col("reason") == REASON["heart and skeletal muscle inflammation"])
            & (pl.col("date") <= date)
            & (date < pl.col("date") + pl.duration(days=pl.col("days")))
        )
        found = result["PRV"]
        if on.height and months > 3.0:
            assert found["positive"]
            assert found["ct"] <= ILL_CT[1]
        if found["positive"]:
            low, high = ILL_CT if found["ct"] < CARRIER_CT[0] else CARRIER_CT
            assert low <= found["ct"] <= high
        seen[bool(on.height and months > 3.0)] += 1
    assert all(seen.values())


def test_pathogens_are_looked_for_where_they_live() -> None:
    """Those of gills in gill swabs, and those of hearts in none of them: panels and diagnoses alike."""
    kinds = tiny().frame("health_sampletype").select("name", sample_type_id="id")
    known = tiny().frame("health_healthlabsample").join(kinds, on="sample_type_id").drop_nulls("quantitative_results")
    looked: dict[str, set[str]] = {one.name: set() for one in PATHOGENS}
    for kind, text in known.select("name", "quantitative_results").iter_rows():
        for name in looked.keys() & json.loads(text).keys():
            looked[name].add(kind)
    for one in PATHOGENS:
        if one.sample == "Gill swab":
            assert looked[one.name] == {"Gill swab"}
        else:
            assert "Heart" in looked[one.name]
            assert looked[one.name] <= {"Heart", "Kidney"}
    month = known.filter(pl.col("findings_summary").str.starts_with("PCR "), pl.col("name") != "Kidney")
    assert set(month["name"]) == {"Heart", "Gill swab"}
    assert not month.filter(name="Gill swab")["findings_summary"].str.contains("PRV|SAV|PMCV").any()


def test_a_vaccination_is_an_anchor_of_the_daily_states() -> None:
    """R12: the mean of the weighed fish, confidence 0.90, unless fish were weighed for growth on that day."""
    grams = pl.col("weight_g").cast(pl.Float64)
    means = tiny().frame(FISH).group_by("sampling_event_id").agg(mean_g=grams.mean())
    weighed = (
        tiny()
        .frame("health_treatment")
        .filter("includes_weighing")
        .join(means, on="sampling_event_id")
        .select("mean_g", assignment_id="batch_assignment_id", date=pl.col("treatment_date").dt.date())
    )
    vaccinated = tiny().life.treatments.filter(method=VACCINE)
    assert weighed.height == vaccinated.height > 10
    samples = tiny().frame("batch_growthsample").select("assignment_id", date="sample_date", sampled=True)
    states = (
        tiny()
        .frame("batch_actualdailyassignmentstate")
        .join(weighed, on=["assignment_id", "date"])
        .join(samples, on=["assignment_id", "date"], how="left")
    )
    assert states.height == weighed.height
    graded = (
        tiny().frame("batch_transferaction").select(assignment_id="source_assignment_id", date="actual_execution_date")
    )
    alone = states.filter(pl.col("sampled").is_null()).join(graded, on=["assignment_id", "date"], how="anti")
    sampled = states.filter("sampled")
    assert alone.height > 0
    assert set(sampled["anchor_type"]) <= {"growth_sample"}
    assert set(alone["anchor_type"]) == {"vaccination"}
    assert alone["confidence_scores"].str.contains('"weight": 0.9}', literal=True).all()
    error = alone.select((pl.col("avg_weight_g").cast(pl.Float64) - pl.col("mean_g")).abs().max()).item()
    assert error <= 0.0051
