"""The same version of the generator makes the same bytes, on every machine and for ever."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from aquamind_pipeline.settings import Settings
from aquamind_pipeline.simulation.profile import GENERATOR_VERSION
from tests.helpers.farms import digests
from tests.helpers.golden import hold
from tests.helpers.places import DATA

KEPT = {"batch/all": "a", "reading/2026-01": "b", "reading/2026-02": "c"}


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    path = tmp_path / "golden.json"
    path.write_text(json.dumps({"version": 4, "digests": KEPT}))
    return path


@pytest.mark.generated
def test_the_same_seed_gives_the_same_bytes_on_every_machine(built: Settings) -> None:
    """The tiny farm's files, byte for byte. A wanted change raises GENERATOR_VERSION, then `make renew` writes them."""
    hold(DATA / "tiny_digests.json", GENERATOR_VERSION, digests(built.lake_path))


@pytest.mark.parametrize("renew", [False, True])
@pytest.mark.parametrize(
    ("found", "files"),
    [
        (KEPT | {"reading/2026-02": "x"}, "1 files are no longer .*: reading/2026-02. "),
        ({"reading/2026-01": "b", "reading/2026-02": "c"}, "1 files are no longer .*: batch/all. "),
        (KEPT | {"reading/2026-03": "d"}, "1 files are no longer .*: reading/2026-03. "),
        (dict.fromkeys(KEPT, "x"), "3 files are no longer .*: batch/all, reading/2026-01, reading/2026-02. "),
    ],
    ids=["changed", "gone", "another month", "all"],
)
def test_a_version_does_not_change_what_it_made(golden: Path, found: dict[str, str], files: str, renew: bool) -> None:
    """Not even when the files are renewed. The message says where the version is raised."""
    before = golden.read_bytes()
    remedy = "raise GENERATOR_VERSION in aquamind_pipeline/simulation/profile.py, then run `make renew`"
    with pytest.raises(AssertionError, match=f"{files}.*{re.escape(remedy)}"):
        hold(golden, 4, found, renew=renew)
    assert golden.read_bytes() == before
    with pytest.raises(AssertionError, match="is of version 4 and lacks what changed: run `make renew`"):
        hold(golden, 5, found, renew=False)
    hold(golden, 5, found, renew=True)
    assert json.loads(golden.read_text()) == {"version": 5, "digests": found}
    hold(golden, 5, found, renew=False)


def test_a_version_may_make_further_tables(golden: Path) -> None:
    found = KEPT | {"lice/2026-01": "d"}
    with pytest.raises(AssertionError, match="lacks lice/2026-01: run `make renew`"):
        hold(golden, 4, found, renew=False)
    hold(golden, 4, found, renew=True)
    hold(golden, 4, found, renew=False)
    with pytest.raises(AssertionError, match="1 files are no longer"):
        hold(golden, 4, KEPT, renew=True)


def test_a_version_is_never_lowered(golden: Path) -> None:
    with pytest.raises(AssertionError, match="golden.json is of version 4: raise GENERATOR_VERSION"):
        hold(golden, 3, KEPT, renew=True)
