"""Profiles and settings: what is accepted, what is refused, and how it is said."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.mistakes import nearest
from aquamind_pipeline.pipeline.farm import Farm
from aquamind_pipeline.profiles import is_anchored, load_profile, profile_names
from aquamind_pipeline.quality.faults import FAULTS
from aquamind_pipeline.settings import load_settings, warn_of_unknown_variables
from aquamind_pipeline.simulation.profile import Profile

OWN = (
    'description = "x"\nseed = 1\nepoch = 2026-01-01\nas_of = 2026-02-01\n'
    "batches_per_geography = 1\nstagger_days = 30\neggs = [1000, 1000]\n"
)


def test_every_profile_loads() -> None:
    assert {"single", "test-40", "saturation-170", "tiny"} <= set(profile_names())
    for name in profile_names():
        anchor = date(2026, 7, 1) if is_anchored(name) else None
        assert load_profile(name, anchor=anchor).name == name


@pytest.mark.parametrize("name", ["single", "test-40", "saturation-170"])
def test_eggs_give_aquaminds_population_on_day_91(name: str) -> None:
    """2.8 to 3.2 million on day 91 (AquaMind's verify script), whatever the draw: 90 days at 0.15 % a day."""
    least, most = load_profile(name).eggs
    survival = (1 - 0.0015) ** 90
    assert 3_250_000 <= least <= most <= 3_600_000
    assert least * survival * 0.98 >= 2_800_000
    assert most * survival * 1.02 <= 3_200_000


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        (
            {"profile": "salmon"},
            "there is no profile 'salmon'; there are saturation-170, saturation-1700, single, test-40, tiny, uat-lad",
        ),
        ({"profile": "tiny", "as_of": date(2020, 1, 1)}, "as_of 2020-01-01 lies before epoch 2026-02-02"),
        ({"profile": "tiny", "seed": -1}, "seed"),
        ({"seed": "many"}, r"setting seed \(AQUAMIND_SEED\)"),
        ({"pages_url": "ftp://x"}, r"setting pages_url \(AQUAMIND_PAGES_URL\)"),
        ({"colour": "red"}, r"setting colour \(AQUAMIND_COLOUR\): there is no such key; there are profile, seed, "),
        ({"seeds": 3}, r"setting seeds \(AQUAMIND_SEEDS\): there is no such key; did you mean seed\?"),
        ({"executor": "multi"}, "choose one of 'in_process', 'multiprocess' or 'dask', not 'multi'"),
        ({"as_of": "2026-13-01"}, "write a day, as 2026-06-30, or today, not '2026-13-01'"),
        ({"since": "June"}, "write a month, as 2026-06, not 'June'"),
        ({"skip_checks": ("expectation",)}, r"there is no check 'expectation'; did you mean expectations\?"),
        ({"skip_checks": ("schema",)}, "check schema is needed and cannot be skipped"),
        ({"reload": "maybe"}, "write true or false, not 'maybe'"),
        (
            {"profile": "tinny", "faults": ("nope",)},
            r"2 mistakes: \(1\) there is no profile 'tinny'; did you mean tiny\?",
        ),
        (
            {"profile": "tiny", "faults": ("doubled-transfer", "x")},
            r"mistakes: \(1\) .* did you mean doubled-transfers\?",
        ),
        (
            {"seed": "x", "pages_url": "x", "executor": "x"},
            r"^3 mistakes: \(1\) setting seed \(AQUAMIND_SEED\): write a whole number, not 'x' \(2\)",
        ),
    ],
)
def test_bad_settings_name_the_setting(given_: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_settings(**given_)
    assert "\n" not in str(caught.value)


def test_environment_then_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AQUAMIND_PROFILE", "single")
    monkeypatch.setenv("AQUAMIND_SEED", "7")
    assert load_settings().farm.seed == 7
    assert load_settings(seed=8, profile="tiny").farm_name == "tiny-seed-8"
    assert load_settings().lake_path.name == "single-seed-7"


def test_passwords_stay_secret() -> None:
    settings = load_settings(database_url="postgresql://me:hunter2@localhost/x")
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "own.toml' has 7 mistakes: (1) description: this has no value; add it (2) seed: this has no value"),
        ("eggs = ", "cannot be read"),
        (f"{OWN}faults = ['nope']", "there is no fault 'nope'; `aquamind faults` lists all"),
        (f"{OWN}colour = 1", "own.toml': colour: there is no such key; there are description, seed, "),
        (f"{OWN}geographies = 'Scotland'", "geographies: write a list, such as [1, 2], not 'Scotland'"),
        (f"{OWN}geographies = ['Scotland', 'Scotland']", "geographies: names one twice"),
        (f"{OWN}geographies = ['scotland']", "geographies: there is no geography 'scotland'; did you mean Scotland?"),
        (f"{OWN}harvest_weight_g = [-5, 5]", "harvest_weight_g: must be at least 1, not -5"),
        (f"{OWN}meals_per_day = [0, 1, 2]", "meals_per_day: this list has 3 values; give 6"),
        (f"{OWN}meals_per_day = [0, 1, 2, 3, 4, 5, 6]", "meals_per_day: this list has 7 values; give at most 6"),
        (f"{OWN}meals_per_day = [0, 1, 2, 3, 'x', 5]", "meals_per_day.5: write a whole number, not 'x'"),
        (f"{OWN}samples_per_week = 8", "samples_per_week: write at most 7, not 8"),
        (f"{OWN}speed = 0", "speed: write at least 1, not 0"),
        (f"{OWN}speed = 1.5", "speed: write a whole number, not 1.5"),
        (f"{OWN}continues = 'perhaps'", "continues: write true or false, not 'perhaps'"),
        (f"{OWN}bands = 3", "bands: write a table of [smallest, largest]"),
        (f"{OWN}bands = {{batch = [1, 2]}}", "bands: there is no count 'batch'; did you mean batches"),
        (OWN.replace("seed = 1", "seed = -1"), "seed: write at least 0, not -1"),
        (OWN.replace("epoch = 2026-01-01", "epoch = 'soon'"), "epoch: write a day, as 2026-06-30, not 'soon'"),
        (OWN.replace("[1000, 1000]", "[0, 0]"), "eggs: must be at least 1, not 0"),
        (OWN.replace("[1000, 1000]", "[2, 1]"), "eggs: write [smallest, largest]: 2 must not exceed 1"),
        (OWN.replace("2026-02-01", "9999-12-31"), "as_of 9999-12-31 lies after the year 9900; give an earlier day"),
        (
            OWN.replace("stagger_days", "stager_days"),
            "own.toml': stager_days: there is no such key; did you mean stagger_days?",
        ),
        (OWN.replace("seed", "Seed"), "own.toml': Seed: there is no such key; did you mean seed?"),
        (
            OWN.replace("stagger_days", "stager_days").replace("seed = 1", "seed = 'x'")
            + "eegs = 1\nfaults = ['silent', 'x:2']",
            "own.toml' has 5 mistakes: (1) seed: write a whole number, not 'x' (2) stager_days: there is no such key; "
            "did you mean stagger_days? (3) eegs: there is no such key; did you mean eggs? (4) there is no fault 'sil",
        ),
    ],
)
def test_bad_profile_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        Farm(path)
    assert "\n" not in str(caught.value)
    assert not re.search("Input should|Field required|not permitted|Value error", str(caught.value))


def test_own_profile_file(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    assert load_profile(str(path)).name == "own"
    assert Farm(path).profile.name == "own"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": ""}, "there is no table ''; Farm.tables lists all"),
        ({"name": ["batch_batch"]}, "there is no table ['batch_batch']"),
        ({"name": "batch_bach"}, "there is no table 'batch_bach'; did you mean batch_batch"),
        (
            {"name": "environmental_reading"},
            "there is no table 'environmental_reading'; did you mean environmental_env",
        ),
        ({"name": "batch_batch", "batch": "FI-2026-01"}, "there is no batch 'FI-2026-01'; did you mean FI-2026-001"),
        ({"name": "batch_batch", "batch": [1, 2]}, "there is no batch [1, 2]; Farm.batches and Farm.coming list all"),
        ({"name": "batch_batch", "batch": b"FI"}, "there is no batch b'FI'"),
        ({"name": "batch_growthsample", "month": 3}, "there is no month 3: the farm has 2026-02 to 2026-06"),
    ],
)
def test_a_farm_refuses_what_it_does_not_have(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}") as caught:
        Farm("tiny").table(**wrong)
    assert "\n" not in str(caught.value)


def test_regulation_limits_fish_in_a_ring(tiny: Profile) -> None:
    """No more than 200,000 fish in a unit (akvakulturdriftsforskriften § 47 a): refused when read, not found later."""
    with pytest.raises(ValueError, match="200,000 allowed"):
        Profile.model_validate(tiny.model_dump() | {"eggs": (5_000_000, 5_000_000)})


@given(st.integers(0, 2000), st.integers(0, 400))
def test_later_as_of_only_adds_batches(day: int, more: int) -> None:
    farm = load_profile("test-40")
    until = date.fromordinal(farm.epoch.toordinal() + day)
    later = date.fromordinal(until.toordinal() + more)
    first, second = farm.starts(until), farm.starts(later)
    assert second[: len(first)] == first
    assert all(until < start <= later for start, _ in second[len(first) :])


def test_identity_is_of_what_decides_rows(tiny: Profile) -> None:
    assert tiny.model_copy(update={"as_of": date(2027, 1, 1)}).identity == tiny.identity
    assert tiny.model_copy(update={"description": "x"}).identity == tiny.identity
    assert tiny.model_copy(update={"seed": 1}).identity != tiny.identity
    assert tiny.model_copy(update={"stagger_days": 23}).identity != tiny.identity


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"home": "/farm/a\nb"}, r"AQUAMIND_HOME: '/farm/a\nb' has a control character"),
        ({"lake": "/farm/\x1b[31m"}, r"AQUAMIND_LAKE: '/farm/\x1b[31m' has a control character"),
        ({"home": "/farm/\udcff"}, r"AQUAMIND_HOME: '/farm/\udcff' is not valid UTF-8"),
        ({"lake": "/farm/\udcff"}, r"AQUAMIND_LAKE: '/farm/\udcff' is not valid UTF-8"),
    ],
)
def test_folders_that_no_library_could_open_are_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_settings(profile="tiny", **given)


@pytest.mark.parametrize("name", [".", "..", ".hidden", "a\nb", "a\udcffb"])
def test_a_profile_whose_name_is_no_name_for_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    """A profile `...toml` would make its lake one folder above all lakes."""
    path = tmp_path / f"{name}.toml"
    path.write_text(OWN)
    with pytest.raises(ConfigError, match="must be printable and not begin with a dot"):
        load_profile(str(path))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AQUAMIND_SEEDS", "; did you mean AQUAMIND_SEED?"),
        ("AQUAMIND_SKIP_CHECK", "; did you mean AQUAMIND_SKIP_CHECKS?"),
        ("aquamind_fault", "; did you mean AQUAMIND_FAULTS?"),
        ("AQUAMIND_DATABASEURL", "; did you mean AQUAMIND_DATABASE_URL"),
        ("AQUAMIND_COLOUR", ""),
    ],
)
def test_variables_that_are_no_settings_are_warned_about(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, meant: str
) -> None:
    """By name only: a value may be secret. Settings, empty variables and those of others are not mentioned."""
    monkeypatch.setenv("AQUAMIND_SEED", "3")
    monkeypatch.setenv("aquamind_history", "1")
    monkeypatch.setenv("AQUAMIND_NOTHING", "")
    monkeypatch.setenv("AQUAMINDS", "1")
    monkeypatch.setenv(name, "hunter2")
    warn_of_unknown_variables()
    (said,) = caplog.messages
    assert said.startswith(f"the variable {name} is no setting and has no effect{meant}")
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("doubled-transfer", "doubled-transfers"),
        ("Doubled_Transfers", "doubled-transfers"),
        ("sensor_dropuot", "sensor-dropout"),
        ("double", "double-booking"),
        ("doubld", "doubled-transfers"),
        ("silent", "silent-farm"),
    ],
)
def test_the_nearest_names_are_few_and_the_first_one_fits(name: str, first: str) -> None:
    near = nearest(name, FAULTS)
    assert near[0] == first
    assert len(near) <= 3
    assert nearest("nothing-like-it-at-all", FAULTS) == []
