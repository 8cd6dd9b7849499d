"""The only package that imports Dagster's private modules, one module for each thing that Dagster lets us replace.

Each private import says why no public name serves. An architecture test counts them. A new version of Dagster may
change any of them, so an upgrade begins here.
"""
