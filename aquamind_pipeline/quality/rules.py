"""All rules: those that follow from definitions, those of single tables, and those on the farm as a whole."""

from __future__ import annotations

from functools import cache

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DefinitionError
from aquamind_pipeline.quality.common_rules import COMMON_RULES
from aquamind_pipeline.quality.farm_rules import FARM_RULES
from aquamind_pipeline.schema.rules import Rule, Statement

DATABASE_STATEMENTS = (
    Statement("arrived", "Every table has as many rows in the database as in the lake.", "The load is incomplete."),
    Statement("content", "Every column has the same sum in lake and database.", "The load changed a value."),
    Statement("verified", "Every check of the verification report passed.", "Users rely on the report."),
)
"""What must hold after the load. `postgres` and `report` check it."""


@cache
def rules_of(name: str) -> dict[str, Rule]:
    """The rules on a table's own rows, by name. Lake-only tables have none."""
    definition = REGISTRY[name]
    if definition.lake_only:
        return {}
    rules = [common.made(definition) for common in COMMON_RULES if common.applies(definition)]
    return {rule.name: rule for rule in (*rules, *definition.rules)}


def farm_rules_about(name: str) -> tuple[Rule, ...]:
    """The rules on the farm as a whole that are shown with this table."""
    return tuple(rule for rule in FARM_RULES if rule.about == name)


def _statements() -> dict[str, Statement]:
    """Every statement by name."""
    every: dict[str, Statement] = {}
    of_tables = [rule for name in REGISTRY.aquamind for rule in rules_of(name).values()]
    for one in (*of_tables, *FARM_RULES, *DATABASE_STATEMENTS):
        first = every.setdefault(one.name, one)
        if (first.text, first.why, first.blocks) != (one.text, one.why, one.blocks):
            raise DefinitionError(
                f"two rules are called {one.name} and say different things ({first.text} / {one.text}): rename one"
            )
    return every


STATEMENTS = _statements()
"""What every check says, by its name."""

__all__ = ["DATABASE_STATEMENTS", "STATEMENTS", "farm_rules_about", "rules_of"]
