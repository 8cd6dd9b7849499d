"""The definition of one table: everything about it, in one place of its AquaMind app.

Assets, lake schema, DDL, checks, expected rows, disk estimate, load order, lineage and documentation follow from it.
A definition is checked where it is made, so that an incomplete one fails with its file, its line, and what to write.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any, NoReturn

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.errors import DefinitionError
from aquamind_pipeline.schema.columns import Item, checked_columns
from aquamind_pipeline.schema.inputs import DeclaredReads, Inputs
from aquamind_pipeline.schema.kinds import Kind, Scope
from aquamind_pipeline.schema.places import place
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan

Generate = Callable[[Inputs], pl.DataFrame]
"""Makes the rows of one part of a table, in the lake's columns. A pure function."""


@dataclass(frozen=True)
class ByFormula:
    """The plan tells how many rows a table has.

    Attributes:
        rows: The number, or, of a table kept by month, a frame of month and rows.
    """

    rows: Callable[[Profile, Plan], int | pl.DataFrame]


@dataclass(frozen=True)
class CountedIn:
    """Chance decides how many rows a table has; another table knows it.

    Attributes:
        table: The table to count in: life, or the parent.
        rows: How many rows that table's rows ask for, as an aggregation.
        about: Roughly how many rows there will be, before that table exists; for the disk estimate only.
    """

    table: str
    rows: pl.Expr
    about: Callable[[Profile, Plan], int]


@dataclass(frozen=True)
class Unpredictable:
    """Nothing tells how many rows a table has.

    Attributes:
        why: Why, and which rule checks the rows instead.
        about: Roughly how many rows there will be; for the disk estimate only.
    """

    why: str
    about: Callable[[Profile, Plan], int] = lambda farm, plan: 0


Expected = ByFormula | CountedIn | Unpredictable


@dataclass(frozen=True)
class Freshness:
    """How young the last row of a table must be.

    Attributes:
        silent_days: For how many days the table may have no row.
        fed: Whether only the stages that are fed have rows.
        wanted: Whether a farm has such rows at all.
    """

    silent_days: int = 0
    fed: bool = False
    wanted: Callable[[Profile], bool] = lambda farm: True


@dataclass(frozen=True)
class Parent:
    """The table that a child's rows hang on, and the child's column that refers to it."""

    table: str
    column: str


class _Missing:
    """Stands for a field that was not given."""

    def __repr__(self) -> str:
        return "(missing)"


MISSING: Any = _Missing()
_ASKED = MappingProxyType(
    {
        "name": "the table's name in AquaMind's database, such as batch_batch",
        "kind": "one of Kind.REFERENCE, LEDGER, EVENT, CHILD, DERIVED",
        "meaning": "one sentence, with a full stop, that says what one row is",
        "how": "one sentence, with a full stop, that says how the rows are computed",
        "columns": "the columns in AquaMind's order, from schema/columns.py",
        "reads": "the names of the tables that `generate` reads, or ()",
        "generate": "the pure function that makes the rows from Inputs",
        "expected": "how many rows to expect: ByFormula, CountedIn or Unpredictable",
        "lineage": "for each computed column the columns it is made of, as {'biomass_kg': 'life_day.weight_g'}, or {}",
        "rules": "the table's own rules, or () where the common ones suffice",
    }
)
"""What every definition must say."""
_ASKED_OF_KIND = MappingProxyType(
    {
        (Kind.REFERENCE, "natural_key"): "the columns by which a database that has the row already knows it",
        (Kind.EVENT, "time"): "the date or timestamp column that says when a row happened",
        (Kind.EVENT, "scope"): "what an event is about: one of Scope.ASSIGNMENT, BATCH, CONTAINER, SITE, FARM",
        (
            Kind.CHILD,
            "parent",
        ): "the table that a row hangs on and the column that refers to it: Parent(table, column)",
    }
)
"""What definitions of one kind must say, too."""
_TUPLES = ("columns", "reads", "rules", "natural_key", "changes_with_as_of")


def _caller() -> str:
    """The file and line that make a definition: two frames above, past the generated __init__."""
    frame = sys._getframe(2)
    return place(frame.f_code.co_filename, frame.f_lineno)


@dataclass(frozen=True, kw_only=True, eq=False)
class TableDefinition:
    """Everything about one table.

    Attributes:
        name: AquaMind's table name; of a lake-only table our own.
        kind: One of the five kinds.
        meaning: What one row is.
        how: How the rows are computed.
        columns: Columns, and further constraints and indexes, in AquaMind's order (`schema.columns`).
        reads: Tables that `generate` reads.
        generate: Makes the rows of a part of the table.
        expected: How many rows to expect.
        lineage: Column -> the columns of other tables that it is made of, separated by spaces. References need none.
        rules: Rules of this table alone.
        natural_key: Of reference tables: columns that identify a row that others may have made.
        time: Column that says when a row happened; lake and database keep the table by its months. Null: whole.
        scope: Of events: what a row is about.
        parent: Of children: the table that a row hangs on.
        changes_with_as_of: Columns whose values depend on the farm's last day, such as the fish that live now. A later
            as_of changes no other column of a row that is there. Only ledger and derived tables have such columns.
        snapshot: Whether rows leave the table as the farm goes on, such as forecasts made on earlier days. Each build
            makes all rows of such a table anew, and all their columns may change. Only derived tables that are made
            in slices of batches are snapshots.
        covers_month: Of monthly tables: whether a row is about its whole month, such as a sum. `time` is its last day.
            Such a table is made one month at a time, others some successive months at once.
        batch_slices: Whether the rows are made for some batches at a time, so that memory holds no whole farm.
        lake_only: Whether AquaMind has no such table: it is no more than a file of the lake.
        part: Part of an app with many tables, such as `events`. Each part has a group, and so a page, in Dagster.
        step: Name of the build step that makes the table with others; by default one of its own, or one for all
            tables of an app and kind that are kept whole.
        freshness: Of tables with rows for every living batch: how young the last row must be.
        rows_due: How many rows each assignment must have on each day: assignment_id, date, due. A rule compares them.
        sums_by_day: Aggregations by day that rules share, where the rows of a day are many.
        split_by: Column by which the expectations on a large table are split.
        bytes_per_row: Measured bytes of a row in the lake and in PostgreSQL (keys and indexes included); estimated
            from the columns when not given.
        figure: Name of the figure that its asset shows (`orchestration.figures`).
        history_model: Of whole tables: AquaMind's model name in its history table, where it is not the table's.
    """

    name: str = MISSING
    kind: Kind = MISSING
    meaning: str = MISSING
    how: str = MISSING
    columns: tuple[Item, ...] = MISSING
    reads: tuple[str, ...] = MISSING
    generate: Generate = MISSING
    expected: Expected = MISSING
    lineage: Mapping[str, str] = MISSING
    rules: tuple[Rule, ...] = MISSING
    natural_key: tuple[str, ...] = MISSING
    time: str | None = MISSING
    scope: Scope = MISSING
    parent: Parent = MISSING
    changes_with_as_of: tuple[str, ...] = ()
    snapshot: bool = False
    covers_month: bool = False
    batch_slices: bool = False
    lake_only: bool = False
    part: str = ""
    step: str = ""
    freshness: Freshness | None = None
    rows_due: Callable[[RuleInputs], pl.LazyFrame] | None = None
    sums_by_day: tuple[pl.Expr, ...] | None = None
    split_by: str | None = None
    bytes_per_row: tuple[float, float] | None = None
    figure: str = ""
    history_model: str = ""
    place: str = field(default_factory=_caller, repr=False)
    """File and line of the definition."""

    def __post_init__(self) -> None:
        asked = dict(_ASKED) | {name: advice for (kind, name), advice in _ASKED_OF_KIND.items() if kind is self.kind}
        for name, advice in asked.items():
            if getattr(self, name) is MISSING:
                self._refuse(f"has no `{name}`: write {advice}")
        for one in fields(self):
            if getattr(self, one.name) is MISSING:
                object.__setattr__(self, one.name, _UNASKED[one.name])
        for name in _TUPLES:
            if not isinstance(getattr(self, name), tuple):
                self._refuse(f"has `{name}` that is no tuple: write (…,), with a comma also after a single item")
        if not callable(self.generate):
            self._refuse(f"has a `generate` that is no function: write {_ASKED['generate']}")
        if not isinstance(self.expected, Expected):
            self._refuse(f"has an `expected` of another type: write {_ASKED['expected']}")
        for name, type_, advice in (
            ("kind", Kind, _ASKED["kind"]),
            ("scope", Scope, _ASKED_OF_KIND[Kind.EVENT, "scope"]),
            ("parent", Parent, _ASKED_OF_KIND[Kind.CHILD, "parent"]),
        ):
            if not isinstance(getattr(self, name), type_):
                self._refuse(f"has a `{name}` of another type: write {advice}")
        for name in ("meaning", "how"):
            if not str(getattr(self, name)).endswith("."):
                self._refuse(f"has a `{name}` that is no sentence: write {_ASKED[name]}")
        if self.part and not self.part.isidentifier():
            self._refuse(f"has the `part` {self.part!r}: write a name of letters, digits and _, such as events")
        checked_columns(self.columns, self._refuse)
        names = {column.name for column in self.columns if isinstance(column, sa.Column)}
        for where, used in self._column_names():
            if used not in names:
                self._refuse(f"names {used} in `{where}`, which is none of its columns: correct it, or add the column")
        if self.kind is Kind.CHILD and self.parent.table not in self.reads:
            self._refuse(f'hangs on {self.parent.table} without reading it: add "{self.parent.table}" to `reads`')
        if not self.lake_only and not any(one.primary_key for one in self.columns if isinstance(one, sa.Column)):
            self._refuse('has no primary key: write identity("id") in `columns`')
        if self.changes_with_as_of and self.kind not in (Kind.LEDGER, Kind.DERIVED):
            self._refuse(
                f"has rows of the kind {self.kind.value}, which never change: leave `changes_with_as_of` out, and make "
                "each row from what is known on its own day"
            )

        if self.snapshot and not (self.kind is Kind.DERIVED and self.batch_slices and not self.changes_with_as_of):
            self._refuse(
                "is a snapshot, so write kind=Kind.DERIVED and batch_slices=True, and leave `changes_with_as_of` out"
            )

    def _column_names(self) -> Iterable[tuple[str, str]]:
        yield from (("natural_key", name) for name in self.natural_key)
        yield from (("lineage", name) for name in self.lineage)
        yield from (("changes_with_as_of", name) for name in self.changes_with_as_of)
        if self.time is not None:
            yield "time", self.time
        if self.split_by is not None:
            yield "split_by", self.split_by
        if self.kind is Kind.CHILD:
            yield "parent", self.parent.column

    def _refuse(self, problem: str) -> NoReturn:
        name = "a table definition" if self.name is MISSING else str(self.name)
        raise DefinitionError(f"{self.place}: {name} {problem}")

    def make(self, inputs: Inputs) -> pl.DataFrame:
        """Generate the rows of one part. An error of the generator tells the table, its place and the month."""
        try:
            return self.generate(inputs)
        except Exception as error:
            part = f" of {', '.join(inputs.months_to_make)}" if inputs.months_to_make else ""
            error.add_note(f"{self.place}: this happened while the rows of {self.name}{part} were generated")
            raise

    @property
    def app(self) -> str:
        """The AquaMind app: the package in `apps/` that has the definition."""
        parts = self.place.partition(":")[0].split("/")
        return parts[-2] if len(parts) > 1 else ""

    @property
    def is_monthly(self) -> bool:
        """Whether lake and database keep the table by month."""
        return self.time is not None

    @property
    def build_step(self) -> str:
        """Name of the build step that makes the table."""
        return self.step or (self.name if self.is_monthly else f"{self.app}_{self.kind.value}")

    @cached_property
    def table(self) -> sa.Table:
        """The table for SQLAlchemy. The registry sets it when it takes the definition in."""
        self._refuse("is in no registry: put its module into a package of aquamind_pipeline/apps")


_UNASKED: Mapping[str, Any] = MappingProxyType(
    {"natural_key": (), "time": None, "scope": Scope.FARM, "parent": Parent("", "")}
)
"""Fields that only some kinds must give."""

__all__ = [
    "ByFormula",
    "CountedIn",
    "DeclaredReads",
    "Expected",
    "Freshness",
    "Generate",
    "Parent",
    "TableDefinition",
    "Unpredictable",
]
