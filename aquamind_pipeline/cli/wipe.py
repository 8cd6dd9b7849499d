"""`aquamind wipe`: deletes one farm from the lake and from PostgreSQL."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from aquamind_pipeline.cli.console import error_console, print_line, require_yes

if TYPE_CHECKING:
    from aquamind_pipeline.settings import Settings


def wipe(
    settings: "Settings",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted. Delete nothing.")] = False,
    files: Annotated[bool, typer.Option(help="Delete the Parquet lake, or keep it.")] = True,
    database: Annotated[bool, typer.Option(help="Delete the farm's rows from PostgreSQL, or keep them.")] = True,
) -> None:
    """Delete this farm: its lake and its rows in PostgreSQL. Other farms, tables and rows stay.

    If objects of others depend on tables that would be dropped, nothing is deleted, and each is named. `--dry-run` ends
    with status 1 then.
    """
    from aquamind_pipeline.apps import REGISTRY
    from aquamind_pipeline.lake import Manifest, duckdb_views
    from aquamind_pipeline.pipeline.workspace import Workspace
    from aquamind_pipeline.postgres.connection import described, is_local
    from aquamind_pipeline.postgres.targets import open_target

    workspace = Workspace(settings)
    lake, farm = workspace.lake, settings.farm
    if files:
        lake.require(farm, must_exist=False, any_version=True)
    url = settings.database_url
    where = described(url) if url else f"the embedded database {settings.database_name}"
    targets = [str(settings.lake_path)] * files + [where] * database
    if database and url and not is_local(url):
        error_console.print(Text.assemble(("warning", "yellow"), f": {where} is not on this machine"), soft_wrap=True)
    if not yes and not dry_run:
        require_yes(f"Delete {' and '.join(targets)}?")
    lake_exists = files and lake.exists()
    in_the_way: list[str] = []
    # Lock the lake first: if another process is building it, the database keeps its rows, too.
    with lake.exclusive() if lake_exists and not dry_run else contextlib.nullcontext():
        if database:
            with workspace.database() as opened_url:
                target = open_target(opened_url)
                if farm.is_anchored and settings.anchor is None and (anchor := target.held_anchor()):
                    farm = settings.anchored_to(anchor).farm  # the lake may be gone, or anchored to another day
                target.require_farm(Manifest.of(farm))
                deleted = target.wipe(dry_run=dry_run)
                in_the_way = target.in_the_way_of_wipe() if dry_run else []
            _print_deleted(where, deleted, dry_run=dry_run)
            for dependent in in_the_way:
                error_console.print(
                    f"error: {dependent}: drop it first", style="red", soft_wrap=True, markup=False, highlight=False
                )
        if lake_exists and not dry_run:
            lake.delete(REGISTRY)
            if isinstance(settings.lake_path, Path):
                duckdb_views.path_of(settings.lake_path).unlink(missing_ok=True)
    if files:
        outcome = _deleted(dry_run=dry_run) if lake_exists else "does not exist"
        print_line(f"{settings.lake_path}: {outcome}")
    if in_the_way:
        raise typer.Exit(1)


def _print_deleted(where: str, deleted: dict[str, tuple[int, int]] | None, *, dry_run: bool) -> None:
    """Print how many rows each table lost.

    Args:
        where: The database, for people.
        deleted: By table, the numbers of rows deleted and kept. None if the database holds no farm.
        dry_run: Whether nothing was deleted in fact.
    """
    if deleted is None:
        print_line(f"{where}: contains no farm")
        return
    rows = sum(gone for gone, _ in deleted.values())
    print_line(f"{where}: {rows:,} rows of {len(deleted)} tables {_deleted(dry_run=dry_run)}")
    for name, (_, kept) in deleted.items():
        if kept:
            stay = "1 row stays" if kept == 1 else f"{kept:,} rows stay"
            print_line(f"  {name}: {stay}, because others use {'it' if kept == 1 else 'them'}")


def _deleted(*, dry_run: bool) -> str:
    return "would be deleted" if dry_run else "deleted"
