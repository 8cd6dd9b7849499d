"""Runs the command line as `python -m aquamind_pipeline.cli`."""

from aquamind_pipeline.cli import main

main()
