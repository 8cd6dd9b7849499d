"""The catalogue against what AquaMind's migrations make (tests/data/aquamind_schema.sql)."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.dialects import postgresql

from aquamind_pipeline import tables
from aquamind_pipeline.errors import InputError


def kind(type_: sa.types.TypeEngine[Any]) -> str:
    return str(type_.compile(postgresql.dialect()))


@pytest.fixture(scope="module")
def theirs(aquamind_template: SecretStr) -> sa.Inspector:
    """AquaMind's tables, as the database tells them."""
    url = aquamind_template.get_secret_value().replace("postgresql://", "postgresql+psycopg://")
    return sa.inspect(sa.create_engine(url, poolclass=sa.NullPool))  # an open connection would forbid copies


@pytest.mark.parametrize("name", tables.TABLES)
def test_columns_are_aquaminds(theirs: sa.Inspector, name: str) -> None:
    """Names, types and nullability. Their order differs: migrations append columns."""
    ours = {c.name: (kind(c.type), bool(c.nullable)) for c in tables.TABLES[name].columns}
    expected = {c["name"]: (kind(c["type"]), c["nullable"]) for c in theirs.get_columns(name)}
    if name == "batch_actualdailyassignmentstate":
        # AquaMind's model says bigint, like the activity's id, but its migrations made an integer.
        assert expected.pop("planned_activity_id") == ("INTEGER", True)
        assert ours.pop("planned_activity_id") == ("BIGINT", True)
    assert ours == expected


@pytest.mark.parametrize("name", tables.TABLES)
def test_keys_are_aquaminds(theirs: sa.Inspector, name: str) -> None:
    """Primary keys, unique constraints and foreign keys. Ours may add the partition column to a key."""
    table = tables.TABLES[name]
    partition = {table.info.get("partition_by")} - {None}
    primary = set(theirs.get_pk_constraint(name)["constrained_columns"])
    assert set(tables.primary_key(table)) in (primary, primary | partition)
    unique = [
        {c.name for c in constraint.columns}
        for constraint in table.constraints
        if isinstance(constraint, sa.UniqueConstraint)
    ]
    for constraint in theirs.get_unique_constraints(name):
        columns = set(constraint["column_names"])
        assert columns in unique or columns | partition in unique, constraint
    references = tables.references(table)
    for key in theirs.get_foreign_keys(name):
        if key["referred_table"] in tables.TABLES:
            (column,), (parent_key,) = key["constrained_columns"], key["referred_columns"]
            assert references[column] == (key["referred_table"], parent_key)


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
