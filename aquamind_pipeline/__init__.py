"""Builds a whole salmon farm for AquaMind: generated, assimilated, proved, and loaded into PostgreSQL."""

import gc

# Python looks for garbage after 700 new objects. Imports alone make a million that stay: a quarter of the start went
# into looking through them, and a tenth of a night. Nothing large of ours is ever part of a cycle.
gc.set_threshold(200_000)
