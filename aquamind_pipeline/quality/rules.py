"""All rules: those that follow from definitions, those of single tables, and those on the farm as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DefinitionError
from aquamind_pipeline.quality.common_rules import COMMON_RULES
from aquamind_pipeline.quality.farm_rules import FARM_RULES
from aquamind_pipeline.schema.rules import Rule, Statement

DATABASE_STATEMENTS = (
    Statement("arrived", "Every table has as many rows in the database as in the lake.", "The load is incomplete."),
    Statement("content", "Every column has the same values in lake and database.", "The load changed a value."),
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


def statements_of(statements: Iterable[Statement]) -> dict[str, Statement]:
    """Statements by name.

    Raises:
        DefinitionError: when two have one name and say different things.
    """
    every: dict[str, Statement] = {}
    for one in statements:
        first = every.setdefault(one.name, one)
        if (first.text, first.why, first.blocks) != (one.text, one.why, one.blocks):
            raise DefinitionError(
                f"{_place(one)}: the rule {one.name} says something else ({one.text}) than the rule of that name at "
                f"{_place(first)} ({first.text}): rename one, or let both say the same"
            )
    return every


def _place(one: Statement) -> str:
    return one.place if isinstance(one, Rule) else "aquamind_pipeline/quality/rules.py"


_OF_TABLES = [rule for name in REGISTRY.aquamind for rule in rules_of(name).values()]
STATEMENTS = statements_of((*_OF_TABLES, *FARM_RULES, *DATABASE_STATEMENTS))
"""What every check says, by its name."""

__all__ = ["DATABASE_STATEMENTS", "STATEMENTS", "farm_rules_about", "rules_of", "statements_of"]
