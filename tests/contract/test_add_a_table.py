"""docs/add-a-table.md, carried out on a copy of the project: the page cannot say what does not work."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from tests.helpers.commands import QUICK
from tests.helpers.places import DOCS, ROOT

PAGE = (DOCS / "add-a-table.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.py)\n")
BIN = Path(sys.executable).parent
NEW_PACKAGE = "aquamind_pipeline/apps/broodstock/"
MODULE = "eggs.py"
GENERATED = {
    "docs/tables.md",
    "tests/data/definitions.json",
    "tests/data/tiny_digests.json",
}
MATRIX = {"aquamind_pipeline/quality/matrix.json", "docs/checks.md"}
"""What `make renew` writes anew for these tables, and for their faults."""
TABLES = ("broodstock_breedingplan", "broodstock_eggproduction", "broodstock_externaleggbatch")
"""Tables that the page adds."""


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(PAGE) if found == language]


def files() -> dict[str, str]:
    """The files that the page writes: blocks of one file follow each other, two empty lines apart."""
    written: dict[str, list[str]] = {}
    for text in blocks("python"):
        found = FILE.match(text)
        assert found is not None, f"a block says in its first line which file it is of: {text[:60]}"
        written.setdefault(found[1], []).append(text[found.end() :].strip("\n"))
    return {path: "\n\n\n".join(parts) + "\n" for path, parts in written.items()}


def hashes(folder: Path) -> dict[str, str]:
    skipped = {"__pycache__", ".ruff_cache", ".mypy_cache", ".pytest_cache", ".hypothesis"}
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {
        path.as_posix(): hashlib.sha256((folder / path).read_bytes()).hexdigest()
        for path in found
        if not skipped.intersection(path.parts)
    }


class Project:
    """A copy of the project, and commands that run in it."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
        for path in filter(None, tracked.stdout.split("\0")):
            if (ROOT / path).exists():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, folder / path, follow_symlinks=False)
        self.before = hashes(folder)
        self._environment = os.environ | {
            "PYTHONPATH": str(folder),
            "AQUAMIND_HOME": str(home),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def succeed(self, *command: str, **environment: str) -> None:
        done = self.run(*command, **environment)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]

    def changed(self) -> set[str]:
        """Files that are not as they were, new ones included."""
        after = hashes(self.folder)
        return {path for path in self.before.keys() | after.keys() if self.before.get(path) != after.get(path)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with what the page writes, before anything generated is renewed."""
    copy = Project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("home"))
    for path, text in files().items():
        assert not (copy.folder / path).exists(), f"{path} exists: the page needs another example"
        (copy.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (copy.folder / path).write_text(text, "utf-8")
    patch = copy.folder / "page.patch"
    patch.write_text("".join(blocks("diff")), "utf-8")
    copy.succeed("git", "apply", "--recount", patch.name)
    patch.unlink()
    return copy


@pytest.fixture(scope="module")
def renewed(project: Project) -> Project:
    """The same after `make renew`, which finds this environment instead of making one. The matrix of faults stays as it
    was: it takes longest, and a slow test renews it. The pages that show other tables stay, too.
    """
    renew(project, "ARGS=-k 'not matrix and not pages'")
    return project


def renew(project: Project, *variables: str) -> None:
    project.succeed("make", "-o", "install", f"BIN={BIN}", "renew", *variables)


def test_the_page_shows_these_commands() -> None:
    assert blocks("sh") == ["make renew\nmake lint\naquamind build --profile tiny\n"]


def test_the_page_shows_aquaminds_columns() -> None:
    """The SQL of the page stands in the generated schema as it is shown."""
    schema = (ROOT / "tests" / "data" / "aquamind_schema.sql").read_text("utf-8")
    for text in blocks("sql"):
        assert text in schema


def test_the_new_module_is_clean(project: Project) -> None:
    """As `make lint` wants it."""
    project.succeed("ruff", "check", NEW_PACKAGE)
    project.succeed("ruff", "format", "--check", NEW_PACKAGE)


@pytest.mark.slow
def test_the_new_module_is_typed(project: Project) -> None:
    project.succeed("mypy", "-p", NEW_PACKAGE.strip("/").replace("/", "."))


@pytest.mark.timeout(900)
def test_one_file_outside_the_new_module_is_touched(renewed: Project) -> None:
    """That of the fault; without a rule of one's own there is none."""
    outside = {path for path in renewed.changed() if not path.startswith(NEW_PACKAGE)}
    assert outside - GENERATED - MATRIX == {"aquamind_pipeline/quality/faults.py"}
    assert outside >= GENERATED


@pytest.mark.timeout(900)
def test_bytes_of_other_tables_stay(renewed: Project) -> None:
    golden = "tests/data/tiny_digests.json"
    before, after = (json.loads((folder / golden).read_text())["digests"] for folder in (ROOT, renewed.folder))
    new = {path for path in after if path.startswith(TABLES)}
    assert {path: digest for path, digest in after.items() if path not in new} == before
    assert len({path.partition("/")[0] for path in new}) == len(TABLES)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_new_tables_keep_the_contract(renewed: Project) -> None:
    """The tests that the page names ran for them: those of every definition, and of AquaMind's columns and keys."""
    named = ("tests/contract/test_farms.py", "tests/integration/postgres/test_aquamind_tables.py")
    done = renewed.run("pytest", "-q", *named, "-k", " or ".join(TABLES))
    assert done.returncode == 0, done.stdout[-4000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 6 * len(TABLES)


QUERY = """
SELECT count(DISTINCT d.id), count(DISTINCT p.id), (SELECT count(*) FROM broodstock_breedingplan)
FROM broodstock_eggproduction d
JOIN broodstock_externaleggbatch p ON p.egg_production_id = d.id AND p.batch_number = 'EGG-' || d.egg_batch_id
JOIN broodstock_eggsupplier s ON s.id = p.supplier_id
"""
"""Deliveries, their papers, and breeding plans."""


def built_into(project: Project, command: str, url: SecretStr, **environment: str) -> tuple[object, ...] | None:
    """Build or load the farm with the new tables; deliveries, papers and plans that arrived."""
    place = url.get_secret_value()
    aquamind = ("python", "-m", "aquamind_pipeline.cli", command, "--profile", "tiny")
    project.succeed(*aquamind, AQUAMIND_DATABASE_URL=place, **environment)
    with psycopg.connect(place) as connection:
        return connection.execute(QUERY).fetchone()


@pytest.mark.timeout(900)
def test_the_farm_is_built_checked_and_loaded(renewed: Project, migrated: SecretStr) -> None:
    """Into AquaMind's database, where rows get other ids. Nothing of ours is left without its own."""
    assert built_into(renewed, "build", migrated, **QUICK) == (7, 7, 2)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_farm_is_the_same_in_our_own_database(renewed: Project, database: SecretStr, migrated: SecretStr) -> None:
    """With all checks, those of Great Expectations included."""
    assert built_into(renewed, "build", database) == built_into(renewed, "load", migrated)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_matrix_of_faults_is_renewed(renewed: Project) -> None:
    renew(renewed, "ARGS=-k matrix")
    assert renewed.changed() >= GENERATED | MATRIX


IMPORT = "import aquamind_pipeline.apps"
MAKE = "import aquamind_pipeline as aq; aq.Farm('tiny').table('broodstock_eggproduction')"


@pytest.mark.parametrize(
    ("text", "instead", "program", "message"),
    [
        ('    natural_key=("name",),\n', "", IMPORT, "broodstock_breedingplan has no `natural_key`: write "),
        (
            ', comment="Eggs that were delivered"',
            "",
            IMPORT,
            "egg_count means: write comment=",
        ),
        (
            "(*PLAN, DELIVERIES.name)",
            "PLAN",
            IMPORT,
            "hangs on broodstock_eggproduction without ",
        ),
        ("reads=PLAN", "reads=()", MAKE, 'reads plan_batch without saying so: add "plan_batch" to `reads`'),
        (
            '{DELIVERIES.name}.id", unenforced=PARTITIONED',
            '{DELIVERIES.name}.id"',
            IMPORT,
            "add unenforced=PARTITIONED",
        ),
        (
            '"production_date", primary_key=True',
            '"production_date"',
            IMPORT,
            "primary key: add primary_key=True",
        ),
        ('id="batch_id", egg', "egg", MAKE, "missing columns ['id']"),
    ],
    ids=["field", "meaning", "parent", "reads", "unenforced", "key", "column"],
)
def test_what_is_forgotten_is_named(project: Project, text: str, instead: str, program: str, message: str) -> None:
    """The page's table: from a module without the thing comes its place, and what to write."""
    module = project.folder / NEW_PACKAGE / MODULE
    whole = module.read_text("utf-8")
    assert whole.count(text) == 1
    module.write_text(whole.replace(text, instead), "utf-8")
    try:
        done = project.run("python", "-c", program)
    finally:
        module.write_text(whole, "utf-8")
    assert done.returncode != 0
    assert message in done.stderr
    assert re.search(rf"{NEW_PACKAGE}{MODULE}:\d+: ", done.stderr), done.stderr


def test_a_package_without_init_is_named(project: Project) -> None:
    package = project.folder / NEW_PACKAGE / "__init__.py"
    text = package.read_text("utf-8")
    package.unlink()
    try:
        assert "broodstock has no __init__.py" in project.run("python", "-c", IMPORT).stderr
    finally:
        package.write_text(text, "utf-8")
