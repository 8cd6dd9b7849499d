"""What exists on the farm and what happens there, as pure functions of a profile and frames.

Nothing here opens a file, reads a clock or keeps state; every random draw is a pure function of the seed and of
what it is drawn for (see `draws`), so parts can be made in any order, anywhere, and come out the same.
"""
