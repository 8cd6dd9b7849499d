"""Build steps without Dagster: plan a farm, make its tables, check them, and say what was found."""
