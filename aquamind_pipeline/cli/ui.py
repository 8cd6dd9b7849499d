"""`aquamind ui`: Dagster's web pages for one farm."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aquamind_pipeline.cli.console import print_line

if TYPE_CHECKING:
    from aquamind_pipeline.settings import Settings


def ui(
    settings: "Settings",
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000,
) -> None:
    """Open Dagster's web pages for this farm, on http://127.0.0.1:3000 until Ctrl-C."""
    import dagster as dg

    from aquamind_pipeline.orchestration.records import dagster_home, project_file
    from aquamind_pipeline.orchestration.run_health import close_dead_runs

    dagster_home(settings)
    os.environ.update(settings.environment())
    with dg.DagsterInstance.get() as instance:
        close_dead_runs(instance)
    workspace = project_file("workspace.yaml")
    print_line(f"Dagster for {settings.farm_name}: http://127.0.0.1:{port} (Ctrl-C ends it)")
    dagster = str(Path(sys.executable).with_name("dagster"))
    command = [dagster, "dev", "--workspace", str(workspace), "--host", "127.0.0.1", "--port", str(port)]
    pages = [
        sys.executable,
        "-m",
        "aquamind_pipeline.orchestration.page_server",
        str(settings.reports_path),
        settings.pages_url,
    ]
    os.chdir(workspace.parent)
    sys.stdout.flush()
    subprocess.Popen(pages)  # noqa: S603 - our own module; it ends when this process ends
    # Replace this process, so that Ctrl-C and every other signal reach Dagster directly.
    os.execv(dagster, command)  # noqa: S606 - our own command, no shell
