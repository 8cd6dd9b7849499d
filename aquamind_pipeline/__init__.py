"""Builds a whole salmon farm for AquaMind: generated, assimilated, proved, and loaded into PostgreSQL."""
