"""The catalogue against what AquaMind's migrations make (tests/data, read from a migrated database)."""

from __future__ import annotations

import csv
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from aquamind_pipeline import tables
from aquamind_pipeline.errors import InputError

DATA = Path(__file__).parent / "data"
SPELLINGS = {
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
}


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def their_type(type_: sa.types.TypeEngine[object]) -> str:
    text = str(type_.compile(postgresql.dialect())).lower().replace(", ", ",")
    return SPELLINGS.get(text, text)


def test_columns_are_aquaminds() -> None:
    """Names, order, types and nullability of every column of every table."""
    theirs: dict[str, list[tuple[str, str, bool]]] = {}
    for row in rows("aquamind_columns.csv"):
        kind = row["type"].replace(", ", ",")
        theirs.setdefault(row["table"], []).append((row["column"], kind, row["nullable"] == "YES"))
    ours = {
        name: [(c.name, their_type(c.type), bool(c.nullable)) for c in table.columns]
        for name, table in tables.TABLES.items()
    }
    assert ours == theirs


def test_keys_are_aquaminds() -> None:
    """Primary keys, unique constraints and foreign keys; ours may add the partition column to a primary key."""
    for row in rows("aquamind_keys.csv"):
        table = tables.TABLES[row["table"]]
        columns = row["columns"].split(",")
        if row["kind"] == "PRIMARY KEY":
            assert set(columns) <= set(tables.primary_key(table)), row
        elif row["kind"] == "UNIQUE":
            unique = [
                {c.name for c in constraint.columns}
                for constraint in table.constraints
                if isinstance(constraint, sa.UniqueConstraint)
            ]
            # A partitioned table's unique constraint must hold the partition column too.
            assert any(set(columns) <= one <= {*columns, table.info.get("partition_by")} for one in unique), row
        else:
            parent, _, key = row["references"].rstrip(")").partition("(")
            if parent in tables.TABLES:
                assert tables.references(table)[columns[0]] == (parent, key), row


def test_load_order_has_parents_first() -> None:
    """But for the one cycle of batch, scenario and projection run."""
    order = {name: place for place, name in enumerate(tables.TABLES)}
    late = {
        (name, parent)
        for name, table in tables.TABLES.items()
        for parent, _ in tables.references(table).values()
        if order[parent] > order[name]
    }
    assert late <= {("batch_batch", "scenario_projection_run"), ("batch_batch", "scenario")}


@pytest.mark.parametrize("name", tables.TABLES)
def test_every_table_says_what_it_is(name: str) -> None:
    assert tables.TABLES[name].comment
    assert tables.TABLES[name].info["layer"] in {"infrastructure", "reference", "batch", "event", "state"}


def test_conform_refuses_what_does_not_fit() -> None:
    table = tables.TABLES["batch_species"]
    good = pl.DataFrame(schema=tables.lake_schema(table))
    assert tables.conform(good.select(reversed(good.columns)), table).columns == good.columns
    with pytest.raises(InputError, match=r"batch_species: missing columns \['name'\]"):
        tables.conform(good.drop("name"), table)
    with pytest.raises(InputError, match=r"unknown columns \['colour'\]"):
        tables.conform(good.with_columns(colour=pl.lit("red")), table)
    wrong = pl.DataFrame({c: ["x"] for c in good.columns})
    with pytest.raises(InputError, match="batch_species: a value does not fit"):
        tables.conform(wrong, table)
