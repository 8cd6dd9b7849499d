"""Help texts of the command line: every option explained, with its variable, its default, and examples that work."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from aquamind_pipeline.cli.app import app
from aquamind_pipeline.profiles import profile_names
from aquamind_pipeline.settings import Settings
from tests.helpers.places import ROOT

OPTIONS = {
    "plan": "profile seed epoch anchor as_of faults home lake database_url",
    "load": "profile seed epoch anchor faults home lake database_url load_anyway reload history owner",
    "verify": "profile seed epoch anchor faults home lake database_url skip_checks",
    "lake": "profile seed epoch anchor faults home lake",
    "wipe": "profile seed epoch anchor faults home lake database_url yes dry_run files database",
    "profiles": "",
    "db start": "profile seed epoch anchor faults home",
    "db stop": "home",
    "db status": "home",
    "db grants": "role database",
}
"""What each command takes: only options that change what it does."""


def commands() -> dict[str, Any]:
    """Every command by its path, groups included."""
    todo: list[tuple[str, Any]] = [("", typer.main.get_command(app))]
    found = {}
    while todo:
        path, command = todo.pop()
        found[path] = command
        todo += [(f"{path} {name}".strip(), sub) for name, sub in getattr(command, "commands", {}).items()]
    return found


COMMANDS = commands()
SHARED = {name for name in Settings.model_fields if any(p.name == name for p in COMMANDS["build"].params)}


def help_of(path: str) -> str:
    command = COMMANDS[path]
    context = command.make_context("aquamind", [], resilient_parsing=True, terminal_width=400, max_content_width=400)
    return str(command.get_help(context))


def test_every_option_and_command_is_explained() -> None:
    """No command and no option of a command is without a help text."""
    for path, command in COMMANDS.items():
        assert command.help, path
        for parameter in command.params:
            assert parameter.help, f"{path} {parameter.name}"
    assert {"build", "db psql"} <= COMMANDS.keys()


@pytest.mark.parametrize("path", OPTIONS)
def test_a_command_has_the_options_that_apply_to_it(path: str) -> None:
    assert {parameter.name for parameter in COMMANDS[path].params} == set(OPTIONS[path].split())


@pytest.mark.parametrize("path", [path for path, one in COMMANDS.items() if SHARED & {p.name for p in one.params}])
def test_help_names_the_variable_and_the_default_of_each_setting(path: str) -> None:
    text = help_of(path)
    for parameter in COMMANDS[path].params:
        if parameter.name in SHARED:
            assert f"[env: AQUAMIND_{parameter.name.upper()}]" in text
    fields = {name: str(field.default) for name, field in Settings.model_fields.items()}
    assert f"[env: AQUAMIND_HOME] [default: {fields['home']}]" in text
    if "--profile" in text:
        assert f"[env: AQUAMIND_PROFILE] [default: {fields['profile']}]" in text
        assert ", ".join(profile_names()) in text


def test_help_of_commands_with_a_choice_has_examples() -> None:
    missing = [path for path in ("plan", "build", "load", "verify", "wipe", "ui", "db psql") if not examples(path)]
    assert not missing


def examples(path: str) -> list[str]:
    return re.findall(r"^ +(aquamind .*)$", help_of(path).partition("Examples:")[2], re.MULTILINE)


@pytest.mark.parametrize("path", [path for path in COMMANDS if path])
def test_examples_are_valid(path: str) -> None:
    for line in examples(path):
        words = shlex.split(line.partition(" | ")[0])[1:]
        name = path.split()
        assert words[: len(name)] == name, line
        COMMANDS[path].make_context(path, words[len(name) :])


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    for path in COMMANDS:
        if path and path != "db":
            last = path.split()[-1]
            assert re.search(rf"^\| `aquamind [^|]*\b{last}\b", readme, re.MULTILINE), path
