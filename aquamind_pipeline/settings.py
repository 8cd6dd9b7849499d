"""Settings: which farm to build and where, from the environment (AQUAMIND_*) or the command line.

Secrets, such as the password in a database URL, are kept in `SecretStr`. They never reach logs, metadata or error text.
"""

from __future__ import annotations

import hashlib
import logging
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from aquamind_pipeline.errors import ConfigError, DatabaseError
from aquamind_pipeline.files import require_usable
from aquamind_pipeline.lake.stores import parse_location
from aquamind_pipeline.mistakes import MistakesError, explained, nearest, no_such, shortened, told
from aquamind_pipeline.postgres import urls
from aquamind_pipeline.profiles import TODAY, is_anchored, load_profile
from aquamind_pipeline.quality.common_rules import SCHEMA
from aquamind_pipeline.quality.rules import DATABASE_STATEMENTS, STATEMENTS
from aquamind_pipeline.simulation.profile import Profile

_LOG = logging.getLogger(__name__)
_ALWAYS = (SCHEMA.name, *(one.name for one in DATABASE_STATEMENTS))
SKIPPABLE = tuple(name for name in STATEMENTS if name not in _ALWAYS)
"""Checks that may be skipped. Other checks need `schema`, and the load needs its own checks."""

_NAME_BYTES, _HASH_LENGTH = 63, 12
_PREFIX = "AQUAMIND_"
_WORDS = {
    "since": "write a month, as 2026-06",
    "pages_url": "write an address without a path, as http://127.0.0.1:3001",
}
"""What to write, by setting, where its type alone does not say it."""
_SECRETS = ("database_url", "dagster_database_url")


class Settings(BaseSettings):
    """Settings of one farm. Unset values come from the profile, and unset places lie under `home`."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    profile: str = "test-40"
    seed: int | None = None
    epoch: date | None = None
    as_of: date | Literal["today"] | None = None
    """Last day with data. `today` is the day on which a command or a run reads its settings, in UTC."""
    today: date | None = None
    """The day that `today` means. `load_settings` sets it where it is needed and not given."""
    anchor: date | None = None
    """Day to which the farm of a profile such as `uat-ladder` is anchored. Unset: the lake's, or for a new farm
    `today`."""
    home: Path = Path("data")
    """Folder of everything that the pipeline writes: lake, embedded PostgreSQL, Dagster's records, reports."""
    lake: str | Path | None = None
    """A folder, or `s3://bucket/prefix`."""
    database_url: SecretStr | None = None
    """PostgreSQL to load into. If unset, the embedded server has a database for the farm."""
    faults: Annotated[tuple[str, ...], NoDecode] = ()
    """Faults to put into the farm, each NAME or NAME:RATE. The environment variable separates them by commas."""
    load_anyway: bool = False
    """Load even if checks fail; failed checks warn instead of blocking. For farms with faults."""
    executor: Literal["in_process", "multiprocess", "dask"] = "in_process"
    """Where to execute the steps of a run: in the run's process, in several processes, or on a Dask cluster."""
    dask_address: str | None = None
    """Address of the Dask cluster's scheduler, as `tcp://host:8786`."""
    skip_checks: Annotated[tuple[str, ...], NoDecode] = ()
    """Checks to skip; each of them warns that it was skipped. The environment variable separates them by commas."""
    since: str | None = Field(None, pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
    """First month to build, for nightly runs. Earlier months are kept in lake and database, and not checked again."""
    reload: bool = False
    """Also load what the database has already."""
    nightly: bool = False
    """Start Dagster with the nightly schedule on, and show the farm as overdue if a nightly run is missing."""
    dagster_database_url: SecretStr | None = None
    """PostgreSQL for Dagster's own records. If unset, SQLite files under `home` have them."""
    pages_url: str = Field("http://127.0.0.1:3001", pattern=r"^https?://[^/]+$")
    """Address of the server of reports and Data Docs, for links on Dagster's pages. `aquamind ui` starts one here."""
    history: bool = False
    """In AquaMind's database, also write history rows for master records (django-simple-history)."""
    owner: str | None = Field(None, min_length=1, max_length=150)
    """In AquaMind's database, name of the user who shall own the farm. If unset, the pipeline makes a user of its own,
    as whom nobody can log in."""

    _held_anchor: date | None = PrivateAttr(None)
    """The anchor that the lake's manifest keeps."""

    @field_validator("faults", "skip_checks", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("as_of", mode="before")
    @classmethod
    def _parse_last_day(cls, value: object) -> object:
        if not isinstance(value, str) or value == TODAY:
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"write a day, as 2026-06-30, or {TODAY}, not {shortened(value)}") from None

    @field_validator("skip_checks")
    @classmethod
    def _require_skippable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        mistakes = [
            f"check {name} is needed and cannot be skipped; leave it out"
            if name in STATEMENTS
            else no_such("check", name, SKIPPABLE, "`aquamind checks` lists all")
            for name in value
            if name not in SKIPPABLE
        ]
        if mistakes:
            raise MistakesError(mistakes)
        return value

    @field_validator("lake", mode="before")
    @classmethod
    def _parse_lake(cls, value: object) -> object:
        return parse_location(value) if isinstance(value, str | Path) else value

    @field_validator(*_SECRETS)
    @classmethod
    def _require_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                urls.parsed(value)
            except DatabaseError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("home", mode="before")
    @classmethod
    def _parse_home(cls, value: object) -> object:
        return Path(value) if isinstance(value, str) else value  # pydantic refuses names that are not UTF-8

    @model_validator(mode="after")
    def _require_dask_address(self) -> Self:
        if self.executor == "dask" and self.dask_address is None:
            raise ConfigError("executor dask needs the address of a Dask scheduler: set AQUAMIND_DASK_ADDRESS")
        return self

    @property
    def farm(self) -> Profile:
        """The profile with the user's seed, epoch, as_of, anchor and faults.

        Raises:
            ConfigError: when the profile or a fault is unknown, or when values contradict each other.
        """
        anchor, as_of = self.anchor, self.as_of
        if anchor is None and is_anchored(self.profile):
            anchor, as_of = self._held_anchor or self.today, as_of or "today"
        return load_profile(
            self.profile,
            seed=self.seed,
            epoch=self.epoch,
            as_of=self.today if isinstance(as_of, str) else as_of,
            anchor=anchor,
            faults=self.faults,
        )

    @property
    def present_day(self) -> date:
        """The day that `today` means: the one that was given, or the clock's in UTC."""
        return self.today or datetime.now(UTC).date()

    def anchored_to(self, anchor: date) -> Settings:
        """These settings with another anchor of the farm, and the same lake and database."""
        settings = self.model_copy()
        settings._held_anchor = anchor
        return settings

    @property
    def needs_today(self) -> bool:
        """Whether a day in these settings, or in their profile, is the day on which they are read."""
        return self.as_of == TODAY or (self.anchor is None and is_anchored(self.profile))

    @property
    def farm_name(self) -> str:
        """Name of the farm: the profile's name, and each of seed, epoch, anchor and faults that the user changed."""
        farm = self.farm
        unchanged = load_profile(self.profile, anchor=farm.default_as_of if farm.is_anchored else None)
        parts = [farm.name]
        if self.anchor is not None:
            parts += ["anchored", str(self.anchor)]
        if farm.seed != unchanged.seed:
            parts += ["seed", str(farm.seed)]
        if farm.epoch != unchanged.epoch:
            parts += ["from", str(farm.epoch)]
        if farm.faults != unchanged.faults:
            parts += ["with", *(fault.replace(":", "-") for fault in farm.faults)]
        return "-".join(parts)

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
        """Name of this farm's database in the embedded server. A long name ends in a hash.

        PostgreSQL cuts off names after 63 bytes, and two farms would share a database.
        """
        name = "aquamind_" + "".join(c if c.isalnum() else "_" for c in self.farm_name.lower())
        if len(name.encode()) <= _NAME_BYTES:
            return name
        digest = hashlib.sha256(self.farm_name.encode()).hexdigest()[:_HASH_LENGTH]
        return f"{name.encode()[: _NAME_BYTES - _HASH_LENGTH - 1].decode(errors='ignore')}_{digest}"

    def texts(self) -> dict[str, str]:
        """Settings that are not None, without secrets, as texts that give the same settings when parsed."""
        values = self.model_dump(exclude_none=True, exclude=set(_SECRETS))
        return {name: _as_text(value) for name, value in values.items()}

    def environment(self) -> dict[str, str]:
        """Settings that are not None, with secrets, as environment variables for processes that Dagster starts."""
        values = {name: getattr(self, name) for name in _SECRETS}
        secrets = {name: value.get_secret_value() for name, value in values.items() if value is not None}
        return {f"AQUAMIND_{name.upper()}": text for name, text in (self.texts() | secrets).items()}


def _as_text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value.absolute() if isinstance(value, Path) else value)


def warn_of_unknown_variables() -> None:
    """Log a warning for each environment variable that looks like a setting and is none, with the nearest setting."""
    known = [f"{_PREFIX}{name.upper()}" for name in Settings.model_fields]
    for name, value in os.environ.items():
        if value and name.upper().startswith(_PREFIX) and name.upper() not in known:
            near = nearest(name.upper().removeprefix(_PREFIX), [one.removeprefix(_PREFIX) for one in known])
            meant = f"; did you mean {' or '.join(_PREFIX + one for one in near)}?" if near else ""
            _LOG.warning("the variable %s is no setting and has no effect%s", ascii(name)[1:-1], meant)


def load_settings(**overrides: Any) -> Settings:
    """Read settings from the environment. Overrides that are not None replace them.

    Raises:
        ConfigError: for an invalid value, in one line that names the setting.
    """
    try:
        settings = Settings(**{key: value for key, value in overrides.items() if value is not None})
    except ValidationError as error:
        mistakes = explained(
            error,
            Settings.model_fields,
            named=lambda name: f"setting {name} ({_PREFIX}{name.upper()})",
            otherwise=f"there are {', '.join(Settings.model_fields)}",
            words=_WORDS,
            secret=_SECRETS,
        )
        raise ConfigError(told(mistakes)) from None
    if settings.needs_today and settings.today is None:
        settings = settings.model_copy(update={"today": settings.present_day})
    require_usable(settings.home, "AQUAMIND_HOME")
    # Reads the profile, so that a mistake in it fails here and not during a run.
    if isinstance(settings.lake_path, Path):
        require_usable(settings.lake_path, "AQUAMIND_LAKE" if settings.lake else "the lake")
    else:
        settings.farm  # noqa: B018 - the same for a lake in a bucket
    if settings.farm.is_anchored and settings.anchor is None:
        from aquamind_pipeline.lake import Lake  # slow to import, and most profiles have a last day of their own

        manifest = Lake(settings.lake_path).manifest()
        if manifest is not None and manifest.anchor is not None:
            return settings.anchored_to(manifest.anchor)
    return settings


__all__ = ["SKIPPABLE", "Settings", "load_settings", "warn_of_unknown_variables"]
