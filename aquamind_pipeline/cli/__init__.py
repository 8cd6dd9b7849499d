"""The command line `aquamind`: one module per command.

A user's mistake ends in one line on standard error and exit status 1, a wrong option in exit status 2. A traceback is a
bug of the pipeline.

This package imports no polars, dagster or duckdb when it starts, so that `aquamind --help` answers at once. A command
imports them when it runs. Work belongs in the library; a command only reads options, calls the library, and prints.
"""

import os
import sys


def main() -> None:
    """Run the command that the arguments of this process name."""
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # else processes that it starts look into the working directory first
    try:
        # Imported only now: other systems lack some of what it needs, and a user's file may hide some.
        from aquamind_pipeline.errors import ConfigError
        from aquamind_pipeline.platforms import require_supported

        try:
            require_supported()
        except ConfigError as error:
            sys.exit(f"error: {error}")
        from aquamind_pipeline.cli.streams import dependable_streams

        with dependable_streams():
            # Imported only now: the consoles need open streams and the size of the terminal.
            from aquamind_pipeline.cli.app import main as run

            run()
    except Exception as error:  # most likely a bug of ours; but a user's file in place of a module fails in any way
        from aquamind_pipeline.cli.shadows import folders_searched_first, hidden_module

        if (reason := hidden_module(folders_searched_first(), error)) is None:
            raise
        sys.exit(f"error: {reason}")


__all__ = ["main"]
