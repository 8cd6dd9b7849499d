"""Who owns our rows in AquaMind's database: a user of ours, or one that AquaMind has already."""

from __future__ import annotations

import polars as pl
from pydantic import SecretStr

from aquamind_pipeline.apps.users.users import OWNER_USER_ID
from aquamind_pipeline.apps.users.users import USERS as USER_TABLE
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.postgres.connection import Connection, described
from aquamind_pipeline.postgres.targets.aquamind import identities

USERS = USER_TABLE.name


def require(connection: Connection, url: SecretStr, owner: str) -> None:
    """Refuse a name that no user has, and another owner than that of an earlier load.

    Raises:
        DatabaseError: says how to mend it.
    """
    found = connection.execute("SELECT id FROM public.auth_user WHERE username = %s", (owner,)).fetchone()
    if found is None:
        raise DatabaseError(
            f"{described(url)} has no user {owner}: make it with AquaMind's `manage.py createsuperuser`, or leave "
            "--owner (AQUAMIND_OWNER) out"
        )
    if connection.execute("SELECT to_regclass(%s)", (identities.IDENTITY.as_string(connection),)).fetchone() == (None,):
        return
    before = identities.known(connection, [USERS])[USERS].filter(lake_id=OWNER_USER_ID)["id"].to_list()
    if before and before[0] != found[0]:
        name = connection.execute("SELECT username FROM public.auth_user WHERE id = %s", (before[0],)).fetchone()
        raise DatabaseError(
            f"the farm in {described(url)} belongs to the user {name[0] if name else before[0]} since it was first "
            "loaded: leave --owner (AQUAMIND_OWNER) out, or take the farm out with `aquamind wipe --no-files` first"
        )


def renamed(users: pl.DataFrame, owner: str) -> pl.DataFrame:
    """The rows of auth_user with the owner's name, by which the database's own row is found."""
    is_owner = pl.col("id") == OWNER_USER_ID
    return users.with_columns(username=pl.when(is_owner).then(pl.lit(owner)).otherwise("username"))


__all__ = ["USERS", "renamed", "require"]
