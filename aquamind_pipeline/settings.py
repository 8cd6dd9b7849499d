"""What to build and where: one object from the environment (AQUAMIND_*) or the command line.

Secrets (the password in a database URL) stay in `SecretStr` and never reach logs, metadata or error text.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.lake.stores import parse_location
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.quality.common_rules import SCHEMA
from aquamind_pipeline.quality.faults import parsed
from aquamind_pipeline.quality.rules import DATABASE_STATEMENTS, STATEMENTS
from aquamind_pipeline.simulation.profile import Profile

_ALWAYS = (SCHEMA.name, *(one.name for one in DATABASE_STATEMENTS))
SKIPPABLE = tuple(name for name in STATEMENTS if name not in _ALWAYS)
"""Checks that may be skipped: not those that others build on, and not those of the load itself."""

_SECRETS = ("database_url", "dagster_database_url")


class Settings(BaseSettings):
    """Settings of one farm. Anything unset comes from the profile or has a place under `home`."""

    model_config = SettingsConfigDict(env_prefix="AQUAMIND_", frozen=True, extra="forbid", env_ignore_empty=True)

    profile: str = "test-40"
    seed: int | None = None
    epoch: date | None = None
    as_of: date | None = None
    home: Path = Path("data")
    """Everything we write: lake, embedded PostgreSQL, Dagster's records, reports."""
    lake: str | Path | None = None
    """A folder, or `s3://bucket/prefix`."""
    database_url: SecretStr | None = None
    """PostgreSQL to load into; unset, the embedded server with a database of the farm's name."""
    faults: Annotated[tuple[str, ...], NoDecode] = ()
    """Faults to put into the farm, each NAME or NAME:RATE; in the environment separated by commas."""
    load_anyway: bool = False
    """Load although checks fail: they warn instead of blocking. For farms with faults on purpose."""
    executor: Literal["in_process", "multiprocess", "dask"] = "in_process"
    """Where the steps of a run are executed: in its process, in processes beside it, or on a Dask cluster."""
    dask_address: str | None = None
    """The scheduler of the Dask cluster, as `tcp://host:8786`."""
    skip_checks: Annotated[tuple[str, ...], NoDecode] = ()
    """Checks that are not looked at, and warn that they were not; in the environment separated by commas."""
    since: str | None = Field(None, pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
    """What the lake and the database have of earlier months than this one is kept and not looked at again: a night."""
    reload: bool = False
    """Load again what the database has already."""
    nightly: bool = False
    """Start Dagster with the nightly schedule switched on, and show a farm that misses its nights as overdue."""
    dagster_database_url: SecretStr | None = None
    """PostgreSQL for Dagster's own records; unset, SQLite files under `home`."""
    pages_url: str = Field("http://127.0.0.1:3001", pattern=r"^https?://[^/]+$")
    """Where reports and Data Docs are served, for links on Dagster's pages: `aquamind ui` does it on this machine."""
    history: bool = False
    """In AquaMind's database, also write the first row of each master record's history (django-simple-history)."""

    @field_validator("faults", "skip_checks", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("skip_checks")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in SKIPPABLE]
        if unknown:
            raise ValueError(f"{', '.join(unknown)} cannot be skipped; these can: {', '.join(SKIPPABLE)}")
        return value

    @field_validator("lake", mode="before")
    @classmethod
    def _placed(cls, value: object) -> object:
        return parse_location(value) if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.executor == "dask" and self.dask_address is None:
            raise ConfigError("executor dask needs the address of a Dask scheduler: set AQUAMIND_DASK_ADDRESS")
        return self

    @property
    def farm(self) -> Profile:
        """The profile with the user's seed, epoch and as_of.

        Raises:
            ConfigError: when the profile is unknown or the values do not fit together.
        """
        farm = load_profile(self.profile, seed=self.seed, epoch=self.epoch, as_of=self.as_of, faults=self.faults)
        for fault in farm.faults:
            parsed(fault)
        return farm

    @property
    def farm_name(self) -> str:
        """Name of the farm: the profile's, and the seed where it is not the profile's own."""
        farm = self.farm
        own = load_profile(self.profile)
        return (
            farm.name
            + (f"-seed-{farm.seed}" if farm.seed != own.seed else "")
            + (f"-from-{farm.epoch}" if farm.epoch != own.epoch else "")
            + (
                "-with-" + "-".join(fault.replace(":", "-") for fault in farm.faults)
                if farm.faults != own.faults
                else ""
            )
        )

    @property
    def lake_path(self) -> Path | str:
        """Folder or S3 URL of the Parquet lake."""
        lake = self.lake or self.home / "lake" / self.farm_name
        return lake if isinstance(lake, str) else lake.absolute()

    @property
    def reports_path(self) -> Path:
        """Folder of reports and Data Docs."""
        return (self.home / "reports").absolute()

    @property
    def database_name(self) -> str:
        """Database of this farm in the embedded server."""
        return "aquamind_" + "".join(c if c.isalnum() else "_" for c in self.farm_name.lower())

    def texts(self) -> dict[str, str]:
        """What is set, as text that would be read as the same again; without secrets."""
        values = self.model_dump(exclude_none=True, exclude=set(_SECRETS))
        return {name: _as_text(value) for name, value in values.items()}

    def environment(self) -> dict[str, str]:
        """What is set, secrets too, as variables for processes that Dagster starts."""
        held = {name: getattr(self, name) for name in _SECRETS}
        secret = {name: value.get_secret_value() for name, value in held.items() if value is not None}
        return {f"AQUAMIND_{name.upper()}": text for name, text in (self.texts() | secret).items()}


def _as_text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value.absolute() if isinstance(value, Path) else value)


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment, then from `overrides` that are not None.

    Raises:
        ConfigError: for a value that cannot be used, in one line that names the setting.
    """
    try:
        settings = Settings(**{key: value for key, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise ConfigError(
            f"setting {name} (AQUAMIND_{name.upper()}): {first['msg'].removeprefix('Value error, ')}"
        ) from None
    settings.farm  # noqa: B018 - validates the profile now, not in the middle of a run
    return settings


__all__ = ["SKIPPABLE", "Settings", "load_settings"]
