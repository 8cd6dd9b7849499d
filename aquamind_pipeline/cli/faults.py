"""`aquamind faults`: the faults that can be put into a farm."""

from aquamind_pipeline.cli.console import console
from aquamind_pipeline.cli.errors import one_line_errors
from aquamind_pipeline.text_tables import Column, print_table


def faults() -> None:
    """List the faults that `--fault` can put into a farm, and the share of units that each one hits."""
    with one_line_errors():
        from aquamind_pipeline.quality.faults import FAULTS

        rows = [[one.name, one.text, f"{one.rate:.0%} of {one.unit}"] for one in FAULTS.values()]
        print_table(console, [Column("fault"), Column("what goes wrong"), Column("hits")], rows)


__all__ = ["faults"]
