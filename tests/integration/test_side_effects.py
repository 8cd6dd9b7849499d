"""Importing the library changes nothing of its host's process; processes of the pipeline tune their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = """
import gc, importlib, json, locale, logging, os, signal, sys, warnings

def state():
    loggers = [logging.root, *(l for l in logging.root.manager.loggerDict.values() if isinstance(l, logging.Logger))]
    return {
        "gc threshold": gc.get_threshold(),
        "gc freeze count": gc.get_freeze_count(),
        "gc enabled": gc.isenabled(),
        "warnings filters": [str(one) for one in warnings.filters],
        "locale": locale.setlocale(locale.LC_ALL),
        "signal handlers": {str(one): str(signal.getsignal(one)) for one in signal.valid_signals()},
        "environment": dict(os.environ),
        "working directory": os.getcwd(),
        "logging handlers": {one.name: [repr(h) for h in one.handlers] for one in loggers if one.handlers},
        "root log level": logging.root.level,
        "exception hook": repr(sys.excepthook),
    }

for name in sys.argv[2:]:
    importlib.import_module(name)
before = state()
importlib.import_module(sys.argv[1])
after = state()
print(json.dumps([name for name in before if before[name] != after[name]]))
"""


def changed_by_import(module: str, *, after: tuple[str, ...] = (), path: Path | None = None) -> list[str]:
    """What importing a module in a fresh interpreter changes, where other modules are imported already."""
    environment = dict(os.environ)
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, "-c", PROBE, module, *after], env=environment, capture_output=True, text=True, check=True
    )
    changed: list[str] = json.loads(done.stdout)
    return changed


def test_the_probe_sees_every_side_effect(tmp_path: Path) -> None:
    (tmp_path / "rude.py").write_text(
        "import gc, locale, logging, os, signal, sys, warnings\n"
        "gc.set_threshold(1); gc.freeze(); gc.disable()\n"
        "warnings.simplefilter('ignore')\n"
        "locale.setlocale(locale.LC_ALL, 'C.UTF-8' if locale.setlocale(locale.LC_ALL) == 'C' else 'C')\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.environ['RUDE'] = '1'; os.chdir('/')\n"
        "logging.basicConfig(level=1)\n"
        "sys.excepthook = print\n"
    )
    assert changed_by_import("rude", path=tmp_path) == [
        "gc threshold",
        "gc freeze count",
        "gc enabled",
        "warnings filters",
        "locale",
        "signal handlers",
        "environment",
        "working directory",
        "logging handlers",
        "root log level",
        "exception hook",
    ]


@pytest.mark.parametrize("module", ["aquamind_pipeline", "aquamind_pipeline.cli"])
def test_importing_the_package_has_no_side_effects(module: str) -> None:
    assert changed_by_import(module) == []


def test_importing_the_definitions_has_no_side_effects() -> None:
    """What libraries set whoever imports them comes first: Polars a variable of its allocator, numpy filters of
    warnings, alembic (of Dagster's records) a handler that does nothing.
    """
    assert changed_by_import("aquamind_pipeline.definitions", after=("polars", "numpy", "alembic")) == []


@pytest.mark.parametrize(
    "start",
    [
        pytest.param("from aquamind_pipeline.definitions import defs; defs()", id="code location"),
        pytest.param(
            "from aquamind_pipeline.definitions import job; job('build_lake', {'profile': 'tiny'})",
            id="process of a step",
        ),
        pytest.param(
            "from aquamind_pipeline import cli; sys.argv[1:] = ['build', '--profile', 'tiny', '--month', '2031-01']\n"
            "try: cli.main()  # which sets this before it refuses the month\n"
            "except SystemExit as ended: assert ended.code == 1, ended.code",
            id="aquamind build",
        ),
    ],
)
def test_processes_of_the_pipeline_collect_rarely(start: str) -> None:
    code = f"import gc, sys\n{start}\nprint(gc.get_threshold()[0], gc.get_freeze_count())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    threshold, frozen = (int(number) for number in done.stdout.splitlines()[-1].split())
    assert threshold == 200_000
    assert frozen > 100_000, "the imports are excluded from collections"
