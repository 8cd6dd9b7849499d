"""Users and terminals that a developer's machine lacks: an unknown user without a home, a Latin-1 locale."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from aquamind_pipeline.lake import Lake
from aquamind_pipeline.settings import Settings
from tests.helpers.commands import AQUAMIND, one_line
from tests.helpers.database import load_everything
from tests.helpers.farms import digests

pytestmark = pytest.mark.system

USER = "12345"
"""A user that the system does not know, as containers have that run under any user id."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the unknown user."""
    made = Path(tempfile.mkdtemp(prefix="aquamind-unknown-"))
    os.chown(made, int(USER), int(USER))
    yield made
    shutil.rmtree(made)


def as_unknown_user(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as the unknown user, with these variables alone, in a folder that it cannot write.

    It may read everything, because Python may lie in root's own home.
    """
    read = "+dac_read_search"
    user = ["--reuid", USER, "--regid", USER, "--clear-groups", "--inh-caps", read, "--ambient-caps", read]
    variables = {"PATH": os.environ["PATH"], "AQUAMIND_PROFILE": "tiny", "AQUAMIND_HOME": str(folder)} | environment
    return subprocess.run(
        ["setpriv", *user, AQUAMIND, *arguments], env=variables, cwd="/", capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("given", [{}, {"HOME": "/"}, {"HOME": "/nonexistent"}], ids=["none", "read-only", "missing"])
def test_an_unknown_user_builds_and_verifies(
    folder: Path, built: Settings, database: SecretStr, given: dict[str, str]
) -> None:
    """Without HOME, and with one that cannot be written. Nothing is said about it; caches lie under AQUAMIND_HOME."""
    done = as_unknown_user(folder, "build", "--no-database", **given)
    assert (done.returncode, done.stderr) == (0, "")
    assert digests(folder / "lake" / "tiny") == digests(built.lake_path)
    assert list((folder / "home" / "matplotlib").iterdir())
    url = {"AQUAMIND_DATABASE_URL": database.get_secret_value()}
    for command in ("load", "verify", "lake"):
        done = as_unknown_user(folder, command, **given, **url)
        assert (done.returncode, done.stderr) == (0, ""), command


def test_an_unknown_users_steps_in_processes_of_their_own(folder: Path) -> None:
    done = as_unknown_user(folder, "build", "--no-database", AQUAMIND_EXECUTOR="multiprocess")
    assert done.returncode == 0, done.stderr
    assert " checks, 0 failed" in done.stdout


def test_a_latin_1_terminal(tmp_path: Path, built: Settings, database: SecretStr) -> None:
    """What the terminal lacks is replaced, lines of tables are ASCII, and a folder that no library finds is refused."""
    locale = "en_US.ISO-8859-1"
    subprocess.run(["localedef", "-i", "en_US", "-f", "ISO-8859-1", tmp_path / locale], check=True)

    def run(*arguments: str, home: str = "home") -> subprocess.CompletedProcess[str]:
        variables = os.environ | {
            "LOCPATH": str(tmp_path),
            "LC_ALL": locale,
            "AQUAMIND_PROFILE": "tiny",
            "AQUAMIND_HOME": f"{tmp_path}/{home}",
            "AQUAMIND_LAKE": str(built.lake_path),
            "AQUAMIND_DATABASE_URL": database.get_secret_value(),
        }
        return subprocess.run(
            [AQUAMIND, *arguments], env=variables, capture_output=True, encoding="iso8859-1", check=False
        )

    load_everything(database, Lake(built.lake_path))
    verified = run("verify")
    assert verified.returncode == 0, verified.stderr
    assert "checks, all passed" in verified.stdout
    assert "+--" in verified.stdout
    assert "6 in 6 . 6" in verified.stdout, "an ellipsis elsewhere"
    one_line(run("plan", home="ø"), "/ø' is not ASCII, and file names are iso8859-1 here: set PYTHONUTF8=1")
