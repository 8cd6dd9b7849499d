"""Every table definition against what AquaMind's migrations make (tests/data/aquamind_schema.sql)."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.dialects import postgresql

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.schema.frames import primary_key, references


def kind(type_: sa.types.TypeEngine[Any]) -> str:
    return str(type_.compile(postgresql.dialect()))


@pytest.fixture(scope="module")
def theirs(aquamind_template: SecretStr) -> sa.Inspector:
    """AquaMind's tables, as the database tells them."""
    url = aquamind_template.get_secret_value().replace("postgresql://", "postgresql+psycopg://")
    return sa.inspect(sa.create_engine(url, poolclass=sa.NullPool))  # an open connection would forbid copies


@pytest.mark.parametrize("name", REGISTRY.aquamind)
def test_columns_are_aquaminds(theirs: sa.Inspector, name: str) -> None:
    """Names, types and nullability. Their order differs: migrations append columns."""
    advice = f"{REGISTRY[name].place}: AquaMind has no table {name}: correct the name, or write lake_only=True"
    assert theirs.has_table(name), advice
    ours = {c.name: (kind(c.type), bool(c.nullable)) for c in REGISTRY.table(name).columns}
    expected = {c["name"]: (kind(c["type"]), c["nullable"]) for c in theirs.get_columns(name)}
    wrong = {key: (ours.get(key), expected.get(key)) for key in expected | ours if ours.get(key) != expected.get(key)}
    assert not wrong, f"{REGISTRY[name].place}: columns with our type, null or not, and AquaMind's: {wrong}"


@pytest.mark.parametrize("name", REGISTRY.aquamind)
def test_keys_are_aquaminds(theirs: sa.Inspector, name: str) -> None:
    """Primary keys, unique constraints and foreign keys. Ours may add the partition column to a key."""
    table = REGISTRY.table(name)
    partition = {REGISTRY[name].time} - {None}
    primary = set(theirs.get_pk_constraint(name)["constrained_columns"])
    assert set(primary_key(table)) in (primary, primary | partition)
    unique = [
        {c.name for c in constraint.columns}
        for constraint in table.constraints
        if isinstance(constraint, sa.UniqueConstraint)
    ]
    for constraint in theirs.get_unique_constraints(name):
        columns = set(constraint["column_names"])
        assert columns in unique or columns | partition in unique, constraint
    ours = references(table)
    for key in theirs.get_foreign_keys(name):
        if key["referred_table"] in REGISTRY:
            (column,), (parent_key,) = key["constrained_columns"], key["referred_columns"]
            target = f"{key['referred_table']}.{parent_key}"
            advice = f'{REGISTRY[name].place}: write refers("{column}", "{target}")'
            assert ".".join(ours.get(column, ())) == target, advice
