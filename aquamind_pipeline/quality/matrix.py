"""The mutation matrix: which rules detect which fault. A test computes the matrix and compares it with this one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources

from aquamind_pipeline.quality.faults import FAULTS, Fault
from aquamind_pipeline.quality.rules import STATEMENTS

MATRIX: dict[str, list[str]] = json.loads(
    resources.files("aquamind_pipeline.quality").joinpath("matrix.json").read_text("utf-8")
)
"""Fault -> rules that detect it on the `tiny` farm."""


def as_markdown(detected: Mapping[str, Sequence[str]]) -> str:
    """The page docs/checks.md: the rules with severity and reason, the faults, and the matrix.

    Args:
        detected: Fault -> rules that detect it.
    """
    lines = [
        "# Checks and faults",
        "",
        "Each rule is an asset check on a table. A failed check that blocks stops the steps after it, also the load. A",
        "failed check that warns is only shown. Rules on event tables check one month at a time. A check that crashes",
        "has failed. `make renew` writes this page.",
        "",
        "| Rule | What must hold | If broken | Why | Detects |",
        "|---|---|---|---|---|",
    ]
    for name, rule in STATEMENTS.items():
        faults = [fault for fault, rules in detected.items() if name in rules]
        shown = ", ".join(faults[:3]) + (f" and {len(faults) - 3} more" if len(faults) > 3 else "")
        effect = "blocks" if rule.blocks else "warns"
        lines.append(f"| `{name}` | {rule.text} | {effect} | {rule.why} | {shown or 'faults of the database'} |")
    lines += [
        "",
        "## Faults on demand",
        "",
        "`aquamind build --fault NAME[:RATE]` builds a farm with faults, in a lake of its own. Repeat the option for",
        "several faults, or set `AQUAMIND_FAULTS` or a profile's `faults`. The checks of this farm fail, so nothing is",
        "loaded. With `--load-anyway` failed checks only warn. The lake lists the changed rows in",
        "`fault/TABLE/MONTH.parquet`: fault, table, partition, id, what (`changed`, `removed`, `added`, `missing`,",
        "`truncated`), column, before and after.",
        "",
        "| Fault | What goes wrong | In | Rate | Detected by |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{f.name}` | {f.text} | {', '.join(f'`{t}`' for t in f.tables)} | {_rate(f)} | "
        f"{', '.join(f'`{rule}`' for rule in detected[f.name])} |"
        for f in FAULTS.values()
    ]
    return "\n".join(lines) + "\n"


def _rate(fault: Fault) -> str:
    return f"all {fault.unit}" if fault.whole else f"{fault.rate:g} of {fault.unit}"


__all__ = ["MATRIX", "as_markdown"]
