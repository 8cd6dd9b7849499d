"""The options that commands share. A command names those that it uses, and receives them as validated `Settings`."""

import functools
import inspect
import os
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from aquamind_pipeline.cli.errors import one_line_errors
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.profiles import TODAY, profile_names

FARM = ("profile", "seed", "epoch", "anchor", "faults")
"""Options that say which farm: they decide its name, and so its lake and its database."""


MONTH, DAY, NUMBER = "YYYY-MM", "YYYY-MM-DD", "NUMBER"
"""How the help shows values of these kinds."""


def _day(text: str | date) -> date:
    """Read a day from an option.

    Raises:
        typer.BadParameter: when the text is no day.
    """
    try:
        return text if isinstance(text, date) else date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; write it as 2026-06-30") from None


def _day_or_today(text: str | date) -> str | date:
    """Read a day, or the word `today`, from an option.

    Raises:
        typer.BadParameter: when the text is neither.
    """
    if text == TODAY:
        return text
    try:
        return _day(text)
    except typer.BadParameter:
        raise typer.BadParameter(f"{text!r} is not a day; write it as 2026-06-30, or {TODAY}") from None


def whole_number(text: str | int) -> int:
    """Read a whole number from an option.

    Raises:
        typer.BadParameter: when the text is no whole number.
    """
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a whole number") from None


def _profiles(incomplete: str) -> Iterator[str]:
    """Profiles and files that an incomplete argument may become."""
    folder = Path(incomplete).parent if "/" in incomplete else Path()
    files = sorted(str(path) for path in folder.glob("*.toml")) if folder.is_dir() else []
    yield from (name for name in (*profile_names(), *files) if name.startswith(incomplete))


def _faults(incomplete: str) -> list[tuple[str, str]]:
    from aquamind_pipeline.quality.faults import FAULTS

    return [(name, fault.text) for name, fault in FAULTS.items() if name.startswith(incomplete)]


def _checks(incomplete: str) -> list[tuple[str, str]]:
    from aquamind_pipeline.quality.rules import STATEMENTS
    from aquamind_pipeline.settings import SKIPPABLE

    return [(name, STATEMENTS[name].text) for name in SKIPPABLE if name.startswith(incomplete)]


def _option(kind: Any, setting: str, text: str, *names: str, default: str = "", **more: Any) -> Any:
    """A shared option.

    Args:
        kind: Type of its value.
        setting: The setting that it gives. Its environment variable is part of the help.
        text: Help text.
        names: Names of the option; none for the name of the setting.
        default: What counts if the option and the variable are left out, for the help.
        more: Further arguments of `typer.Option`.
    """
    shown = f"{text} [env: AQUAMIND_{setting.upper()}]" + (f" [default: {default}]" if default else "")
    return Annotated[kind, typer.Option(*names, help=shown, show_default=False, **more)]


_OPTIONS: dict[str, Any] = {
    "profile": _option(
        str | None,
        "profile",
        f"Profile: {', '.join(profile_names())}, or the path of a .toml file.",
        "--profile",
        "-p",
        default="test-40",
        metavar="NAME",
        autocompletion=_profiles,
    ),
    "seed": _option(
        int | None,
        "seed",
        "Another farm of the same kind, as 7.",
        default="the profile's",
        parser=whole_number,
        metavar=NUMBER,
    ),
    "epoch": _option(
        date | None,
        "epoch",
        "First day of the farm.",
        default="the profile's",
        parser=_day,
        metavar=DAY,
    ),
    "as_of": _option(
        str | None,
        "as_of",
        f"Last day with data; {TODAY} for the present day in UTC.",
        default="the profile's, or the lake's if that is later",
        parser=_day_or_today,
        metavar=f"{DAY}|{TODAY}",
    ),
    "anchor": _option(
        date | None,
        "anchor",
        "Day to which the farm is anchored, if its profile has no last day of its own, such as uat-ladder.",
        default="the lake's, or today for a new farm",
        parser=_day,
        metavar=DAY,
    ),
    "faults": _option(
        list[str] | None,
        "faults",
        "Put this fault into the farm, into the share RATE of what it can hit. `aquamind faults` lists them. "
        "Repeatable.",
        "--fault",
        default="none",
        metavar="NAME[:RATE]",
        autocompletion=_faults,
    ),
    "home": _option(Path | None, "home", "Folder for everything that is written.", default="data", metavar="FOLDER"),
    "lake": _option(
        str | None,
        "lake",
        "Parquet lake: a folder of its own, or s3://bucket/prefix.",
        default="lake/FARM under home",
        metavar="PLACE",
    ),
    "database_url": _option(
        str | None,
        "database_url",
        "PostgreSQL to load into, as postgresql://me@host/farm. Set the variable instead if the URL has a password and "
        "other users can list processes.",
        default="the embedded server",
        metavar="URL",
    ),
    "load_anyway": _option(bool | None, "load_anyway", "Load even if checks fail; they only warn.", "--load-anyway"),
    "skip_checks": _option(
        list[str] | None,
        "skip_checks",
        "Skip this check. `aquamind checks` lists them. Repeatable.",
        "--skip-check",
        default="none",
        metavar="NAME",
        autocompletion=_checks,
    ),
    "reload": _option(bool | None, "reload", "Load everything again, also what did not change.", "--reload"),
    "history": _option(
        bool | None,
        "history",
        "In AquaMind's database, also write history rows for master records.",
        "--history",
    ),
    "owner": _option(
        str | None,
        "owner",
        "In AquaMind's database, the user who shall own the farm. Scenario pages show a user's own scenarios only.",
        "--owner",
        default="a user of the pipeline",
        metavar="USERNAME",
    ),
}
"""By name of the setting. An option that the user leaves out is None, and the environment or the profile decides."""

BUILDING = tuple(_OPTIONS)
"""Options of commands that build, check and load: all of them."""


def configured(command: Callable[..., None], *settings: str) -> Callable[..., None]:
    """Add shared options to a command.

    Args:
        command: A function of the settings and of its own options. Its docstring is its help text.
        settings: Names of the settings that options of the command give. Others come from the environment alone.

    Returns:
        The command as Typer wants it: all options, no settings. A user's mistake ends it in one line.
    """

    @functools.wraps(command)
    def run(**values: Any) -> None:
        given = {name: values.pop(name) for name in settings}
        with one_line_errors():
            from aquamind_pipeline.orchestration.home_folder import provide_home
            from aquamind_pipeline.postgres.urls import GivenUrl
            from aquamind_pipeline.settings import load_settings, warn_of_unknown_variables

            _require_current_folder()
            warn_of_unknown_variables()
            if given.get("database_url") is not None:
                given["database_url"] = GivenUrl(given["database_url"], "--database-url")
            loaded = load_settings(**given)
            provide_home(loaded)
            command(loaded, **values)

    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in list(inspect.signature(command).parameters.values())[1:]
    ]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_OPTIONS[name])
        for name in settings
    ]
    run.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *shared)}
    return run


def add(group: typer.Typer, command: Callable[..., None], *examples: str) -> None:
    """Add a command to a group, with the first sentence of its help as its line in the group's help.

    Args:
        group: The group.
        command: The command as Typer wants it.
        examples: Command lines that the help shows.
    """
    first, _, _ = inspect.cleandoc(command.__doc__ or "").replace("\n", " ").partition(". ")
    # Click leaves lines after the mark as they are, so that they can be copied.
    epilog = "\n".join(("\b", "Examples:", *(f"  {line}" for line in examples))) if examples else None
    group.command(short_help=first.rstrip(".") + ".", epilog=epilog)(command)


def _require_current_folder() -> None:
    try:
        os.getcwd()
    except OSError:
        raise ConfigError("the current folder does not exist any more: change to another one") from None


__all__ = ["BUILDING", "FARM", "MONTH", "NUMBER", "add", "configured", "whole_number"]
