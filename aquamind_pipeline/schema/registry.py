"""The registry of table definitions: every list of tables in the project is asked of it."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import sqlalchemy as sa

from aquamind_pipeline.errors import DefinitionError
from aquamind_pipeline.schema.definition import CountedIn, TableDefinition
from aquamind_pipeline.schema.frames import primary_key, references, unique_keys
from aquamind_pipeline.schema.kinds import Kind

_NAMES = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_name)s_fk",
    "uq": "%(table_name)s_%(column_0_N_name)s_uniq",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "ck": "%(table_name)s_%(constraint_name)s_check",
}


class Registry(Mapping[str, TableDefinition]):
    """Definitions by table name, parents before children. `AquaMind's` tables are all but the lake-only ones.

    Args:
        definitions: Every definition, in any order.

    Raises:
        DefinitionError: when two have one name, or one refers to or reads a table that nothing defines.
    """

    def __init__(self, definitions: Iterable[TableDefinition]) -> None:
        self.metadata = sa.MetaData(naming_convention=_NAMES)
        given: dict[str, TableDefinition] = {}
        for one in definitions:
            if one.name in given:
                raise DefinitionError(
                    f"{one.place}: {one.name} is defined in {given[one.name].place}, too: delete one of them"
                )
            given[one.name] = one
            info = {"place": one.place}  # for messages about its rows
            table = sa.Table(one.name, self.metadata, *one.columns, comment=one.meaning, info=info)
            object.__setattr__(one, "table", table)
        for one in given.values():
            _require_known(one, given)
        with warnings.catch_warnings():
            # Batch, scenario and projection run refer to each other. Keys are checked at commit, so any order loads.
            warnings.simplefilter("ignore", sa.exc.SAWarning)
            order = sa.schema.sort_tables(
                sorted(self.metadata.tables.values(), key=lambda table: table.name),
                extra_dependencies=[  # a child's reference to its parent may be no foreign key
                    (given[one.parent.table].table, one.table) for one in given.values() if one.parent.table
                ],
            )
        self._definitions = {str(table.name): given[str(table.name)] for table in order}

    def __getitem__(self, name: str) -> TableDefinition:
        return self._definitions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._definitions)

    def __len__(self) -> int:
        return len(self._definitions)

    @cached_property
    def aquamind(self) -> tuple[str, ...]:
        """AquaMind's tables."""
        return tuple(name for name, one in self.items() if not one.lake_only)

    @cached_property
    def lake_only(self) -> tuple[str, ...]:
        """Tables of the lake that are not AquaMind's: the plan, life, and what is computed on the way."""
        return tuple(name for name, one in self.items() if one.lake_only)

    @cached_property
    def whole(self) -> tuple[str, ...]:
        """AquaMind's tables that are kept whole."""
        return tuple(name for name in self.aquamind if not self[name].is_monthly)

    @cached_property
    def monthly(self) -> tuple[str, ...]:
        """AquaMind's tables that are kept by month."""
        return tuple(name for name in self.aquamind if self[name].is_monthly)

    @cached_property
    def events(self) -> tuple[str, ...]:
        """Events and what hangs on them: AquaMind's monthly tables that are made month by month."""
        return tuple(name for name in self.monthly if not self[name].batch_slices)

    @cached_property
    def states(self) -> tuple[str, ...]:
        """AquaMind's monthly tables that are made in slices of batches."""
        return tuple(name for name in self.monthly if self[name].batch_slices)

    @cached_property
    def lasting(self) -> tuple[str, ...]:
        """Tables that are the same on every day of a farm."""
        return self.of_kind(Kind.REFERENCE)

    def of_kind(self, *kinds: Kind) -> tuple[str, ...]:
        """AquaMind's tables of some kinds."""
        return tuple(name for name in self.aquamind if self[name].kind in kinds)

    def children(self, name: str) -> tuple[str, ...]:
        """Tables whose rows hang on a table's rows."""
        return tuple(child for child, one in self.items() if one.parent.table == name)

    def months_of(self, name: str) -> tuple[str, ...]:
        """Monthly tables of AquaMind whose rows refer to a table's rows."""
        return tuple(
            month for month in self.monthly if name in {target for target, _ in references(self[month].table).values()}
        )

    def steps(self) -> dict[str, list[TableDefinition]]:
        """The definitions of each build step."""
        made: dict[str, list[TableDefinition]] = {}
        for one in self.values():
            made.setdefault(one.build_step, []).append(one)
        return made

    def table(self, name: str) -> sa.Table:
        """A table for SQLAlchemy."""
        return self[name].table


def discover(package: str, path: Iterable[str]) -> Registry:
    """The registry of every definition at the top of a module anywhere below a package."""
    definitions: dict[int, TableDefinition] = {}
    folders = list(path)
    for folder in folders:
        _require_packages(Path(folder))
    for module in sorted(m.name for m in pkgutil.walk_packages(folders, f"{package}.")):
        for value in vars(importlib.import_module(module)).values():
            if isinstance(value, TableDefinition):
                definitions[id(value)] = value
    return Registry(definitions.values())


def _require_packages(path: Path) -> None:
    """Refuse folders with modules that Python does not take for packages: their tables would be left out in silence."""
    for module in sorted(path.rglob("*.py")):
        folder = module.parent
        if not (folder / "__init__.py").exists():
            raise DefinitionError(f"{folder} has no __init__.py, so its modules are not found: add one")


def _require_known(one: TableDefinition, given: Mapping[str, TableDefinition]) -> None:
    """Refuse names that lead nowhere, and keys that the table's months or its parent forbid."""
    for key, target in _targets(one.table):
        name, _, column = target.rpartition(".")
        if not name:
            _refuse(one, f'{one.name}.{key} refers to {target}: write TABLE.COLUMN, such as "{target}.id"')
        if name not in given:
            _refuse(
                one,
                f"{one.name} refers to {name}, which nothing defines: define it, or correct the name. "
                f'If {key} is always null, write bigint("{key}", nullable=True, fill=NULL)',
            )
        if column not in given[name].table.columns:
            _refuse(one, f"{one.name} refers to {target}, which is no column: correct it")
    for name in one.reads:
        if name not in given:
            _refuse(one, f"{one.name} reads {name}, which nothing defines: correct the name")
    if isinstance(one.expected, CountedIn) and one.expected.table not in given:
        _refuse(
            one, f"{one.name} has `expected` counted in {one.expected.table}, which nothing defines: correct the name"
        )
    for rule in one.rules:
        for name in rule.reads:
            if name not in given:
                _refuse(
                    one, f"the rule {rule.name} of {one.name} reads {name}, which nothing defines: correct the name"
                )
    for column, sources in one.lineage.items():
        for source in sources.split():
            name, _, origin = source.partition(".")
            if name not in given or origin not in given[name].table.columns:
                _refuse(one, f"the lineage of {one.name}.{column} names {source}, which is no column: correct it")
    _require_keys(one, given)
    if one.parent.table:
        _require_parent(one, given[one.parent.table])


def _require_keys(one: TableDefinition, given: Mapping[str, TableDefinition]) -> None:
    """Refuse keys that PostgreSQL cannot have, since it keeps monthly tables in partitions."""
    for key in one.table.foreign_keys:
        target = key.column.table.name
        if given[target].is_monthly:
            _refuse(
                one,
                f"{one.name}.{key.parent.name} refers to {target}, which is kept by month: add unenforced=PARTITIONED "
                "to refers(…), since no foreign key can lead there",
            )
    if one.lake_only:
        return
    for name, (target, _) in references(one.table).items():
        if given[target].is_monthly and name != one.parent.column:
            _refuse(
                one,
                f"{one.name}.{name} refers to {target}, which is kept by month, so only a child's `parent` can: "
                "AquaMind's database gives other ids, and a load knows those of the month and parent that it loads",
            )
    if one.time is None:
        return
    if not isinstance(one.table.columns[one.time].type, sa.Date | sa.DateTime):
        _refuse(one, f"{one.name} has the `time` {one.time}, which is no date or timestamp: name a column that is one")
    if one.time not in primary_key(one.table):
        _refuse(
            one,
            f"{one.name} is kept by month of {one.time}, which is not in its primary key: add primary_key=True to "
            "that column, since PostgreSQL wants it of partitioned tables",
        )
    for columns in unique_keys(one.table):
        if one.time not in columns:
            _refuse(one, f'unique{columns} of {one.name} lacks "{one.time}", by which rows are kept by month: add it')


def _require_parent(one: TableDefinition, parent: TableDefinition) -> None:
    """Refuse a child that does not refer to its parent, or is not kept as it is."""
    column = one.parent.column
    target, _ = references(one.table).get(column, ("", ""))
    if target != parent.name:
        remedy = f'write refers("{column}", "{parent.name}.id") in `columns`'
        _refuse(one, f"{one.name}.{column} does not refer to {parent.name}: {remedy}")
    if one.is_monthly and not parent.is_monthly:
        _refuse(one, f"{one.name} is kept by month, but its parent {parent.name} is not: leave `time` out")
    if parent.is_monthly and not one.is_monthly:
        remedy = "give `time`, a column with the day of the parent's row"
        _refuse(one, f"{one.name} is kept whole, but its parent {parent.name} is kept by month: {remedy}")


def _refuse(one: TableDefinition, problem: str) -> NoReturn:
    raise DefinitionError(f"{one.place}: {problem}")


def _targets(table: sa.Table) -> Iterator[tuple[str, str]]:
    """Columns and what they refer to, as TABLE.COLUMN, whether or not it exists."""
    for column in table.columns:
        yield from ((column.name, key.target_fullname) for key in column.foreign_keys)
        if "references" in column.info:
            yield column.name, column.info["references"]


__all__ = ["Registry", "discover"]
