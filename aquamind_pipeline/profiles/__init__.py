"""Profiles as TOML files, one farm each."""
