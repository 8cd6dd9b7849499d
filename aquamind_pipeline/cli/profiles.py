"""`aquamind profiles`: the farms that come with the pipeline."""

from aquamind_pipeline.cli.console import console
from aquamind_pipeline.cli.errors import one_line_errors
from aquamind_pipeline.text_tables import Column, print_table


def profiles() -> None:
    """List the profiles that come with the pipeline."""
    with one_line_errors():
        from aquamind_pipeline.profiles import TODAY, is_anchored, load_profile, profile_names
        from aquamind_pipeline.settings import load_settings

        rows = []
        for name in profile_names():
            if is_anchored(name):
                farm = load_profile(name, anchor=load_settings(profile=name).present_day)
                rows.append([name, farm.description, str(farm.seed), f"{farm.history_days} days ago", TODAY])
            else:
                farm = load_profile(name)
                rows.append([name, farm.description, str(farm.seed), str(farm.epoch), str(farm.as_of)])
        shown = [Column(heading) for heading in ("profile", "description", "seed", "first day", "last day")]
        print_table(console, shown, rows)
