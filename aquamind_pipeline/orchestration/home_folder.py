"""Gives libraries a home folder where the process has none, as in a container that runs under any user id.

Great Expectations asks for the home folder when it is imported, and matplotlib keeps its list of fonts there. Like the
settings of the garbage collector, this holds for the whole process and for the processes that it starts. So the command
line and the code location that Dagster loads call it; importing the library never does.
"""

from __future__ import annotations

import os
from pathlib import Path

from aquamind_pipeline.settings import Settings

_MATPLOTLIB = "MPLCONFIGDIR"


def provide_home(settings: Settings) -> None:
    """Set HOME, and matplotlib's folder, to places under AQUAMIND_HOME if the user's own cannot serve.

    HOME is set only if the user has no home folder at all. One that cannot be written stays, because it may hold the
    user's credentials. Libraries make the folders when they need them.
    """
    ours = settings.home.absolute() / "home"
    try:
        home = Path.home()
    except RuntimeError:  # HOME is not set, and the system does not know the user
        home = ours
        os.environ["HOME"] = str(ours)
    else:
        if os.access(home, os.W_OK):
            return
    if not os.environ.get(_MATPLOTLIB):
        os.environ[_MATPLOTLIB] = str(ours / "matplotlib")


__all__ = ["provide_home"]
