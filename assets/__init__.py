"""Dagster assets, one module per layer: they name things, call the library and report what was written."""
