"""`aquamind plan`: what a build will make."""

from typing import TYPE_CHECKING

from rich.text import Text

from aquamind_pipeline.cli.console import console, print_line
from aquamind_pipeline.text_tables import columns, print_table

if TYPE_CHECKING:
    from aquamind_pipeline.settings import Settings


def plan(settings: "Settings") -> None:
    """Show what a build will make: batches, rows, occupancy, disk. Builds nothing."""
    from aquamind_pipeline.pipeline import disk_space
    from aquamind_pipeline.pipeline.preview import preview

    farm = settings.farm
    planned = preview(farm)
    print_line(Text.assemble((farm.name, "bold"), f": {farm.description}"))
    months = "1 month" if planned.months == 1 else f"{planned.months} months"
    print_line(f"seed {farm.seed}, {farm.epoch} to {farm.as_of}, {months}")
    print_line(f"{planned.batches} batches: {planned.completed} harvested, {planned.active} alive on the last day")
    coming = [f"{number} {status.lower()}" for status, number in planned.coming.items() if number]
    if coming:
        print_line(f"further batches: {', '.join(coming)}")
    volumes = [[name, "decided by chance" if rows is None else f"{rows:,}"] for name, rows in planned.rows.items()]
    print_table(console, columns("table", "rows"), volumes)
    print_line(
        f"containers: {planned.containers_now:,} of {planned.containers:,} in use on the last day, "
        f"{planned.containers_peak:,} at most, {planned.containers_ever:,} ever; "
        f"{planned.container_days_share:.1%} of container-days"
    )
    print_line(
        f"disk, about: {disk_space.size(planned.lake_bytes)} of Parquet in {settings.lake_path}, "
        f"{disk_space.size(planned.database_bytes)} in PostgreSQL"
    )
    for disk in disk_space.disk_spaces(settings, farm):
        print_line(disk.description, style=None if disk.is_enough else "red")
