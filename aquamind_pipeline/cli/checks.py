"""`aquamind checks`: the checks that can be skipped."""

from aquamind_pipeline.cli.console import console
from aquamind_pipeline.cli.errors import one_line_errors
from aquamind_pipeline.text_tables import Column, print_table


def checks() -> None:
    """List the checks, what each one says, and whether `--skip-check` can skip it."""
    with one_line_errors():
        from aquamind_pipeline.quality.rules import STATEMENTS
        from aquamind_pipeline.settings import SKIPPABLE

        rows = [[one.name, one.text, "yes" if one.name in SKIPPABLE else "no"] for one in STATEMENTS.values()]
        print_table(console, [Column("check"), Column("what must hold"), Column("can be skipped")], rows)


__all__ = ["checks"]
