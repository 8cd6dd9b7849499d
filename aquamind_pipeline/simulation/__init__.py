"""The simulated farm: its sites, its water, its plan, and the lives of its fish, as pure functions of a profile.

Nothing here opens a file, reads a clock or keeps state. Every random draw depends only on the seed, a name and an
entity (see `draws`). So parts of the farm can be made in any order and on any machine, and the rows are the same.
"""
