"""Lets Dagster's folder have any name.

Dagster puts paths into URLs of SQLite without escaping them, and reads dagster.yaml through a pattern of file names. In
a folder such as `/ws/a%2Fb [1]` it would open other files, or silently use its defaults. This module replaces both
functions.
"""

from __future__ import annotations

import glob
import os
from typing import Any

import sqlalchemy as sa

# The modules that use the two functions. Dagster has no hook for either.
from dagster._core.instance import config as instance_config
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from dagster_shared.yaml_utils import load_yaml_from_globs


def _file_url(base_dir: str, name: str) -> str:
    """The URL of a SQLite file, with every special character of its path escaped."""
    return sa.URL.create("sqlite", database=os.path.join(os.path.abspath(base_dir), f"{name}.db")).render_as_string()


def _load_yaml(*paths: str) -> Any:
    """The content of these very files, whatever characters their paths have."""
    return load_yaml_from_globs(*map(glob.escape, paths))


def accept_any_folder() -> None:
    """Let Dagster, in this process, work in a folder of any name."""
    for module in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        vars(module)["create_db_conn_string"] = _file_url
    vars(instance_config)["load_yaml_from_globs"] = _load_yaml
