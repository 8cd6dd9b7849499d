"""Dagster asset checks, one module per layer: they read the lake or the database, never an asset's value."""
