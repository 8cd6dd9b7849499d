"""Help texts of the command line."""

from __future__ import annotations

from typing import Any

import typer

from aquamind_pipeline.cli.app import app


def test_every_option_and_command_is_explained() -> None:
    """No command and no option of a command is without a help text."""
    todo: list[tuple[str, Any]] = [("aquamind", typer.main.get_command(app))]
    seen = set()
    while todo:
        path, command = todo.pop()
        seen.add(path)
        assert command.help, path
        todo += [(f"{path} {name}", sub) for name, sub in getattr(command, "commands", {}).items()]
        for parameter in command.params:
            assert parameter.help, f"{path} {parameter.name}"
    assert {"aquamind build", "aquamind db psql"} <= seen
