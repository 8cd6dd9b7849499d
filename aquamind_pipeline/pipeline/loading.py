"""Build steps that load the lake into PostgreSQL and compare both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.lake import Manifest
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.postgres import comparison
from aquamind_pipeline.postgres.connection import described
from aquamind_pipeline.postgres.copying import Loaded
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.schema.check_result import CheckResult
from aquamind_pipeline.simulation.profile import Profile

POSTGRES_MASTER, POSTGRES_EVENTS, POSTGRES_STATES = "postgres_master", "postgres_events", "postgres_states"
LOADS = {POSTGRES_MASTER: REGISTRY.whole, POSTGRES_EVENTS: REGISTRY.events, POSTGRES_STATES: REGISTRY.states}
"""The three loads of a build, in their order, and the tables of each."""


@dataclass
class LoadResult:
    """What a load did.

    Attributes:
        target: The database, in words.
        loaded: Each table or month, with the rows that were sent.
        dropped: Tables and months that the lake no longer has, and that were taken out.
        left_out: Tables that the database does not have.
    """

    target: str
    loaded: list[Loaded] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    left_out: tuple[str, ...] = ()


def require_database(workspace: Workspace, farm: Profile) -> None:
    """Refuse a user's database that cannot take the farm, before anything is made.

    The embedded server is our own, so it is not asked.

    Raises:
        DatabaseError: when the database cannot be reached, lacks rights or connections, or holds something else.
    """
    settings = workspace.settings
    if settings.database_url is not None:
        open_target(settings.database_url).require_fit(
            Manifest.of(farm), history=settings.history, owner=settings.owner
        )


def load_whole_tables(workspace: Workspace, run: str) -> LoadResult:
    """Make the tables in an empty database, and load those that are kept whole.

    A nightly run first makes sure that the months before its own are loaded as they were verified.
    """
    lake, settings = workspace.lake, workspace.settings
    with lake.exclusive(), workspace.database() as url:
        target = open_target(url)
        target.prepare(Manifest.of(workspace.planned))
        if since := settings.since:
            lasting = [name for name in REGISTRY.monthly if not REGISTRY[name].snapshot]
            kept = {name: [month for month in lake.partitions(name) if month < since] for name in lasting}
            target.require_loaded(lake, kept | {name: [None] for name in REGISTRY.lasting})
        if settings.reload:
            target.distrust(REGISTRY.whole)
        loaded = target.load_whole(lake, run=run, history=settings.history, owner=settings.owner)
        return LoadResult(described(url), loaded, left_out=target.left_out)


def load_months(
    workspace: Workspace, names: Sequence[str], months_of: Callable[[str], Sequence[str]], run: str
) -> LoadResult:
    """Load months of tables, and take out those that the lake no longer has.

    Args:
        workspace: The farm.
        names: Tables that are kept by month, parents first.
        months_of: The months to load of a table.
        run: The run that loads, for the journal.
    """
    lake = workspace.lake
    with lake.exclusive(), workspace.database() as url:
        target, result = open_target(url), LoadResult(described(url))
        if workspace.settings.reload:
            target.distrust(names)
        with target.loading() as pool:
            for name in names:
                months = [month for month in months_of(name) if lake.has(name, month)]
                with workspace.progress.track(f"load {name}", len(months)) as advance:
                    result.loaded += target.load_months(pool, lake, name, months, advance, run=run)
            result.dropped += target.drop_vanished(pool, lake, names)
    return result


def compare(workspace: Workspace, names: Sequence[str], months: Sequence[str] | None) -> list[CheckResult]:
    """Compare lake and database: rows of each table, and what each column adds up to.

    A nightly run counts only the months since its first, and leaves out tables that are the same on every day.
    """
    since = workspace.settings.since
    changing = [name for name in names if since is None or name not in REGISTRY.lasting]
    with workspace.database() as url:
        return comparison.compared(open_target(url), workspace.lake, changing, months, since=since)


__all__ = [
    "LOADS",
    "POSTGRES_EVENTS",
    "POSTGRES_MASTER",
    "POSTGRES_STATES",
    "LoadResult",
    "compare",
    "load_months",
    "load_whole_tables",
    "require_database",
]
