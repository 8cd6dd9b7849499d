"""Dagster assets, derived from the registry of tables: they call build steps and report what was written."""
