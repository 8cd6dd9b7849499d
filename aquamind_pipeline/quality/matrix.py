"""The mutation matrix: which rules see which fault. The tests compute it and hold this one to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources

from aquamind_pipeline.quality.faults import FAULTS, Fault
from aquamind_pipeline.quality.rules import STATEMENTS

MATRIX: dict[str, list[str]] = json.loads(
    resources.files("aquamind_pipeline.quality").joinpath("matrix.json").read_text("utf-8")
)
"""Fault -> rules that see it on the `tiny` farm."""


def as_markdown(seen: Mapping[str, Sequence[str]]) -> str:
    """docs/checks.md: the rules with severity and reason, the faults, and the matrix."""
    lines = [
        "# Checks and faults",
        "",
        "Each rule is an asset check on the table or farm that it is about. One that blocks stops everything after it,",
        "the load included; one that warns is shown. Rules on event tables look at one month at a time. A check that",
        'crashes has failed. This page is written by the tests (`WRITE_GOLDEN=1 make test ARGS="-k the_matrix"`).',
        "",
        "| Rule | What it says | If broken | Why | Sees |",
        "|---|---|---|---|---|",
    ]
    for name, rule in STATEMENTS.items():
        faults = [fault for fault, rules in seen.items() if name in rules]
        shown = ", ".join(faults[:3]) + (f" and {len(faults) - 3} more" if len(faults) > 3 else "")
        effect = "blocks" if rule.blocks else "warns"
        lines.append(f"| `{name}` | {rule.text} | {effect} | {rule.why} | {shown or 'faults of the database'} |")
    lines += [
        "",
        "## Faults on demand",
        "",
        "`aquamind build --fault NAME[:RATE]` (repeatable; or `AQUAMIND_FAULTS`, or `faults` in a profile) builds a",
        "farm with faults in it, in a lake of its own. Its checks fail and nothing is loaded, unless `--load-anyway`",
        "lets them warn. Which rows were spoiled stands beside the tables, in `fault/TABLE/MONTH.parquet` of the lake:",
        "fault, table, partition, id, what (`changed`, `removed`, `added`, `missing`, `truncated`), column, before and",
        "after.",
        "",
        "| Fault | What goes wrong | In | Rate | Seen by |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{f.name}` | {f.text} | {', '.join(f'`{t}`' for t in f.tables)} | {_rate(f)} | "
        f"{', '.join(f'`{rule}`' for rule in seen[f.name])} |"
        for f in FAULTS.values()
    ]
    return "\n".join(lines) + "\n"


def _rate(fault: Fault) -> str:
    return f"all {fault.unit}" if fault.whole else f"{fault.rate:g} of {fault.unit}"


__all__ = ["MATRIX", "as_markdown"]
