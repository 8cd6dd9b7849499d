"""Where Dagster keeps the records of a farm, and the guard that keeps the records of two farms apart."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.files import write_atomically

if TYPE_CHECKING:
    from aquamind_pipeline.settings import Settings  # slow to import; Dagster's own processes need no settings

DATABASE_VARIABLE = "AQUAMIND_DAGSTER_DATABASE_URL"
"""The environment variable with the URL of the PostgreSQL database for Dagster's records."""
_HOME, _SETTINGS = "DAGSTER_HOME", "dagster.yaml"
_LONGEST_NAME_BYTES = 200
_HERE = Path(__file__).parent
_FARM = "aquamind/farm"
"""Key under which records name their farm, in Dagster's own key-value store."""
_chosen: set[str] = set()
"""Values of DAGSTER_HOME that this process has set. The user's own choice is never among them."""


def dagster_home(settings: Settings) -> Path:
    """Dagster's folder of a farm, with a dagster.yaml. Sets DAGSTER_HOME.

    The folder that the user names by DAGSTER_HOME keeps its dagster.yaml. If it has none, it gets a copy of ours. Our
    own folder always has a copy of ours.

    Raises:
        ConfigError: when the folder cannot be written, or DAGSTER_HOME is not an absolute path of a folder.
    """
    from aquamind_pipeline.orchestration.compat.paths import accept_any_folder  # slow, and changes handlers of logs

    accept_any_folder()
    given = os.environ.get(_HOME)
    if given and given not in _chosen:
        home = Path(given)
        if not home.is_absolute() or not os.path.isdir(home):  # Path.is_dir raises without permission
            raise ConfigError(
                f"DAGSTER_HOME={given} is not the absolute path of an existing folder: make the folder, or unset "
                "DAGSTER_HOME to use the pipeline's own"
            )
        if not (home / _SETTINGS).exists():
            _copy_settings(home, "put a dagster.yaml there, or unset DAGSTER_HOME")
        return home
    home = settings.home.absolute() / "dagster" / _folder_name(settings.farm_name)
    _copy_settings(home, "set AQUAMIND_HOME to a writable folder")
    _chosen.add(str(home))
    os.environ[_HOME] = str(home)
    return home


def _copy_settings(home: Path, remedy: str) -> None:
    """Copy our dagster.yaml into Dagster's folder if it differs from the one there."""
    copy, content = home / _SETTINGS, (_HERE / _SETTINGS).read_bytes()
    try:
        if not copy.exists() or copy.read_bytes() != content:
            write_atomically(copy, content)  # a running user interface may be reading the file
    except OSError as error:
        raise ConfigError(f"{home} cannot be written ({error.strerror}): {remedy}") from None


def _folder_name(farm: str) -> str:
    """A farm's name as that of one folder. File systems refuse slashes, and names of more than 255 bytes."""
    name = farm.replace("/", "_")
    if len(name.encode()) <= _LONGEST_NAME_BYTES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return name.encode()[: _LONGEST_NAME_BYTES - len(digest) - 1].decode(errors="ignore") + f"-{digest}"


def require_own_records(instance: dg.DagsterInstance, farm: str) -> None:
    """Note in new records which farm they belong to, and refuse the records of another farm.

    Two farms have the same assets. In one history, each would take the other's runs for its own, and a nightly run
    would build all months again.

    Args:
        instance: Dagster with its records.
        farm: Name of the farm that wants to use them.

    Raises:
        ConfigError: when the records belong to another farm.
    """
    if recorded_farm(instance) is None:
        instance.daemon_cursor_storage.set_cursor_values({_FARM: farm})
    owner = recorded_farm(instance)  # another farm may have been faster
    if owner != farm:
        raise ConfigError(
            f"these records of Dagster belong to farm {owner}, not to {farm}: give each farm a DAGSTER_HOME of its own "
            f"(unset it for the default), and its own database if {DATABASE_VARIABLE} is set"
        )


def recorded_farm(instance: dg.DagsterInstance) -> str | None:
    """Name of the farm to which these records of Dagster belong; None if they are new."""
    return instance.daemon_cursor_storage.get_cursor_values({_FARM}).get(_FARM)


__all__ = ["DATABASE_VARIABLE", "dagster_home", "recorded_farm", "require_own_records"]
