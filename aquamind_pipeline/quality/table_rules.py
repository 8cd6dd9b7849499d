"""Rules that follow from the table catalogue: schema, keys, nulls, ranges, foreign keys."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline import tables
from aquamind_pipeline.quality.check_result import SAMPLE_ROWS, Finding
from aquamind_pipeline.quality.grouping import all_different


def schema(table: sa.Table, found: pl.Schema) -> Finding:
    """The lake's columns have the catalogue's names, order and types."""
    wanted = tables.lake_schema(table)
    wrong = [
        {"column": name, "expected": str(wanted.get(name)), "found": str(found.get(name))}
        for name in dict.fromkeys([*wanted, *found])
        if wanted.get(name) != found.get(name)
    ]
    if not wrong and list(wanted) != list(found):
        wrong = [{"column": "(order)", "expected": ", ".join(wanted), "found": ", ".join(found)}]
    detail = f"{len(wanted)} columns as declared" if not wrong else f"{len(wrong)} columns differ from the catalogue"
    return Finding("schema", not wrong, len(wrong), detail, pl.DataFrame(wrong))


def keys(table: sa.Table, rows: pl.DataFrame) -> Finding:
    """The primary key and every unique constraint are unique, and the key is never null.

    Of a key with the time in it, which only partitioning asks for, the id is unique alone: Django takes it for the key.
    """
    sets = [tables.primary_key(table)[:1]]
    sets += [
        tuple(c.name for c in constraint.columns)
        for constraint in table.constraints
        if isinstance(constraint, sa.UniqueConstraint)
    ]
    stored = set(tables.lake_schema(table))
    total, nulls = rows.height, rows[sets[0][0]].null_count()
    counts = {", ".join(columns): _unique(rows, columns) for columns in sets if stored.issuperset(columns)}
    repeated = {columns: total - unique for columns, unique in counts.items() if unique != total}
    wrong = sum(repeated.values()) + nulls
    detail = (
        f"{total:,} rows, unique by {'; '.join(counts)}"
        if not wrong
        else (f"repeated: {repeated or 'none'}; null keys: {nulls}")
    )
    return Finding(
        "keys", wrong == 0, wrong, detail, pl.DataFrame({"key": list(repeated), "repeated": list(repeated.values())})
    )


def _unique(rows: pl.DataFrame, columns: tuple[str, ...]) -> int:
    if len(columns) > 1:
        return int(rows.select(pl.struct(columns).n_unique()).item())
    column = rows[columns[0]]
    return rows.height if column.dtype.is_integer() and all_different(column) else column.n_unique()


def values(table: sa.Table, rows: pl.LazyFrame) -> Finding:
    """No null where the catalogue has NOT NULL, no value outside a column's declared range."""
    tests: dict[str, pl.Expr] = {}
    for name in tables.lake_schema(table):
        column = table.columns[name]
        if not column.nullable:
            tests[f"{name} is null"] = pl.col(name).is_null()
        low, high = column.info.get("range", (None, None))
        if low is not None:
            tests[f"{name} < {low}"] = pl.col(name) < _literal(low)
        if high is not None:
            tests[f"{name} > {high}"] = pl.col(name) > _literal(high)
    if not tests:
        return Finding("values", True, detail="nothing declared")
    counts = rows.select(test.sum().alias(name) for name, test in tests.items()).collect()
    broken = {name: int(count or 0) for name, count in counts.row(0, named=True).items() if count}
    sample = pl.DataFrame()
    if broken:
        sample = rows.filter(pl.any_horizontal(tests[name] for name in broken)).head(SAMPLE_ROWS).collect()
    detail = (
        f"{len(tests)} declarations hold" if not broken else "; ".join(f"{k}: {v:,} rows" for k, v in broken.items())
    )
    return Finding("values", not broken, sum(broken.values()), detail, sample)


def _literal(bound: float) -> pl.Expr:
    return pl.lit(Decimal(str(bound))) if isinstance(bound, float) else pl.lit(bound)


def foreign_keys(table: sa.Table, rows: pl.LazyFrame, parents: Mapping[str, pl.LazyFrame]) -> Finding:
    """Every reference to another table resolves.

    Args:
        table: The table.
        rows: Its columns that refer to others, and `rows` (how many of its rows have these).
        parents: The tables referred to, by name.
    """
    stored = set(tables.lake_schema(table))
    orphans: list[pl.DataFrame] = []
    resolved = []
    for column, (parent, key) in tables.references(table).items():
        if column not in stored or parent not in parents:
            continue
        resolved.append(f"{column} → {parent}")
        value = pl.col(column).alias("value")
        used = rows.group_by(value).agg(pl.col("rows").sum()).filter(pl.col("value").is_not_null())
        missing = used.join(parents[parent].select(pl.col(key).alias("value")), on="value", how="anti")
        orphans.append(
            missing.collect().select(
                pl.lit(f"{column} → {parent}").alias("reference"), pl.col("value").cast(pl.String), "rows"
            )
        )
    lost = pl.concat(orphans) if orphans else pl.DataFrame()
    wrong = int(lost["rows"].sum()) if lost.height else 0
    detail = f"{len(resolved)} references resolve" if not wrong else f"{wrong:,} rows refer to nothing"
    return Finding("foreign_keys", wrong == 0, wrong, detail, lost.head(SAMPLE_ROWS))


def volume(expected: pl.DataFrame, found: pl.DataFrame) -> Finding:
    """Rows per month are exactly what the plan says. Both frames: month, rows; a month without rows may be absent."""
    wrong = (
        expected.select("month", expected="rows")
        .join(found.select("month", found="rows"), on="month", how="full", coalesce=True)
        .with_columns(pl.col("expected", "found").fill_null(0))
        .filter(pl.col("expected") != pl.col("found"))
        .sort("month")
    )
    total = int(expected["rows"].sum())
    detail = (
        f"{total:,} rows in {expected.height} months, as planned"
        if wrong.is_empty()
        else (f"{wrong.height} months differ from the plan")
    )
    return Finding("volume", wrong.is_empty(), wrong.height, detail, wrong.head(SAMPLE_ROWS))


__all__ = ["foreign_keys", "keys", "schema", "values", "volume"]
