"""`aquamind profiles`: the farms that come with the pipeline."""

from rich.table import Table

from aquamind_pipeline.cli.console import console
from aquamind_pipeline.cli.errors import one_line_errors


def profiles() -> None:
    """List the profiles that come with the pipeline."""
    with one_line_errors():
        from aquamind_pipeline.profiles import load_profile, profile_names

        shown = Table("profile", "description", "seed", "first day", "last day")
        for column in shown.columns:
            column.no_wrap = column.header != "description"
        for name in profile_names():
            farm = load_profile(name)
            shown.add_row(name, farm.description, str(farm.seed), str(farm.epoch), str(farm.as_of))
        console.print(shown)
