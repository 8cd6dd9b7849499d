"""Every table reaches both kinds of database: our own, and AquaMind's, as its first farm and beside rows of others."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.pipeline import loading
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.postgres.targets import AquaMindTarget, OwnTarget, open_target
from aquamind_pipeline.schema.frames import unique_keys
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.settings import Settings, load_settings
from tests.helpers.farms import make_lake, thin_out

Rows = dict[str, list[str]]


@pytest.fixture(scope="module")
def built(thin: Settings) -> Settings:
    return thin


def load(settings: Settings, url: SecretStr) -> Workspace:
    """Load all tables of a built lake."""
    workspace = Workspace(settings.model_copy(update={"database_url": url}))
    loading.load_whole_tables(workspace, "test")
    loading.load_months(workspace, REGISTRY.monthly, workspace.lake.partitions, "test")
    return workspace


def require_arrived(workspace: Workspace, url: SecretStr) -> None:
    """The database has the lake's rows of every table, counted and added up column by column."""
    target = open_target(url)
    assert target.left_out == ()
    assert target.row_counts(REGISTRY.aquamind) == {name: workspace.lake.rows(name) for name in REGISTRY.aquamind}
    for result in loading.compare(workspace, REGISTRY.aquamind, None):
        assert result.passed, (result.detail, result.sample)


def test_our_own_database(built: Settings, database: SecretStr) -> None:
    require_arrived(load(built, database), database)
    assert isinstance(open_target(database), OwnTarget)


def test_an_empty_database_of_aquamind(built: Settings, migrated: SecretStr) -> None:
    require_arrived(load(built, migrated), migrated)
    assert isinstance(open_target(migrated), AquaMindTarget)


def contents(url: SecretStr) -> Rows:
    """Every row of every table, as text."""
    with psycopg.connect(url.get_secret_value()) as connection:
        query = sql.SQL("SELECT t::text FROM {} t ORDER BY 1")
        return {
            name: [str(row[0]) for row in connection.execute(query.format(sql.Identifier(name)))]
            for name in REGISTRY.aquamind
        }


def give_away(url: SecretStr) -> None:
    """Make the loaded farm somebody else's: nothing says any more that it is ours, and its names are others.

    Events of places, such as the light of an area on a day, can have one row only, whoever wrote it. They are deleted.
    """
    with psycopg.connect(url.get_secret_value()) as connection:
        connection.execute("DROP SCHEMA aquamind_pipeline CASCADE")
        for name in REGISTRY.aquamind:
            definition = REGISTRY[name]
            if definition.kind is Kind.REFERENCE:
                continue
            if definition.kind is Kind.EVENT and not definition.scope.has_batch:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
            for column in (key for keys in unique_keys(definition.table) for key in keys):
                if isinstance(definition.table.columns[column].type, sa.String):
                    query = sql.SQL("UPDATE {} SET {column} = 'their ' || {column}")
                    connection.execute(query.format(sql.Identifier(name), column=sql.Identifier(column)))


@pytest.fixture
def theirs(migrated: SecretStr, tmp_path: Path) -> SecretStr:
    """AquaMind's database with a whole farm of others, whose rows have the ids that ours have in the lake."""
    other = load_settings(profile="tiny", seed=1, home=tmp_path)
    thin_out(make_lake(other).lake)
    load(other, migrated)
    give_away(migrated)
    return migrated


def test_beside_rows_of_others_and_taken_out_again(built: Settings, theirs: SecretStr) -> None:
    """Ours arrive, theirs stay as they are, and reference rows that both have are shared. A wipe leaves theirs."""
    before = contents(theirs)
    require_arrived(load(built, theirs), theirs)
    after = contents(theirs)
    for name, rows in before.items():
        assert set(rows) <= set(after[name]), name
        if REGISTRY[name].kind is Kind.REFERENCE:
            assert len(after[name]) == len(rows), name
        else:
            assert len(after[name]) > len(rows), name
    open_target(theirs).wipe()
    assert contents(theirs) == before
