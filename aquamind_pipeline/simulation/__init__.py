"""The simulated farm: its sites, its water, its plan, and the lives of its fish, as pure functions of a profile.

Nothing here opens a file, reads a clock or keeps state. Every random draw is a pure function of the seed and of what
it is drawn for (see `draws`), so parts can be made in any order and on any machine, and come out the same.
"""
