"""`aquamind db`: the embedded PostgreSQL, and the rights that loading needs in another one."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from aquamind_pipeline.cli.console import print_line
from aquamind_pipeline.cli.options import FARM, add, configured
from aquamind_pipeline.errors import ConfigError, DatabaseError

if TYPE_CHECKING:
    from aquamind_pipeline.postgres.server import EmbeddedServer
    from aquamind_pipeline.postgres.urls import EmbeddedUrl
    from aquamind_pipeline.settings import Settings

HELP = "The embedded PostgreSQL, and rights for loading into another one."
_DATABASE = (*FARM, "home")
"""Options that say which database of which server."""
_STOPPED = 3
"""Exit status of `status` when the server does not run, as service managers expect."""


def start(settings: "Settings") -> None:
    """Start the embedded PostgreSQL, keep it running, and show how to connect."""
    url = _server(settings).keep(settings.database_name)
    print_line("Connect with any PostgreSQL client. The password works on this machine only:")
    print_line(url.get_secret_value())
    print_line("Stop the server with `aquamind db stop`.")


def stop(settings: "Settings") -> None:
    """Stop the embedded PostgreSQL."""
    stopped = _server(settings).stop()
    print_line("stopped" if stopped else "still in use; the server stops when its last user is done")


def status(settings: "Settings") -> None:
    """Say whether the embedded PostgreSQL is running. Exit status 3 if it is not."""
    if _server(settings).url(settings.database_name) is None:
        print_line("stopped")
        raise typer.Exit(_STOPPED)
    print_line("running")


def url(settings: "Settings") -> None:
    """Print the URL of the farm's database, for scripts."""
    print_line(_running_url(settings).get_secret_value())


def psql(
    settings: "Settings",
    command: Annotated[
        str | None, typer.Option("--command", "-c", metavar="SQL", help="Run this command and exit.")
    ] = None,
) -> None:
    """Open psql on the farm's database."""
    from aquamind_pipeline.postgres.urls import psql_environment

    program = _server(settings).psql()
    arguments = [str(program), *(["-c", command] if command else [])]
    variables = psql_environment(_running_url(settings))
    sys.stdout.flush()
    os.execve(program, arguments, variables)  # noqa: S606 - our own program, no shell


def grants(
    role: Annotated[str, typer.Argument(help="The role that will load.")],
    database: Annotated[str, typer.Option(metavar="NAME", help="Name of AquaMind's database.")] = "aquamind_db",
) -> None:
    """Print the SQL that gives a role just the rights to load into AquaMind's database, and makes it if need be."""
    from aquamind_pipeline.postgres.targets.aquamind.grants import grants as statements

    sys.stdout.write(statements(role, database))


def _server(settings: "Settings") -> "EmbeddedServer":
    from aquamind_pipeline.postgres.server import EmbeddedServer

    if settings.database_url is not None:
        raise ConfigError(
            "`aquamind db` is for the embedded server, but AQUAMIND_DATABASE_URL names another one: unset it first"
        )
    return EmbeddedServer(settings.home)


def _running_url(settings: "Settings") -> "EmbeddedUrl":
    found = _server(settings).url(settings.database_name)
    if found is None:
        raise DatabaseError("the embedded PostgreSQL is not running: start it with `aquamind db start`")
    return found


group = typer.Typer(no_args_is_help=True, help=HELP)
add(group, configured(start, *_DATABASE), "aquamind db start --profile tiny")
add(group, configured(stop, "home"))
add(group, configured(status, "home"))
add(group, configured(url, *_DATABASE), 'psql "$(aquamind db url --profile tiny)"')
add(
    group,
    configured(psql, *_DATABASE),
    "aquamind db psql --profile tiny",
    "aquamind db psql -c 'SELECT count(*) FROM batch_batch'",
)
add(group, grants, "aquamind db grants loader | psql aquamind_db")
