"""Short names for the kinds of columns that AquaMind's tables are made of.

A column with `fill` is not in the lake: the expression gives it when rows go to a database (constants, the row's own
date as created_at). `range_` is the inclusive range that values must lie in; AquaMind's CHECK >= 0 is `count`.
Each stored column has a meaning: of its own (`comment`), or the one that `glossary` gives to its name.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from aquamind_pipeline.schema.glossary import MEANING

INSTALLED_DAY = pl.lit(dt.date(2015, 1, 1))
INSTALLED = pl.lit(dt.datetime(2015, 1, 1, tzinfo=dt.UTC))
"""When infrastructure and reference rows were made: before any fish."""
NULL, EMPTY, TRUE, FALSE, ZERO = pl.lit(None), pl.lit(""), pl.lit(True), pl.lit(False), pl.lit(0)
OWNER = pl.lit(1)
"""auth_user.id of the user that owns the data."""
COMPLETED = pl.lit("COMPLETED")

Item = sa.Column[Any] | sa.Constraint | sa.Index
"""What a table definition lists under `columns`."""
Fill = pl.Expr | None
Range = tuple[float | None, float | None] | None


def day(column: str) -> pl.Expr:
    """Midnight UTC of a row's own date."""
    return pl.col(column).cast(pl.Datetime("us", "UTC"))


def _column(
    name: str,
    type_: sa.types.TypeEngine[Any],
    *constraints: sa.schema.SchemaItem,
    nullable: bool = False,
    fill: Fill = None,
    range_: Range = None,
    references: str | None = None,
    comment: str | None = None,
    primary_key: bool = False,
) -> sa.Column[Any]:
    info = {"fill": fill, "range": range_, "references": references}
    return sa.Column(
        name,
        type_,
        *constraints,
        nullable=nullable,
        comment=comment or MEANING.get(name),
        primary_key=primary_key,
        info={key: value for key, value in info.items() if value is not None},
    )


def identity(name: str, type_: type[sa.types.TypeEngine[Any]] = sa.BigInteger) -> sa.Column[Any]:
    """Primary key, identity BY DEFAULT: explicit ids are accepted."""
    return sa.Column(name, type_, sa.Identity(always=False), primary_key=True, comment=MEANING[name])


def bigint(name: str, **options: Any) -> sa.Column[Any]:
    """64-bit integer."""
    return _column(name, sa.BigInteger(), **options)


def integer(name: str, **options: Any) -> sa.Column[Any]:
    """32-bit integer; 64-bit in the lake."""
    return _column(name, sa.Integer(), **options)


def count(name: str, **options: Any) -> sa.Column[Any]:
    """32-bit integer that AquaMind checks to be >= 0; 64-bit in the lake."""
    return _column(name, sa.Integer(), _not_negative(name), **({"range_": (0, None)} | options))


def small_count(name: str, **options: Any) -> sa.Column[Any]:
    """16-bit integer that AquaMind checks to be >= 0."""
    return _column(name, sa.SmallInteger(), _not_negative(name), **({"range_": (0, None)} | options))


def _not_negative(name: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f'"{name}" >= 0', name=name)


def numeric(name: str, precision: int, scale: int, **options: Any) -> sa.Column[Any]:
    """Exact decimal."""
    return _column(name, sa.Numeric(precision, scale), **options)


def double(name: str, **options: Any) -> sa.Column[Any]:
    """Double precision float."""
    return _column(name, sa.Double(), **options)


def varchar(name: str, length: int, **options: Any) -> sa.Column[Any]:
    """Text of limited length."""
    return _column(name, sa.String(length), **options)


def text(name: str, **options: Any) -> sa.Column[Any]:
    """Text."""
    return _column(name, sa.Text(), **options)


def boolean(name: str, **options: Any) -> sa.Column[Any]:
    """True or false."""
    return _column(name, sa.Boolean(), **options)


def date(name: str, **options: Any) -> sa.Column[Any]:
    """Calendar date."""
    return _column(name, sa.Date(), **options)


def time(name: str, **options: Any) -> sa.Column[Any]:
    """Time of day."""
    return _column(name, sa.Time(), **options)


def timestamp(name: str, **options: Any) -> sa.Column[Any]:
    """Point in time."""
    return _column(name, sa.DateTime(timezone=True), **options)


def jsonb(name: str, **options: Any) -> sa.Column[Any]:
    """JSON; text in the lake."""
    return _column(name, JSONB(), **options)


def refers(
    name: str,
    target: str,
    *,
    type_: type[sa.types.TypeEngine[Any]] = sa.BigInteger,
    use_alter: bool = False,
    unenforced: str = "",
    **options: Any,
) -> sa.Column[Any]:
    """Foreign key to `target`, checked at commit as in AquaMind.

    `unenforced` says why PostgreSQL cannot enforce it in our own database; then only the check `foreign_keys` does.
    """
    if unenforced:
        column = _column(name, type_(), references=target, **options)
        column.info["unenforced"] = unenforced
        return column
    key = sa.ForeignKey(target, deferrable=True, initially="DEFERRED", use_alter=use_alter)
    return _column(name, type_(), key, **options)


def unique(*columns: str) -> sa.UniqueConstraint:
    """Columns that are unique together."""
    return sa.UniqueConstraint(*columns)


def exactly_one(*columns: str) -> sa.CheckConstraint:
    """Exactly one of these references is set."""
    return sa.CheckConstraint(f"num_nonnulls({', '.join(columns)}) = 1", name="exactly_one")


def index(*columns: str) -> sa.Index:
    """Index of our own database; AquaMind's has its own."""
    return sa.Index(None, *columns)


def brin(column: str) -> sa.Index:
    """Block range index: next to free, for columns that follow the order of rows."""
    return sa.Index(None, column, postgresql_using="brin")


def lookup(*columns: str) -> sa.Index:
    """Index of our own database for what people ask often. A database that was loaded without it gets it."""
    return sa.Index(None, *columns, info={"lookup": True})


def brin_lookup(*columns: str) -> sa.Index:
    """Block range index for what people ask often, by any of these columns, which follow the order of rows.

    Ranges of 32 pages (2,000 to 3,000 rows) are about as long as the rows of one container and month.
    """
    return sa.Index(
        None,
        *columns,
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 32},
        info={"lookup": True},
    )


PARTITIONED = "tables kept by month have the time in their key, and a foreign key must name the whole key"
"""Why no foreign key of our own database leads to a table that is kept by month (`refers(unenforced=PARTITIONED)`)."""


def checked_columns(items: Iterable[Item], refuse: Callable[[str], NoReturn]) -> None:
    """Refuse columns that are repeated, have a fill that no row can have, or say nothing of what they mean."""
    seen: set[str] = set()
    for column in items:
        if not isinstance(column, sa.Column):
            continue
        if column.name in seen:
            refuse(f"has the column {column.name} twice: delete one")
        seen.add(column.name)
        fill = column.info.get("fill", ZERO)
        if not isinstance(fill, pl.Expr):
            refuse(f"fills its column {column.name} with {fill!r}, which is no expression: write fill=pl.lit({fill!r})")
        if fill.meta.eq(NULL) and not column.nullable:
            refuse(
                f"fills its column {column.name} with NULL, which may not be null: write nullable=True, or another fill"
            )
        refers_elsewhere = column.foreign_keys or "references" in column.info
        if not column.comment and not refers_elsewhere and "fill" not in column.info:
            refuse(
                f"does not say what its column {column.name} means: write comment='…' there, with the unit in "
                "brackets, or add the name to schema/glossary.py if other tables have it, too"
            )
    if not seen:
        refuse("has no columns: write them in AquaMind's order, from schema/columns.py")
