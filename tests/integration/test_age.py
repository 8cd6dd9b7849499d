"""What a load says about a farm whose last day is long ago."""

from __future__ import annotations

from datetime import date

import pytest
from pydantic import SecretStr

from aquamind_pipeline.cli.results import print_age
from aquamind_pipeline.settings import load_settings


@pytest.mark.parametrize(
    ("today", "says"),
    [
        (date(2026, 6, 10), False),
        (date(2026, 6, 11), True),
        (date(2026, 5, 1), False),
        (date(2027, 1, 3), True),
    ],
)
def test_an_old_farm_in_aquaminds_database_is_told(
    loaded_aquamind: SecretStr, capsys: pytest.CaptureFixture[str], today: date, says: bool
) -> None:
    """From the fourth day on: AquaMind's own check calls states older than three days too old."""
    settings = load_settings(profile="tiny", database_url=loaded_aquamind, today=today)
    print_age(settings, settings.farm)
    said = " ".join(capsys.readouterr().out.split())
    assert (f"ends on 2026-06-07, {(today - date(2026, 6, 7)).days} days before today ({today})" in said) is says
    assert ("--as-of today" in said) is says


def test_our_own_database_has_no_such_pages(loaded_own: SecretStr, capsys: pytest.CaptureFixture[str]) -> None:
    for url in (loaded_own, None):
        settings = load_settings(profile="tiny", database_url=url, today=date(2027, 1, 1))
        print_age(settings, settings.farm)
    assert capsys.readouterr().out == ""
