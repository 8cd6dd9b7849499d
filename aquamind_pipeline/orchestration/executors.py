"""Where the steps of a run are executed: in its process, in processes beside it, or on a Dask cluster."""

from __future__ import annotations

from typing import Any

import dagster as dg

from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.settings import Settings

# Never fork: Polars' threads do not survive it and the child hangs.
_START: dict[str, Any] = {"start_method": {"forkserver": {}}}


def executor(settings: Settings) -> dg.ExecutorDefinition:
    """The executor that the settings ask for.

    Raises:
        ConfigError: when what it needs is not installed.
    """
    if settings.executor == "in_process":
        # Polars uses every core inside a step, so on one machine steps gain little from processes of their own.
        return dg.in_process_executor
    if settings.executor == "multiprocess":
        return dg.multiprocess_executor.configured(_START)
    try:
        from aquamind_pipeline.orchestration.compat.dask_steps import dask_executor
    except ModuleNotFoundError as error:
        raise ConfigError(f"executor dask needs {error.name}: pip install 'aquamind-pipeline[dask]'") from None
    return dask_executor(settings)


__all__ = ["executor"]
