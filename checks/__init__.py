"""Dagster asset checks, derived from the rules: they read the lake or the database, never an asset's value."""
