"""Rules as declarations: what must hold of a table or of the farm, what a rule reads, and why breaking it matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from aquamind_pipeline.months import month_key
from aquamind_pipeline.schema.check_result import CheckResult
from aquamind_pipeline.schema.inputs import DeclaredReads, Tables
from aquamind_pipeline.schema.places import place_of
from aquamind_pipeline.simulation.profile import Profile

if TYPE_CHECKING:
    from aquamind_pipeline.schema.definition import TableDefinition

WHOLE = "all"
"""Stands for the month of a table without months."""


@dataclass(frozen=True)
class Statement:
    """What must hold, without how it is checked.

    Attributes:
        name: Its name, unique among statements with another meaning.
        text: What must hold, in one sentence.
        why: What would happen otherwise.
        blocks: Whether breaking it stops everything after it, the load included; else it only warns.
    """

    name: str
    text: str
    why: str
    blocks: bool = field(default=True, kw_only=True)

    def checked_by(self, check: Callable[[RuleInputs], CheckResult], *reads: str) -> Rule:
        """The rule for one table, which checks the statement in its own way."""
        return Rule(self.name, self.text, self.why, check, blocks=self.blocks, reads=reads)


@dataclass(frozen=True)
class Rule(Statement):
    """One check.

    Attributes:
        check: The rule itself: a pure function of what it reads.
        reads: Tables that it reads beside the one it is about.
        once: Whether it looks at all months together; else at each month on its own.
        about: The table that a rule on the whole farm is shown with; empty for a rule on one table's own rows.
        all_batches: Whether a rule on the farm needs all batches. Nightly runs read living batches and leave it out.
    """

    check: Callable[[RuleInputs], CheckResult]
    reads: tuple[str, ...] = field(default=(), kw_only=True)
    once: bool = field(default=False, kw_only=True)
    about: str = field(default="", kw_only=True)
    all_batches: bool = field(default=False, kw_only=True)

    @property
    def place(self) -> str:
        """File and line of the check."""
        return place_of(self.check)


class RuleInputs(DeclaredReads):
    """What a rule is given.

    Attributes:
        definition: The table that the rule is about.
        month: The month to look at; `WHOLE` for a table without months, and for rules on all months.
        rows: The table's rows of that month; no rows for rules on all months or on the farm.
        chosen: Months that this run looks at; None for all.
        since: Month since which the farm is looked at; None for all of it.
    """

    def __init__(
        self,
        definition: TableDefinition,
        rule: Rule,
        farm: Profile,
        tables: Tables,
        *,
        month: str = WHOLE,
        rows: pl.DataFrame | None = None,
        chosen: Sequence[str] | None = None,
        since: str | None = None,
        shared: dict[Any, Any],
        own: dict[Any, Any],
    ) -> None:
        where = f"{rule.place}: the rule {rule.name} of {definition.name}"
        super().__init__(where, (definition.name, *rule.reads), farm, tables, shared)
        self.definition, self.month, self.chosen, self.since = definition, month, chosen, since
        self.rows = pl.DataFrame() if rows is None else rows
        self._own = own

    @property
    def looked_at(self) -> list[str]:
        """Months of the table that this run looks at."""
        return [month for month in self.months(self.definition.name) if self.chosen is None or month in self.chosen]

    @property
    def last_month(self) -> str:
        """The month of the farm's last day."""
        return month_key(self.farm.as_of)


__all__ = ["WHOLE", "Rule", "RuleInputs", "Statement"]
