"""The options that most commands share. A command receives them as one validated `Settings`."""

import functools
import inspect
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from aquamind_pipeline.cli.errors import one_line_errors
from aquamind_pipeline.errors import ConfigError

_DAYS = ("epoch", "as_of")
_OPTIONS: dict[str, Any] = {
    "profile": Annotated[
        str | None, typer.Option("--profile", "-p", help="Profile name or path of a .toml file. [AQUAMIND_PROFILE]")
    ],
    "seed": Annotated[int | None, typer.Option(help="Use this seed, not the profile's. [AQUAMIND_SEED]")],
    "epoch": Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day of the farm. [AQUAMIND_EPOCH]")
    ],
    "as_of": Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day with data. [AQUAMIND_AS_OF]")
    ],
    "home": Annotated[
        Path | None, typer.Option(help="Folder for everything that the pipeline writes. [AQUAMIND_HOME]")
    ],
    "lake": Annotated[str | None, typer.Option(help="Parquet lake: a folder, or s3://bucket/prefix. [AQUAMIND_LAKE]")],
    "database_url": Annotated[
        str | None,
        typer.Option(
            help="URL of the PostgreSQL database. Set the variable instead if other users can list processes. "
            "[AQUAMIND_DATABASE_URL]"
        ),
    ],
    "faults": Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            help="Put this fault into the farm: NAME or NAME:RATE (names: docs/checks.md). Repeatable. "
            "[AQUAMIND_FAULTS]",
        ),
    ],
    "load_anyway": Annotated[
        bool | None,
        typer.Option("--load-anyway", help="Load even if checks fail; they only warn. [AQUAMIND_LOAD_ANYWAY]"),
    ],
    "skip_checks": Annotated[
        list[str] | None,
        typer.Option(
            "--skip-check", help="Skip this check (names: docs/checks.md). Repeatable. [AQUAMIND_SKIP_CHECKS]"
        ),
    ],
    "reload": Annotated[
        bool | None,
        typer.Option("--reload", help="Load everything again, also what did not change. [AQUAMIND_RELOAD]"),
    ],
    "history": Annotated[
        bool | None,
        typer.Option(
            "--history", help="Also write history rows for master records, in AquaMind's database. [AQUAMIND_HISTORY]"
        ),
    ],
}
"""By name of the setting. An option that the user leaves out is None, and the environment or the profile decides."""


def configured(command: Callable[..., None]) -> Callable[..., None]:
    """Add the shared options to a command.

    Args:
        command: A function of the settings and of its own options. Its docstring is its help text.

    Returns:
        The command as Typer wants it: all options, no settings. A user's mistake ends it in one line.
    """

    @functools.wraps(command)
    def run(**values: Any) -> None:
        given = {name: values.pop(name) for name in _OPTIONS}
        days = {name: given[name].date() for name in _DAYS if given[name] is not None}
        with one_line_errors():
            from aquamind_pipeline.orchestration.home_folder import provide_home
            from aquamind_pipeline.postgres.urls import GivenUrl
            from aquamind_pipeline.settings import load_settings

            _require_current_folder()
            if given["database_url"] is not None:
                given["database_url"] = GivenUrl(given["database_url"], "--database-url")
            settings = load_settings(**(given | days))
            provide_home(settings)
            command(settings, **values)

    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in list(inspect.signature(command).parameters.values())[1:]
    ]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]
    run.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *shared)}
    return run


def _require_current_folder() -> None:
    try:
        os.getcwd()
    except OSError:
        raise ConfigError("the current folder does not exist any more: change to another one") from None


__all__ = ["configured"]
