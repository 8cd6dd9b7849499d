"""The package without the project's folder: what is in the wheel, what it needs, and where it runs."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.request
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from aquamind_pipeline.platforms import unsupported
from tests.helpers.farms import wait_for
from tests.helpers.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = [Requirement(one) for one in PROJECT["dependencies"]]
EXTRAS = [Requirement(one) for name in ("dask", "k8s") for one in PROJECT["optional-dependencies"][name]]
UNSUPPORTED = "AquaMind Pipeline runs on Linux with glibc, on macOS, and in WSL2"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, check=True, capture_output=True, cwd=ROOT)
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_has_all_that_the_pipeline_needs_and_one_name(wheel: Path) -> None:
    """Every module, profile, template and setting; no `assets` or `checks` among everybody's packages."""
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
        read = {name: content.read(name) for name in names}
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"aquamind_pipeline"}
    tracked = subprocess.run(
        ["git", "ls-files", "aquamind_pipeline", "assets", "checks"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout.split()
    for name in tracked:
        if not (ROOT / name).is_dir():  # a link to a folder
            inside = name if name.startswith("aquamind_pipeline/") else f"aquamind_pipeline/{name}"
            assert read[inside] == (ROOT / name).read_bytes(), name


@pytest.mark.parametrize("one", [*REQUIREMENTS, *EXTRAS], ids=lambda one: one.name)
def test_a_dependency_has_a_lower_bound_that_the_tests_run_with(one: Requirement) -> None:
    bounds = [bound for bound in one.specifier if bound.operator == ">="]
    assert len(bounds) == 1
    assert one.specifier.contains(metadata.version(one.name))


@pytest.mark.parametrize(
    ("platform", "libraries", "reason"),
    [
        ("linux", "x86_64-linux-gnu", None),
        ("darwin", "darwin", None),
        ("win32", "", "not on Windows itself: install it in WSL2"),
        ("cygwin", "", "not on Windows itself: install it in WSL2"),
        ("linux", "x86_64-linux-musl", "not with musl"),
        ("freebsd14", "", "not on freebsd14"),
    ],
)
def test_where_the_pipeline_runs(platform: str, libraries: str, reason: str | None) -> None:
    said = unsupported(platform, libraries)
    assert said is None if reason is None else said is not None and reason in said


@pytest.mark.parametrize(
    "pretend",
    ["sys.platform = 'win32'", "sys.implementation._multiarch = 'x86_64-linux-musl'"],
)
def test_another_system_ends_in_one_line(pretend: str) -> None:
    """Before anything is imported that such a system lacks."""
    code = (
        f"import sys; {pretend}; sys.modules |= dict.fromkeys(['fcntl', 'pwd', 'termios'])\n"
        "from aquamind_pipeline.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(f"error: {UNSUPPORTED}, not .*\n", done.stderr)


@pytest.mark.slow
def test_an_installed_package_builds_a_farm_and_opens_the_pages(wheel: Path, tmp_path: Path) -> None:
    """From PyPI into a fresh environment, outside the project: `tiny`, its database, and Dagster's pages."""
    venv.create(tmp_path / "venv")
    programs = tmp_path / "venv" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "--quiet", str(wheel)]
    subprocess.run(pip, check=True)
    (site,) = (tmp_path / "venv" / "lib").glob("*/site-packages")
    assert not [name for name in ("assets", "checks", "tests", "benchmarks") if (site / name).exists()]

    outside = tmp_path / "outside"
    outside.mkdir()
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "AQUAMIND_HOME")}
    variables["AQUAMIND_PROFILE"] = "tiny"
    aquamind = str(programs / "aquamind")
    done = subprocess.run([aquamind, "build"], capture_output=True, text=True, check=False, cwd=outside, env=variables)
    assert done.returncode == 0, done.stderr
    assert "checks, all passed" in done.stdout
    port, pages = _free_ports()
    variables["AQUAMIND_PAGES_URL"] = f"http://127.0.0.1:{pages}"
    server = subprocess.Popen([aquamind, "ui", "--port", str(port)], cwd=outside, env=variables)
    try:
        wait_for(lambda: "build_farm" in _jobs(port), server)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tool", "command"),
    [
        ("uv", ("uvx", "--quiet", "--python", sys.executable, "--from", "{wheel}", "aquamind")),
        ("pipx", ("pipx", "run", "--python", sys.executable, "--spec", "{wheel}", "aquamind")),
    ],
)
def test_the_package_runs_without_an_installation(
    wheel: Path, tmp_path: Path, tool: str, command: tuple[str, ...]
) -> None:
    """`uvx` and `pipx run` build `tiny` from an empty folder, in an environment of their own."""
    venv.create(tmp_path / "tools")
    programs = tmp_path / "tools" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "--quiet", tool]
    subprocess.run(pip, check=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    kept = {"UV_CACHE_DIR": "uv", "UV_TOOL_DIR": "uvtools", "PIPX_HOME": "pipx"}
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "AQUAMIND_HOME")}
    variables |= {name: str(tmp_path / folder) for name, folder in kept.items()} | {"AQUAMIND_PROFILE": "tiny"}
    words = [word.format(wheel=wheel) for word in command]
    run = [str(programs / words[0]), *words[1:], "build", "--no-database"]
    done = subprocess.run(run, capture_output=True, text=True, check=False, cwd=outside, env=variables)
    assert done.returncode == 0, done.stderr
    assert "checks, 0 failed, 0 warn" in done.stdout
    assert [one.name for one in outside.iterdir()] == ["data"]


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _jobs(port: int) -> str:
    """What Dagster's pages answer to the question for jobs; empty if they do not answer yet."""
    query = {"query": "{repositoriesOrError{... on RepositoryConnection{nodes{jobs{name}}}}}"}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", json.dumps(query).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own server
            return str(answer.read().decode())
    except OSError:
        return ""
