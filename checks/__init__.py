"""Dagster asset checks, derived from the rules. They read the lake or the database, never the value of an asset."""
