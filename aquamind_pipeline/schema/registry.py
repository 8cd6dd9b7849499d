"""The registry of table definitions: every list of tables in the project is asked of it."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterable, Iterator, Mapping

import sqlalchemy as sa

from aquamind_pipeline.errors import DefinitionError
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.frames import references
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
            table = sa.Table(one.name, self.metadata, *one.columns, comment=one.meaning)
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

    @property
    def aquamind(self) -> tuple[str, ...]:
        """AquaMind's tables."""
        return tuple(name for name, one in self.items() if not one.lake_only)

    @property
    def lake_only(self) -> tuple[str, ...]:
        """Tables of the lake that are not AquaMind's: the plan, life, and what is computed on the way."""
        return tuple(name for name, one in self.items() if one.lake_only)

    @property
    def whole(self) -> tuple[str, ...]:
        """AquaMind's tables that are kept whole."""
        return tuple(name for name in self.aquamind if not self[name].is_monthly)

    @property
    def monthly(self) -> tuple[str, ...]:
        """AquaMind's tables that are kept by month."""
        return tuple(name for name in self.aquamind if self[name].is_monthly)

    @property
    def events(self) -> tuple[str, ...]:
        """Events and what hangs on them: AquaMind's monthly tables that are made month by month."""
        return tuple(name for name in self.monthly if not self[name].batch_slices)

    @property
    def states(self) -> tuple[str, ...]:
        """AquaMind's monthly tables that are made in slices of batches."""
        return tuple(name for name in self.monthly if self[name].batch_slices)

    @property
    def lasting(self) -> tuple[str, ...]:
        """Tables that are the same on every day of a farm."""
        return self.of_kind(Kind.REFERENCE)

    def of_kind(self, *kinds: Kind) -> tuple[str, ...]:
        """AquaMind's tables of some kinds."""
        return tuple(name for name in self.aquamind if self[name].kind in kinds)

    def children(self, name: str) -> tuple[str, ...]:
        """Tables whose rows hang on a table's rows."""
        return tuple(child for child, one in self.items() if one.parent.table == name)

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
    for module in sorted(m.name for m in pkgutil.walk_packages(path, f"{package}.")):
        for value in vars(importlib.import_module(module)).values():
            if isinstance(value, TableDefinition):
                definitions[id(value)] = value
    return Registry(definitions.values())


def _require_known(one: TableDefinition, given: Mapping[str, TableDefinition]) -> None:
    try:
        targets = references(one.table)
    except sa.exc.InvalidRequestError as error:  # names the key that leads nowhere
        raise DefinitionError(
            f"{one.place}: {one.name} refers to a table or column that nothing defines ({error})"
        ) from None
    for target, _ in targets.values():
        if target not in given:
            raise DefinitionError(f"{one.place}: {one.name} refers to {target}, which nothing defines: define it first")
    for name in (*one.reads, *(name for rule in one.rules for name in rule.reads)):
        if name not in given:
            raise DefinitionError(f"{one.place}: {one.name} reads {name}, which nothing defines: correct the name")
    for column, sources in one.lineage.items():
        for source in sources.split():
            name, _, key = source.partition(".")
            if name not in given or key not in given[name].table.columns:
                raise DefinitionError(
                    f"{one.place}: the lineage of {one.name}.{column} names {source}, which is no column: correct it"
                )


__all__ = ["Registry", "discover"]
