"""What may differ between runs of one farm: typed, shown in the launchpad, refused before a run starts.

The farm itself (profile, seed, epoch, faults, lake) belongs to the code location: two runs of it must not disagree.
Dagster reads these annotations, so they are real ones.
"""

import os
import re
from enum import Enum
from typing import Any

import dagster as dg
from pydantic import Field, SecretStr

from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.postgres.connection import described
from aquamind_pipeline.settings import SKIPPABLE, Settings, load_settings

OWNER_TAG = "aquamind/owner"
"""Tag of a run whose lake lock a command holds: `aquamind build`."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SERVICE = re.compile(r"service=([A-Za-z0-9_.-]+)")

# A type checker wants an enumeration's members spelled out; these are the names of rules.
Rule: Any = Enum("Rule", {name: name for name in SKIPPABLE})  # type: ignore[misc]


class RunOptions(dg.Config):
    """Options of one run; unset, the code location's settings hold."""

    as_of: str | None = Field(None, description="Last day with data, as 2026-06-30. Only builds heed it.")
    since: str | None = Field(
        None,
        description="A month, as 2026-06: what lake and database have of earlier ones is kept and not looked at again. "
        "The nightly schedule sets it, where all that was verified.",
    )
    database: str | None = Field(
        None,
        description="Another database to load into: the name of an environment variable that holds its URL, or "
        "service=NAME of a pg_service.conf. Never a URL: run config is shown and stored.",
    )
    reload: bool = Field(False, description="Load again what the database has already, not only what changed.")
    load_anyway: bool = Field(False, description="Failed checks only warn, and the load goes on.")
    skip_checks: list[Rule] = Field([], description="Checks that are not looked at; each shows a warning that says so.")

    def applied(self, settings: Settings) -> Settings:
        """The settings of a run with these options.

        Raises:
            ConfigError: when an option cannot be used.
        """
        given: dict[str, Any] = {
            "as_of": self.as_of,
            "since": self.since,
            "database_url": _url(self.database) if self.database else None,
            "reload": self.reload or None,
            "load_anyway": self.load_anyway or None,
            "skip_checks": tuple(one.value for one in self.skip_checks) or None,
        }
        given = {name: value for name, value in given.items() if value is not None}
        kept = {name: getattr(settings, name) for name in settings.model_fields_set}
        valid = load_settings(**(kept | given)) if given else settings
        return settings.model_copy(update={name: getattr(valid, name) for name in given})


def _url(name: str) -> SecretStr:
    """The URL that an environment variable or a service stands for."""
    if service := _SERVICE.fullmatch(name):
        return SecretStr(f"postgresql:///?service={service[1]}")
    if not _VARIABLE.fullmatch(name):
        raise ConfigError("database is the name of an environment variable or service=NAME, never a URL")
    if not os.environ.get(name):
        raise ConfigError(f"database {name}: the code location's environment has no such variable")
    url = SecretStr(os.environ[name])
    described(url)  # refuses what is no URL
    return url


__all__ = ["OWNER_TAG", "RunOptions"]
