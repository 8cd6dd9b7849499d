"""Everything that imports Dagster's private modules: nothing outside this package does."""
