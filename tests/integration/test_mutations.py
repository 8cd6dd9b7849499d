"""Every rule passes on a correct farm, every fault is caught, and every rule catches something."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.quality import matrix
from aquamind_pipeline.quality.common_rules import EXPECTATIONS
from aquamind_pipeline.quality.farm_rules import FARM_RULES
from aquamind_pipeline.quality.faults import FAULTS
from aquamind_pipeline.quality.rules import DATABASE_STATEMENTS, STATEMENTS, rules_of
from aquamind_pipeline.settings import Settings, load_settings
from tests.helpers.farms import make_lake
from tests.helpers.golden import stale
from tests.helpers.mutations import caught, spoiled, spoiled_tables
from tests.helpers.places import DOCS

OF_THE_LAKE = set(STATEMENTS) - {one.name for one in DATABASE_STATEMENTS}
"""Rules that the lake alone can break. Other tests break those of the database."""
PAGE = DOCS / "checks.md"
MATRIX = Path(matrix.__file__).with_name("matrix.json")


def test_a_correct_farm_passes_every_rule(built: Settings) -> None:
    found = list(Workspace(built).checks().everything())
    assert [(name, one.rule, one.detail) for name, one in found if not one.passed] == []
    looked_at = {(name, one.rule) for name, one in found}
    of_tables = {(name, rule) for name in REGISTRY.aquamind for rule in rules_of(name)}
    assert looked_at == of_tables | {(rule.about, rule.name) for rule in FARM_RULES}
    assert {rule for _, rule in looked_at} == OF_THE_LAKE


def test_every_fault_is_caught_by_the_rules_that_the_matrix_shows(built: Settings, tmp_path: Path) -> None:
    """All but the suites of Great Expectations, which take most of the time."""
    rules = OF_THE_LAKE - {EXPECTATIONS.name}
    seen = {name: sorted(caught(built, spoiled(built, name, tmp_path / name), rules)) for name in FAULTS}
    shown = json.loads(MATRIX.read_text("utf-8"))
    assert seen == {name: [rule for rule in some if rule in rules] for name, some in shown.items()}, stale(MATRIX)
    assert PAGE.read_text("utf-8") == matrix.as_markdown(shown), stale(PAGE)


@pytest.mark.slow
@pytest.mark.generated
def test_the_matrix_is_the_one_shown(built: Settings, tmp_path: Path) -> None:
    """Fault by fault, which rules see it; each fault is seen, and each rule sees one. `make renew` writes the page."""
    found = {name: caught(built, spoiled(built, name, tmp_path / name)) for name in FAULTS}
    seen = {name: sorted(rules) for name, rules in found.items()}
    if os.environ.get("WRITE_GOLDEN"):
        MATRIX.write_text(json.dumps(seen, indent=2) + "\n")
        PAGE.write_text(matrix.as_markdown(seen))
    assert seen == json.loads(MATRIX.read_text("utf-8")), stale(MATRIX)
    assert PAGE.read_text("utf-8") == matrix.as_markdown(seen), stale(PAGE)
    assert all(seen.values()), "a fault that nobody sees"
    assert OF_THE_LAKE - {rule for rules in seen.values() for rule in rules} == set(), "rules that see nothing"
    by_table = {(name, rule) for rules in found.values() for rule, names in rules.items() for name in names}
    own = {(name, rule.name) for name in REGISTRY.aquamind for rule in REGISTRY[name].rules}
    assert own - by_table == set(), "a table's own rules that see nothing there"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 21))
def test_every_fault_is_caught_on_other_farms(seed: int, home: Path, tmp_path: Path) -> None:
    settings = load_settings(profile="tiny", seed=seed, home=home / f"seed-{seed}")
    make_lake(settings)
    assert [one for _, one in Workspace(settings).checks().everything() if not one.passed] == []
    made = {name: spoiled(settings, name, tmp_path / name) for name in FAULTS}
    seen = {name: set(caught(settings, one)) for name, one in made.items()}
    assert [name for name, rules in seen.items() if not rules and spoiled_tables(settings, made[name])] == []
    idle = [name for name, rules in seen.items() if not rules]
    assert len(idle) <= 2, f"a small farm has no planned transfer or no mixed batch, but all else: {idle}"
    assert OF_THE_LAKE - set().union(*seen.values()) == set()
