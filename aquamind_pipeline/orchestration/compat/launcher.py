"""The run launcher that dagster.yaml names: Dagster's own, which also answers run monitoring."""

from __future__ import annotations

import dagster as dg

# Run monitoring expects these types as the answer to its question. Dagster exports its launcher but not them.
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

from aquamind_pipeline.orchestration.run_health import ended_process, reason_of_failure


class Launcher(dg.DefaultRunLauncher):
    """Dagster's own launcher, which also knows whether the process of a run is alive."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring asks only launchers that say yes."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a started run is alive; a process that is unknown counts as alive."""
        if (process := ended_process(self._instance, run)) is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, reason_of_failure(process))


__all__ = ["Launcher"]
