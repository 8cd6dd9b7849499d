"""Where the steps of a run are executed: in its process, in other processes, or on a Dask cluster."""

from __future__ import annotations

from typing import Any

import dagster as dg

from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.settings import Settings

# Never fork: Polars' threads do not survive a fork, and the child hangs.
_START: dict[str, Any] = {"start_method": {"forkserver": {}}}


def executor(settings: Settings) -> dg.ExecutorDefinition:
    """The executor that the settings name.

    Raises:
        ConfigError: when a package that the executor needs is not installed.
    """
    if settings.executor == "in_process":
        # Polars uses every core inside a step, so on one machine steps gain little from their own processes.
        return dg.in_process_executor
    if settings.executor == "multiprocess":
        return dg.multiprocess_executor.configured(_START)
    try:
        from aquamind_pipeline.orchestration.compat.dask_steps import DaskExecutor, DaskSteps
    except ModuleNotFoundError as error:
        raise ConfigError(f"executor dask needs {error.name}: pip install 'aquamind-pipeline[dask]'") from None
    return dg.ExecutorDefinition(
        "dask",
        executor_creation_fn=lambda _context: DaskExecutor(DaskSteps(settings)),
        requirements=dg.multiple_process_executor_requirements(),
    )


__all__ = ["executor"]
