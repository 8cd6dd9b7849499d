"""docs/tables.md: every table by its app, with its kind, what a row is, how rows are made and what they read."""

from __future__ import annotations

from aquamind_pipeline.schema.definition import ByFormula, CountedIn, TableDefinition
from aquamind_pipeline.schema.frames import references
from aquamind_pipeline.schema.registry import Registry

_HEAD = """# Tables

Every table of the registry, by AquaMind app. Tables of the app `farm` and those marked *lake only* are not AquaMind's:
the pipeline keeps them in the lake. [architecture.md](architecture.md#kinds-of-table) explains the kinds. This page is
generated from the definitions (`make renew`).
"""


_TITLES = "| Table | Kind | What a row is | How rows are made | Rows | Refers to |"


def as_markdown(registry: Registry) -> str:
    """The page."""
    lines = [_HEAD]
    for app in sorted({one.app for one in registry.values()}):
        lines += [
            f"## {app}",
            "",
            "| Table | Kind | What a row is | How rows are made | Rows | Refers to |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_row(registry[name]) for name in sorted(registry) if registry[name].app == app]
        lines.append("")
    return "\n".join(lines)


def _row(one: TableDefinition) -> str:
    kind = one.kind.value + (", by month" if one.is_monthly else "") + (", lake only" if one.lake_only else "")
    targets = sorted({parent for parent, _ in references(one.table).values()})
    shown = ", ".join(f"`{parent}`" for parent in targets)
    return f"| `{one.name}` | {kind} | {one.meaning} | {one.how} | {_expected(one)} | {shown} |"


def _expected(one: TableDefinition) -> str:
    match one.expected:
        case ByFormula():
            return "by formula"
        case CountedIn(table=table):
            return f"counted in `{table}`"
        case _:
            return "decided by chance"


__all__ = ["as_markdown"]
