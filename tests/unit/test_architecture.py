"""The import arrows of the house: who may know whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.places import ROOT

PURE = ("simulation", "growth", "quality", "tables", "arithmetic", "errors")
"""What is a pure function of frames and settings."""
MAY_IMPORT = {
    "errors": set(),
    "files": set(),
    "arithmetic": set(),
    "tables": {"errors"},
    "simulation": {"arithmetic", "errors"},
    "farm": {"arithmetic", "errors", "simulation", "tables"},
    "growth": {"arithmetic", "errors"},
    "quality": {"arithmetic", "farm", "simulation", "tables", "errors"},
    "proof": {"farm", "lake", "quality", "simulation", "tables"},
    "lake": {"errors", "files", "simulation", "tables"},
    "settings": {"errors", "lake", "quality", "simulation"},
    "postgres": {"errors", "lake", "quality", "tables"},
    "pipeline": {"errors", "farm", "files", "lake", "postgres", "quality", "settings", "simulation", "tables"},
    "report": {
        "errors",
        "farm",
        "files",
        "lake",
        "pipeline",
        "postgres",
        "quality",
        "settings",
        "simulation",
        "tables",
    },
    "orchestration": {"definitions", "errors", "lake", "postgres", "proof", "settings", "simulation", "tables"},
}
NOT_PURE = {
    "dagster",
    "duckdb",
    "os",
    "pathlib",
    "psycopg",
    "random",
    "requests",
    "rich",
    "shutil",
    "subprocess",
    "time",
}


def imports(file: Path) -> Iterator[str]:
    """Modules that a file imports anywhere, in full."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(room: str) -> list[Path]:
    folder = ROOT / "aquamind_pipeline" / room
    found = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    assert found
    return found


def rooms(modules: Iterator[str]) -> set[str]:
    """Rooms of the library among these modules."""
    return {m.split(".")[1] for m in modules if m.startswith("aquamind_pipeline.")}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_knows_only_the_rooms_below(room: str) -> None:
    for file in files(room):
        assert rooms(imports(file)) - {room} <= MAY_IMPORT[room], file


@pytest.mark.parametrize("room", PURE)
def test_the_core_is_pure(room: str) -> None:
    allowed = {"pathlib"} if room == "simulation" else set()  # a profile may be given by its path
    for file in files(room):
        used = {module.split(".")[0] for module in imports(file)}
        assert not used & (NOT_PURE - allowed), file
        source = file.read_text(encoding="utf-8")
        for clock in (".now(", ".today(", "np.random", "default_rng"):
            assert clock not in source, f"{file} uses {clock}"


def test_assets_and_checks_are_known_to_the_definitions_only() -> None:
    for file in (ROOT / "aquamind_pipeline").rglob("*.py"):
        tops = {module.split(".")[0] for module in imports(file)}
        if file.name != "definitions.py":
            assert not tops & {"assets", "checks"}, file


def test_assets_do_not_know_checks() -> None:
    for file in (ROOT / "assets").glob("*.py"):
        assert "checks" not in {module.split(".")[0] for module in imports(file)}, file


def test_growth_reads_records_never_life() -> None:
    """States are found again from what was recorded: growth may not even import the simulation."""
    for file in files("growth"):
        assert "simulation" not in rooms(imports(file)), file
