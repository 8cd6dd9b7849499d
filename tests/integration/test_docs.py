"""What docs/volumes.md says of profiles of one's own. The examples of docs/lake.md run in test_views.py."""

from __future__ import annotations

import re
from pathlib import Path

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.environmental.readings import READINGS
from aquamind_pipeline.pipeline.preview import preview
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.simulation.profile import Profile
from tests.helpers.commands import aquamind
from tests.helpers.farms import Made
from tests.helpers.places import DOCS

PAGE = (DOCS / "volumes.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_the_pages_own_farm(tmp_path: Path) -> None:
    """The example is planned as the page says, and gives exactly the rows that the page works out."""
    path = tmp_path / "my-farm.toml"
    path.write_text(block("toml"))
    done = aquamind("plan", "--profile", str(path), AQUAMIND_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(block("text"))
    made = Made(load_profile(str(path)))
    rows = preview(made.farm).rows
    for name in REGISTRY.events:
        assert rows[name] in (None, made.frame(name).height), name
    assert f"{rows[READINGS.name]:,} readings" in PAGE


def test_every_key_of_a_profile_is_explained() -> None:
    explained = dict(re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", PAGE.partition("| Key |")[2], re.MULTILINE))
    keys = {
        name: field
        for name, field in Profile.model_fields.items()
        if name not in ("name", "default_as_of", "is_anchored")
    }
    assert explained.keys() == keys.keys()
    assert {n for n, unless in explained.items() if unless == "must be given"} == {
        n for n, field in keys.items() if field.is_required()
    }
