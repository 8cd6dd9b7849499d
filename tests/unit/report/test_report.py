"""The report's own parts: its files, its texts, the bands of a profile."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from aquamind_pipeline import report
from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.pipeline import check_results
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.quality import farm_rules
from aquamind_pipeline.report import Check, Report, Section
from aquamind_pipeline.report.render_text import as_text
from aquamind_pipeline.report.sections import volumes
from aquamind_pipeline.report.sections.bands import band_checks, bands
from aquamind_pipeline.report.sections.growth import survival_of_eggs
from aquamind_pipeline.settings import load_settings
from aquamind_pipeline.simulation.biology import STAGES
from aquamind_pipeline.simulation.life import live
from aquamind_pipeline.simulation.schedule import schedule
from tests.helpers.reports import WRONG, save_failed_page

FIRST = date(2026, 2, 2)


def a_report() -> Report:
    checks = [Check("batches", True, "6 batches"), Check("volumes", False, "not as planned")]
    return Report(
        "a farm", "a database", "2026-06-07", [Section("Batches", ["what", "batches"], [["total", 6]], checks)]
    )


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "farm.json"
    with pytest.raises(LakeError, match="there is no report .*aquamind verify"):
        report.load_saved(path)
    report.save(a_report(), path)
    assert report.load_saved(path) == a_report()
    assert not report.load_saved(path).passed
    path.write_text(path.read_text()[:-9])
    with pytest.raises(LakeError, match="there is no report"):
        report.load_saved(path)
    with pytest.raises(LakeError, match=r"farm.json/x cannot be written \(.*\): check AQUAMIND_HOME"):
        report.save(a_report(), path / "x")


def test_tables_of_events_come_first() -> None:
    """The longest first; then the tables that are kept whole."""
    farm = load_profile("tiny")
    counts = {name: number for number, name in enumerate(REGISTRY.aquamind, 1)}
    found = volumes.section(farm, schedule(farm), counts, None)
    names = [row[0] for row in found.rows]
    events = sorted(REGISTRY.monthly, key=lambda name: -counts[name])
    assert names[: found.lead] == ["all tables", *events]
    assert set(names[found.lead :]) == set(REGISTRY.whole)
    assert found.wrong == {name for check in found.checks for name in check.rows} > set()
    assert len(set(names)) == len(names)


def test_a_page_leads_from_failed_checks_to_rows(tmp_path: Path) -> None:
    """Every link to a part of the page has its target, once. Rows are text, not HTML."""
    settings = load_settings(profile="tiny", home=tmp_path)
    page = save_failed_page(settings).read_text("utf-8")
    targets = re.findall(r'id="([^"]+)"', re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL))
    assert len(set(targets)) == len(targets)
    links = set(re.findall(r' href="#([^"]+)"', page))
    assert {f"row-1-{WRONG}", "wrong-1", "wrong-2"} <= links <= set(targets)
    assert "&lt;b&gt;&amp;" in page
    assert "0.333333<" in page
    assert "data_docs" not in page
    docs = report.page_path(settings).with_suffix("") / "data_docs" / f"{WRONG}.html"
    docs.parent.mkdir(parents=True)
    docs.touch()
    assert f'href="tiny/data_docs/{WRONG}.html"' in save_failed_page(settings).read_text("utf-8")


def test_results_of_an_older_version_are_read(tmp_path: Path) -> None:
    settings = load_settings(profile="tiny", home=tmp_path)
    save_failed_page(settings)
    path = next(settings.reports_path.rglob("rules.json"))
    old = [{key: value for key, value in row.items() if key != "sample"} for row in json.loads(path.read_text())]
    path.write_text(json.dumps(old))
    assert check_results.load(settings)["sample"].null_count() == len(old)


def test_markdown_has_a_row_for_each_check() -> None:
    lines = report.as_markdown(a_report()).splitlines()
    assert lines[2:] == [
        "| Batches | batches | yes | 6 batches |",
        "| Batches | volumes | **no** | not as planned |",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "yes"), (False, "no"), (1234567, "1,234,567"), (0.12345, "0.1235"), (1234.56, "1,234.6")],
)
def test_figures_as_people_write_them(value: object, text: str) -> None:
    assert as_text(value) == text


def test_bands_are_checked_at_the_profiles_own_last_day() -> None:
    farm = load_profile("test-40")
    ranges = bands(farm)
    assert set(ranges) > {"batches", "completed"}
    for bound, passed in ((0, True), (1, True), (-1, False)):
        counts = {name: (least - 1, least, most)[bound + 1] for name, (least, most) in ranges.items()}
        checks = band_checks(farm, counts | {"batch_batch": 1})
        assert [(check.name, check.passed) for check in checks] == [(f"band of {name}", passed) for name in ranges]
    assert [check.name for check in band_checks(farm, {"completed": 25})] == ["band of completed"]
    assert not band_checks(farm.model_copy(update={"as_of": farm.as_of + timedelta(days=1)}), {"completed": 0})


@pytest.mark.parametrize("seed", [1, 2, 3, 9001, 9002])
def test_fish_of_every_farm_survive_the_egg_stage_within_bounds(seed: int) -> None:
    """Also where trays are few and fish live ten times as fast; a farm that lost a tenth more is outside."""
    farm = load_profile("tiny").model_copy(update={"seed": seed})
    plan = schedule(farm)
    days = farm.stage_days(STAGES[0].days)
    first = live(farm, plan).days.filter(pl.col("batch_day") == days)
    arrived = first.group_by("batch_id").agg(fish=(pl.col("population") + pl.col("deaths")).sum())
    share = arrived.join(plan.batches, on="batch_id").select(pl.col("fish") / pl.col("eggs"))["fish"]
    least, most = survival_of_eggs(farm, days)
    assert share.is_between(least, most).all()
    assert not (share * 0.9).is_between(least, most).any()


def test_days_on_which_a_batch_gains_fish() -> None:
    """A batch is compared with its own day before and eggs that came, in any order of rows."""
    days = pl.DataFrame(
        [
            (2, FIRST, 50, 1, 50),
            (1, FIRST + timedelta(days=2), 9, 2, None),
            (1, FIRST, 10, 1, 10),
            (1, FIRST + timedelta(days=1), 8, 1, None),
            (2, FIRST + timedelta(days=1), 50, 2, None),
            (3, FIRST, 20, 1, 20),
            (3, FIRST + timedelta(days=1), 29, 1, 10),
            (3, FIRST + timedelta(days=2), 40, 1, 10),
        ],
        schema=["batch_id", "date", "fish", "stage", "eggs"],
        orient="row",
    )
    compared = farm_rules.with_day_before(days).select("batch_id", "fish", "fish_before", "transition", "gains")
    assert compared.rows() == [
        (1, 10, None, None, None),
        (1, 8, 10, False, False),
        (1, 9, 8, True, True),
        (2, 50, None, None, None),
        (2, 50, 50, True, False),
        (3, 20, None, None, None),
        (3, 29, 20, False, False),
        (3, 40, 29, False, True),
    ]
