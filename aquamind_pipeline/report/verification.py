"""Verifies a loaded database: computes the report, and the data of its pictures.

Sections and thresholds are those of AquaMind's own verification script, without its gaps: volumes are compared with the
plan exactly, every transition is checked for doubling, and every batch is tested. All figures are computed from the
database. At night only the last months are computed; see `report.sums`.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
from pydantic import SecretStr

from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.lake import Manifest
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.connection import connect, described
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.report import picture_data
from aquamind_pipeline.report import sums as report_sums
from aquamind_pipeline.report.model import Report
from aquamind_pipeline.report.picture_data import PictureData
from aquamind_pipeline.report.sections import batches, growth, one_batch, utilisation, volumes
from aquamind_pipeline.simulation.profile import GENERATOR_VERSION, Profile
from aquamind_pipeline.simulation.schedule import schedule

_PLAIN_PLANS = "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL work_mem = '64MB'"
"""With parallel workers and too little memory, grouping into a million groups took 15 minutes instead of a second."""


def verify(
    url: SecretStr, farm: Profile, since: str | None = None, kept: Path | None = None
) -> tuple[Report, PictureData]:
    """Compute the report, and the data of its pictures.

    Args:
        url: The database.
        farm: The farm that it should hold. Its `as_of` is read from the database.
        since: Month before which rows are not counted again, nor summed up again if `kept` has their sums.
        kept: Folder that keeps the sums of months for the next report.

    Raises:
        DatabaseError: when the database cannot be read, or holds no farm or another one.
    """
    target = open_target(url)
    with connect(url) as connection:
        target.show_ours(connection)
        description, farm = _loaded_farm(target.held(connection), url, farm)
        plan = schedule(farm)
        months = target.month_counts(target.monthly, since)
        counts = target.row_counts(target.whole)
        counts |= {name: int(months.filter(pl.col("table") == name)["rows"].sum()) for name in target.monthly}
        connection.execute(_PLAIN_PLANS)
        # Others may change the rows of our batches. The journal does not record that, so kept sums may be wrong.
        sums = report_sums.read(connection, since if target.is_ours_alone else None, kept)
        sections = [
            volumes.section(farm, plan, counts, since),
            batches.section(connection, farm, plan),
            growth.section(connection, farm, sums),
            one_batch.section(connection, target.tables),
            utilisation.section(connection, farm, sums),
        ]
        pictures = picture_data.read(connection, farm, plan, months, sums)
    return Report(description, described(url), farm.as_of.isoformat(), sections), pictures


def _loaded_farm(held: journal.Farm, url: SecretStr, farm: Profile) -> tuple[str, Profile]:
    """The farm that the database holds: its description, and the profile up to its `as_of`.

    Raises:
        DatabaseError: when it holds another farm, or one of another version.
    """
    if held.identity != farm.identity:
        found = f"{described(url)} holds {held.description}"
        if Manifest.of(farm).is_of(held.description, held.identity):
            raise DatabaseError(
                f"{found}, but this program has generator version {GENERATOR_VERSION}: run `aquamind wipe`, then "
                "build and load again"
            )
        raise DatabaseError(f"{found}, not profile {farm.name} with seed {farm.seed}")
    return held.description, farm.model_copy(update={"as_of": held.as_of})


__all__ = ["verify"]
