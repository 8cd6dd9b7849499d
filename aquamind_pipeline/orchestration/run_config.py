"""The options of one run: typed, shown in the launchpad, and checked before a run starts.

The farm itself (profile, seed, epoch, faults, lake) belongs to the code location, so that its runs cannot disagree.
"""
# Dagster reads the annotations at run time, so this module has no `from __future__ import annotations`.

import os
import re
from enum import Enum
from typing import Any

import dagster as dg
from pydantic import Field, SecretStr

from aquamind_pipeline.errors import ConfigError, DatabaseError
from aquamind_pipeline.postgres import urls
from aquamind_pipeline.postgres.urls import GivenUrl
from aquamind_pipeline.settings import SKIPPABLE, Settings, load_settings

OWNER_TAG = "aquamind/owner"
"""Tag of a run whose lake lock a command holds: `aquamind build`."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SERVICE = re.compile(r"service=([A-Za-z0-9_.-]+)")

# Type checkers want the members of an enumeration written out. These are names of rules.
Rule: Any = Enum("Rule", {name: name for name in SKIPPABLE})  # type: ignore[misc]


class RunOptions(dg.Config):
    """Options of one run. An option that is not set, or empty, is the code location's setting.

    The defaults are empty texts, not null: the launchpad begins with the options that are not null.
    """

    as_of: str | None = Field("", description="Last day with data, as 2026-06-30, or today. Only builds use it.")
    since: str | None = Field(
        "",
        description="A month, as 2026-06. Earlier months are kept in lake and database and are not checked again. "
        "The nightly schedule sets it when earlier months are verified.",
    )
    database: str | None = Field(
        "",
        description="Another database to load into: the name of an environment variable with its URL, or "
        "service=NAME of a pg_service.conf. Never a URL, because Dagster stores and shows run config.",
    )
    reload: bool = Field(False, description="Load everything again, not only what changed.")
    load_anyway: bool = Field(False, description="Failed checks only warn, and the load continues.")
    skip_checks: list[Rule] = Field([], description="Checks to skip. Each shows a warning that says so.")

    def applied(self, settings: Settings) -> Settings:
        """The settings of a run: the code location's, replaced where an option is set.

        Raises:
            ConfigError: when an option is invalid.
        """
        given: dict[str, Any] = {
            "as_of": self.as_of or None,
            "since": self.since or None,
            "database_url": _url(self.database) if self.database else None,
            "reload": self.reload or None,
            "load_anyway": self.load_anyway or None,
            "skip_checks": tuple(one.value for one in self.skip_checks) or None,
        }
        given = {name: value for name, value in given.items() if value is not None}
        kept = {name: getattr(settings, name) for name in settings.model_fields_set}
        valid = load_settings(**(kept | given)) if given else settings
        return settings.model_copy(update={name: getattr(valid, name) for name in (*given, "today")})


def _url(name: str) -> SecretStr:
    """The URL of a database that is named by an environment variable or a service."""
    if service := _SERVICE.fullmatch(name):
        return GivenUrl(f"postgresql:///?service={service[1]}", f"the run's option database ({name})")
    if not _VARIABLE.fullmatch(name):
        raise ConfigError("database is the name of an environment variable or service=NAME, never a URL")
    if not os.environ.get(name):
        raise ConfigError(f"database {name}: the code location's environment has no such variable")
    url = GivenUrl(os.environ[name], f"the run's option database ({name})")
    try:
        urls.parsed(url)
    except DatabaseError as error:
        raise ConfigError(f"database {name}: {error}") from None
    return url


__all__ = ["OWNER_TAG", "RunOptions"]
