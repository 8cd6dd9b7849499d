"""What a generator or a rule may read: the farm, its plan, and the tables that its definition names in `reads`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import polars as pl

from aquamind_pipeline.errors import DefinitionError
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan

if TYPE_CHECKING:
    from aquamind_pipeline.schema.definition import TableDefinition

T = TypeVar("T")
PLAN = ("plan_batch", "plan_assignment", "plan_mix", "plan_creation", "plan_tray")
"""The tables of the plan: a generator that uses `Inputs.plan` names them in `reads`."""


class Tables(Protocol):
    """Where tables are read from: a lake, or a farm in memory."""

    def scan(self, table: str, partitions: Sequence[str] | None = None) -> pl.LazyFrame:
        """A table, or some months of it."""

    def partitions(self, table: str) -> list[str]:
        """The months that a table has, in order; none for a table without months."""

    def has(self, table: str, partition: str | None = None) -> bool:
        """Whether a table without months, or a month of a table, is there."""


class DeclaredReads:
    """Reads tables, but only those that were declared. The same table or computation is read or made once.

    Attributes:
        farm: The farm, up to its as_of.
        tables: Where tables are read from.
    """

    def __init__(self, where: str, reads: Sequence[str], farm: Profile, tables: Tables, shared: dict[Any, Any]) -> None:
        self.farm, self.tables = farm, tables
        self._where, self._reads, self._shared = where, frozenset(reads), shared
        self._own: dict[Any, Any] = {}

    def scan(self, name: str, months: Sequence[str] | None = None) -> pl.LazyFrame:
        """All rows of a table, or those of some months, lazily."""
        self._require(name)
        return self.tables.scan(name, months)

    def scan_built(self, name: str, months: Collection[str]) -> pl.LazyFrame:
        """The rows of those of some months that a table has; no rows if it has none of them."""
        there = [month for month in self.months(name) if month in months]
        return self.scan(name, there) if there else self.scan(name).head(0)

    def months(self, name: str) -> list[str]:
        """The months that a table has."""
        self._require(name)
        return self.tables.partitions(name)

    def is_there(self, name: str) -> bool:
        """Whether a table, or any month of it, has been made."""
        self._require(name)
        return self.tables.has(name) or bool(self.tables.partitions(name))

    def whole(self, name: str) -> pl.DataFrame:
        """All rows of a small table; read once for all parts of a run."""
        self._require(name)
        return self.shared(("whole", name), lambda: self.tables.scan(name).collect())

    @property
    def plan(self) -> Plan:
        """The whole farm's plan."""
        return Plan(*(self.whole(name) for name in PLAN))

    def once(self, key: object, make: Callable[[], T]) -> T:
        """What `make` gives, computed once for this part (a month, or a slice of batches)."""
        return _remembered(self._own, key, make)

    def shared(self, key: object, make: Callable[[], T]) -> T:
        """What `make` gives, computed once for all parts of a run."""
        return _remembered(self._shared, key, make)

    def _require(self, name: str) -> None:
        if name not in self._reads:
            raise DefinitionError(f'{self._where} reads {name} without saying so: add "{name}" to `reads`')


def _remembered(memory: dict[Any, Any], key: object, make: Callable[[], T]) -> T:
    if key not in memory:
        memory[key] = make()
    made: T = memory[key]
    return made


class Inputs(DeclaredReads):
    """What a generator is given: the farm and which part of the table to make.

    Attributes:
        months_to_make: Successive months, in order; none for a table without months.
        batches: The batches to make, where a table is made in slices of batches; None for all.
    """

    def __init__(
        self,
        definition: TableDefinition,
        farm: Profile,
        tables: Tables,
        *,
        months: Sequence[str] = (),
        batches: Sequence[int] | None = None,
        shared: dict[Any, Any] | None = None,
        own: dict[Any, Any] | None = None,
    ) -> None:
        where = f"{definition.place}: {definition.name}"
        super().__init__(where, definition.reads, farm, tables, {} if shared is None else shared)
        self.months_to_make = tuple(months)
        self.batches = None if batches is None else list(batches)
        if own is not None:  # tables of one step that are made from the same part share what they compute of it
            self._own = own

    @property
    def month(self) -> str:
        """The month to make, of a table that is made one month at a time (`TableDefinition.covers_month`)."""
        if len(self.months_to_make) != 1:
            raise DefinitionError(
                f"{self._where} asks for its month, but makes {len(self.months_to_make)} months in one call: use "
                "`months_to_make`, or write covers_month=True if its rows are about a whole month"
            )
        return self.months_to_make[0]

    def frame(self, name: str) -> pl.DataFrame:
        """A table: its rows of these months if it has months, else all; of these batches where rows have a batch."""
        return self.lazy(name).collect()

    def lazy(self, name: str) -> pl.LazyFrame:
        """The same lazily, for generators that need a few columns or rows of a large table."""
        self._require(name)
        monthly = self.months_to_make and self.tables.partitions(name)
        rows = self.tables.scan(name, self.months_to_make) if monthly else self.whole(name).lazy()
        if self.batches is not None and "batch_id" in rows.collect_schema():
            return rows.filter(pl.col("batch_id").is_in(self.batches))
        return rows

    @property
    def plan_of_farm(self) -> Plan:
        """The whole farm's plan, also if only some batches are made."""
        return super().plan

    @property
    def plan(self) -> Plan:
        """The plan of these batches, or of the whole farm."""
        plan = super().plan
        return plan if self.batches is None else plan.of_batches(self.batches)


__all__ = ["PLAN", "DeclaredReads", "Inputs", "Tables"]
