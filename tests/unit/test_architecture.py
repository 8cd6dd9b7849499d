"""The import arrows of the house, what pure code may use, where table names may be listed, and the rings of tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from aquamind_pipeline.apps import REGISTRY
from tests.helpers.places import ROOT

LIBRARY = ROOT / "aquamind_pipeline"
COMPAT = LIBRARY / "orchestration" / "compat"
BASE = {"errors", "arithmetic", "late_imports", "months", "files", "mistakes", "platforms", "text_tables"}
"""What every room may use. These know nothing but each other."""
BELOW: dict[str, set[str]] = {
    "simulation": set(),
    "growth": set(),  # it computes states from records alone: it never sees the lives that were simulated
    "projection": set(),  # so does it: it projects scenarios from their models alone
    "schema": {"simulation"},
    "apps": {"schema", "simulation", "growth", "projection"},
    "quality": {"apps", "schema", "simulation"},
    "profiles": {"simulation", "apps", "schema", "quality"},
    "lake": {"apps", "schema", "simulation"},
    "postgres": {"lake", "apps", "schema", "simulation"},
    "settings": {"profiles", "postgres", "lake", "quality", "simulation"},
    "pipeline": {"settings", "profiles", "postgres", "lake", "quality", "apps", "schema", "growth", "simulation"},
}
"""Each room and the rooms that it may import, from the bottom up. The rooms above may import all of these."""
LOWER = set(BELOW)
BELOW |= {
    "report": LOWER,
    "orchestration": LOWER,
    "assets": LOWER | {"orchestration", "report"},
    "checks": LOWER | {"orchestration", "report"},
    "definitions": LOWER | {"orchestration", "report", "assets", "checks"},
    "cli": LOWER | {"orchestration", "report", "definitions"},
}
UPWARDS = {("orchestration/run_jobs.py", "definitions")}
"""Arrows that point up: running a job needs the definitions that orchestration is part of."""
PURE = ("simulation", "growth", "projection", "schema", "apps", "quality", "arithmetic", "months", "errors")
"""What is a pure function of frames and parsed values."""
NOT_PURE = {
    "dagster",
    "duckdb",
    "glob",
    "io",
    "obstore",
    "os",
    "pathlib",
    "psutil",
    "psycopg",
    "random",
    "requests",
    "rich",
    "secrets",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "time",
    "urllib",
    "uuid",
}
NOT_PURE_CALLS = {
    "open",
    "now",
    "utcnow",
    "today",
    "getenv",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "read_parquet",
    "scan_parquet",
    "write_parquet",
    "sink_parquet",
    "read_csv",
    "default_rng",
    "import_module",
}
PURE_BUT = {
    ("schema/registry.py", "import_module"): "discovers the modules of apps/",
    ("schema/registry.py", "pathlib"): "discovers the modules of apps/",
    ("quality/matrix.py", "read_text"): "reads the matrix that comes with the package",
    ("quality/realism.py", "read_text"): "reads the figures of real farms that come with the package",
}
"""What pure code uses all the same, and what for."""


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imports(file: Path) -> Iterator[str]:
    """Modules that a file imports anywhere, in full."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(room: str) -> list[Path]:
    folder = (ROOT if room in ("assets", "checks") else LIBRARY) / room
    found = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    assert found
    return found


def rooms(modules: Iterator[str]) -> set[str]:
    """Rooms among these modules; the package itself counts as none."""
    parts = [module.split(".") for module in modules]
    known = BASE | BELOW.keys()
    return {some[1] for some in parts if some[0] == "aquamind_pipeline" and len(some) > 1} & known


def test_every_room_has_its_arrows() -> None:
    there = {path.stem for path in LIBRARY.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert there - {"__init__", "__pycache__"} == BASE | BELOW.keys()


@pytest.mark.parametrize("room", sorted(BASE))
def test_the_base_knows_nothing_above(room: str) -> None:
    for file in files(room):
        assert rooms(imports(file)) <= BASE, file


@pytest.mark.parametrize("room", BELOW)
def test_a_room_knows_only_the_rooms_below(room: str) -> None:
    above = {
        (str(file.relative_to(LIBRARY if LIBRARY in file.parents else ROOT)), other)
        for file in files(room)
        for other in rooms(imports(file)) - {room} - BASE - BELOW[room]
    }
    assert above == {(file, other) for file, other in UPWARDS if file.split("/")[0] == room}


def test_no_arrows_form_a_circle() -> None:
    """The table above is in order: each room may import only rooms that stand before it."""
    order = list(BELOW)
    for room, below in BELOW.items():
        assert {other for other in below if order.index(other) >= order.index(room)} == set(), room


@pytest.mark.parametrize("room", PURE)
def test_the_core_is_pure(room: str) -> None:
    """No Dagster, no file, no clock, no environment, no draws but our own."""
    for file in files(room):
        name = str(file.relative_to(LIBRARY))
        used = {module.split(".")[0] for module in imports(file)} & NOT_PURE
        called = {
            node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            for node in ast.walk(tree(file))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
        } & NOT_PURE_CALLS
        assert used | called == {what for place, what in PURE_BUT if place == name}, file


def test_assets_and_checks_are_known_to_the_definitions_only() -> None:
    for file in LIBRARY.rglob("*.py"):
        if file.name != "definitions.py":
            assert not rooms(imports(file)) & {"assets", "checks"}, file
    for file in ROOT.glob("*/**/*.py"):
        if ".venv" not in file.relative_to(ROOT).parts:
            tops = {module.split(".")[0] for module in imports(file)}
            assert not tops & {"assets", "checks"}, (
                f"{file}: import aquamind_pipeline.assets, as an installed package has it"
            )


def test_private_names_of_dagster_are_few_and_in_one_package() -> None:
    """Each new version of Dagster may change them. `.venv` holds Dagster itself."""
    private = {
        (file, module)
        for file in ROOT.rglob("*.py")
        if ".venv" not in file.relative_to(ROOT).parts
        for module in imports(file)
        if module.startswith("dagster._")
    }
    assert not [str(file) for file, _ in private if COMPAT not in file.parents]
    assert len(private) == 25, "fewer is better: write the new number here; more needs a reason"


LISTS = ast.Tuple | ast.List | ast.Set | ast.Dict | ast.Call
LISTED = {
    LIBRARY / "schema" / "inputs.py": "the plan is three tables that come first",
    LIBRARY / "quality" / "farm_rules.py": "rules on the whole farm name the tables that they read",
    ROOT / "tests" / "tools" / "aquamind_schema.py": "AquaMind's migrations insert rows into some tables",
}
"""Files outside apps/ that may list tables, and why."""
FEW = 2
"""A rule or figure may name a table or two. A list of three is one that a new table can be missing from."""


def listed(file: Path) -> Iterator[str]:
    """Literals that list tables by name, each as `file:line: names`. Only the innermost of nested ones counts."""
    for node in ast.walk(tree(file)):
        if isinstance(node, LISTS):
            names = dict.fromkeys(
                child.value
                for child in ast.iter_child_nodes(node)
                if isinstance(child, ast.Constant) and child.value in REGISTRY
            )
            if len(names) > FEW:
                yield f"{file}:{node.lineno}: {', '.join(names)}"


def test_lists_of_tables_are_found(tmp_path: Path) -> None:
    """In every form of a literal; what names the same table often, or two, is none."""
    one, two, three = list(REGISTRY)[:3]
    for text, found in {
        f"x = {one!r}, {two!r}, {three!r}": 1,
        f"x = [{one!r}, 0, {two!r}, {three!r}]": 1,
        f"x = {{{one!r}, {two!r}, {three!r}}}": 1,
        f"x = {{{one!r}: 1, {two!r}: 2, {three!r}: 3}}": 1,
        f"f({one!r}, {two!r}, {three!r})": 1,
        f"x = {one!r}, {two!r}, {two!r}": 0,
        f"x = {one!r}, {two!r}, 'other'": 0,
    }.items():
        (tmp_path / "some.py").write_text(text)
        assert len(list(listed(tmp_path / "some.py"))) == found, text


def test_tables_are_listed_in_their_apps_only() -> None:
    """Everything else asks the registry."""
    places = [LIBRARY, ROOT / "assets", ROOT / "checks", ROOT / "benchmarks", ROOT / "tests"]
    found = [
        line
        for place in places
        for file in sorted(place.rglob("*.py"))
        if LIBRARY / "apps" not in file.parents and file not in LISTED
        for line in listed(file)
    ]
    assert not found, "\n".join(found)


RINGS = ("unit", "contract", "integration", "browser")
NOT_UNIT = ("multiprocessing", "psycopg", "pty", "subprocess", "tests.helpers.commands", "tests.helpers.objects")
"""What quick tests do without: processes, servers, and whole runs."""


def test_every_test_is_in_a_ring() -> None:
    tests = ROOT / "tests"
    assert not [path for path in tests.rglob("test_*.py") if path.relative_to(tests).parts[0] not in RINGS]
    assert not [path for path in (tests / "helpers").rglob("*.py") if "def test_" in path.read_text("utf-8")]


def test_unit_tests_start_nothing() -> None:
    for file in (ROOT / "tests" / "unit").rglob("*.py"):
        used = [m for m in imports(file) if m.startswith(NOT_UNIT) or m.endswith((".run_job", ".execute_job"))]
        assert not used, file
