"""What every build step is given: which farm, where its lake and database are, and who watches progress."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date
from typing import Protocol

from pydantic import SecretStr

from aquamind_pipeline.lake import Lake, Manifest
from aquamind_pipeline.postgres.server import EmbeddedServer
from aquamind_pipeline.quality.runner import CheckRunner
from aquamind_pipeline.settings import Settings
from aquamind_pipeline.simulation.profile import Profile


class Progress(Protocol):
    """Shows how far long work is."""

    def track(self, label: str, total: int) -> contextlib.AbstractContextManager[Callable[[], None]]:
        """A block of `total` steps; the callable counts one of them done."""


class Silent:
    """Shows no progress: Dagster's own pages do."""

    @contextlib.contextmanager
    def track(self, label: str, total: int) -> Iterator[Callable[[], None]]:
        """Count nothing."""
        yield lambda: None


class Workspace:
    """One farm's settings, lake and database. Making the object touches nothing.

    The lake is held in the name of `owner`, else of this object alone.
    """

    def __init__(self, settings: Settings, progress: Progress | None = None, owner: str | None = None) -> None:
        self.settings = settings
        self.lake = Lake(settings.lake_path, owner)
        self.progress = progress or Silent()

    def with_settings(self, settings: Settings, owner: str | None = None) -> Workspace:
        """The same farm with the settings of one run. Its lake and lock are shared, unless `owner` holds the lake."""
        mine = copy.copy(self)
        mine.settings = settings
        if owner is not None:
            mine.lake = Lake(self.settings.lake_path, owner)
        return mine

    @property
    def wanted(self) -> Profile:
        """The farm that was asked for. Its `as_of` is the day that the user gave, else what the lake reached, else the
        profile's. A farm that reaches beyond today keeps its days if `today` is asked for.

        Raises:
            LakeError: when the lake holds another farm.
        """
        farm = self.settings.farm
        self.lake.require(farm, must_exist=False)
        manifest = self.lake.manifest()
        if not isinstance(self.settings.as_of, date) and manifest is not None and manifest.as_of > farm.as_of:
            return self._until(farm, manifest)
        return farm

    @property
    def planned(self) -> Profile:
        """The farm that the lake holds, up to the lake's `as_of`.

        Raises:
            LakeError: when there is no lake yet, or it holds another farm.
        """
        farm = self.settings.farm
        self.lake.require(farm)
        manifest = self.lake.manifest()
        assert manifest is not None
        return self._until(farm, manifest)

    def checks(self, months: Sequence[str] | None = None, *, only: Collection[str] | None = None) -> CheckRunner:
        """Runs the rules on the lake, as far as it is built.

        Args:
            months: Months to look at; None for all.
            only: Names of the rules to run; None for all.
        """
        farm = self.wanted if self.lake.manifest() is None else self.planned
        skip, since = self.settings.skip_checks, self.settings.since
        return CheckRunner(self.lake, farm, months, skip=skip, since=since, only=only)

    @contextlib.contextmanager
    def database(self) -> Iterator[SecretStr]:
        """The URL of the farm's database: the user's, or the embedded server's, which runs as long as the block."""
        if self.settings.database_url is not None:
            yield self.settings.database_url
            return
        with EmbeddedServer(self.settings.home).running(self.settings.database_name) as url:
            yield url

    @staticmethod
    def _until(farm: Profile, manifest: Manifest) -> Profile:
        return farm.model_copy(update={"as_of": manifest.as_of})


__all__ = ["Progress", "Silent", "Workspace"]
