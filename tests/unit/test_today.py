"""Farms that end today, and farms that are anchored to a day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aquamind_pipeline.errors import ConfigError, LakeError
from aquamind_pipeline.lake import Lake, Manifest, anchor_in
from aquamind_pipeline.pipeline.farm import Farm
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.settings import load_settings

DAY, LATER = date(2026, 7, 13), date(2026, 8, 2)
LADDER = "uat-ladder"


def test_today_is_found_out_once_and_given_to_children(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = datetime.now(UTC).date()
    settings = load_settings(profile="tiny", as_of="today")
    assert settings.today in (clock, clock + timedelta(days=1))
    assert settings.farm.as_of == settings.today
    monkeypatch.setenv("AQUAMIND_TODAY", str(LATER))
    child = load_settings(**(settings.texts() | {"today": str(DAY)}))
    assert child.farm.as_of == DAY
    assert load_settings(profile="tiny").farm.as_of == date(2026, 6, 7), "unless it is asked for, today has no effect"


@pytest.mark.parametrize("wrong", ["Today", "now", "2026-02-30", ""])
def test_other_words_are_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="write a day, as 2026-06-30, or today, not"):
        load_settings(profile="tiny", as_of=wrong)


def test_today_does_not_shorten_a_farm(tmp_path: Path) -> None:
    """Nights may have reached beyond the day on which a page was opened, or another clock's day."""
    Lake(tmp_path / "lake").claim(load_profile("tiny", as_of=LATER))
    settings = load_settings(profile="tiny", home=tmp_path, lake=tmp_path / "lake", as_of="today", today=DAY)
    assert Workspace(settings).wanted.as_of == LATER
    given_ = load_settings(profile="tiny", home=tmp_path, lake=tmp_path / "lake", as_of=DAY)
    assert Workspace(given_).wanted.as_of == DAY


def test_a_lake_keeps_the_anchor(tmp_path: Path) -> None:
    """The day of the first build is the anchor. Later builds extend the same farm, also without the anchor."""
    first = load_settings(profile=LADDER, home=tmp_path, today=DAY)
    farm = first.farm
    assert (farm.as_of, farm.default_as_of, farm.epoch) == (DAY, DAY, DAY - timedelta(days=2725))
    assert Lake(first.lake_path).claim(farm).anchor == DAY
    again = load_settings(profile=LADDER, home=tmp_path, today=LATER)
    assert again.farm.identity == farm.identity
    assert Workspace(again).wanted.as_of == LATER
    assert Workspace(again).planned.as_of == DAY
    assert again.farm_name == first.farm_name == LADDER
    same = load_settings(profile=LADDER, lake=first.lake_path, anchor=DAY)
    assert Workspace(same).wanted == farm


def test_another_anchor_is_another_farm(tmp_path: Path) -> None:
    first = load_settings(profile=LADDER, home=tmp_path, today=DAY)
    Lake(first.lake_path).claim(first.farm)
    other = load_settings(profile=LADDER, home=tmp_path, anchor=LATER)
    assert other.farm.identity != first.farm.identity
    assert (other.farm_name, other.lake_path != first.lake_path) == (f"{LADDER}-anchored-{LATER}", True)
    there = load_settings(profile=LADDER, lake=first.lake_path, anchor=LATER)
    with pytest.raises(LakeError, match=f"anchored to {DAY}.* but .*anchored to {LATER}"):
        Workspace(there).wanted  # noqa: B018
    manifests = [Manifest.of(one.farm) for one in (first, other)]
    assert [anchor_in(one.farm) for one in manifests] == [DAY, LATER]
    assert not manifests[0].is_of(manifests[1].farm, manifests[1].identity)
    assert anchor_in(Manifest.of(load_profile("tiny")).farm) is None


OWN = (
    'description = "x"\nseed = 1\nas_of = "today"\nbatches_per_geography = 1\nstagger_days = 30\neggs = [1000, 1000]\n'
)


@pytest.mark.parametrize(
    ("text", "anchor", "message"),
    [
        (OWN + "history_days = 60\n", None, "its as_of is 'today', so its farm is anchored to a day"),
        (OWN + "history_days = 60\nepoch = 2026-01-01\n", DAY, "history_days: this profile has an epoch, too"),
        (OWN.replace('"today"', "2026-03-01") + "history_days = 60\nepoch = 2026-01-01\n", None, "counts back from"),
        (OWN.replace('"today"', '"tomorrow"') + "epoch = 2026-01-01\n", None, "as_of: write a day, as 2026-06-30, or"),
        (OWN + "history_days = 0\n", DAY, "history_days: write at least 1, not 0"),
        (OWN + "history_days = 'x'\n", DAY, "history_days: write a whole number, not 'x'"),
        (OWN, DAY, "epoch: this has no value"),
        (OWN + "history_days = 60\nladder_days = [61]\n", DAY, "ladder_days 61 reaches back beyond epoch 2026-05-14"),
        (OWN + "history_days = 60\nladder_days = [-1]\n", DAY, "write at least 0, not -1"),
        (OWN + "history_days = 60\nshift_days = [0]\n", DAY, "shift_days has 1 numbers; give one for each of the"),
        (OWN + "history_days = 60\nshift_days = [0, 30]\n", DAY, "shift_days 30 must be less than stagger_days 30"),
    ],
)
def test_mistakes_in_anchored_profiles(tmp_path: Path, text: str, anchor: date | None, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Farm(path, anchor=anchor)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.integers(0, 400), st.integers(0, 400))
def test_a_later_day_only_adds_batches_to_an_anchored_farm(day: int, more: int) -> None:
    farm = load_profile(LADDER, anchor=DAY)
    until, later = (DAY + timedelta(days=days - 100) for days in (day, day + more))
    first, second = farm.starts(until), farm.starts(later)
    assert second[: len(first)] == first
    assert all(until < start <= later for start, _ in second[len(first) :])


def test_a_shifted_geography_starts_between_the_others() -> None:
    starts = load_profile("saturation-170").starts(date(2019, 9, 1))
    days = {name: [(day - date(2019, 6, 17)).days for day, one in starts if one == name] for _, name in starts}
    assert days == {"Faroe Islands": [0, 30, 60], "Scotland": [15, 45, 75]}
