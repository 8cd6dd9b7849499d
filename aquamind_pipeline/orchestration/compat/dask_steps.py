"""Executes the steps of a run on the workers of a Dask cluster.

dagster-dask has an executor of its own, which does not fit. It starts a step whatever became of the steps before it, so
a failed check would not stop the load. Two farms that share a cluster would also get each other's results.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import dagster as dg

# The constructor of StepDelegatingExecutor requires this type. Dagster exports retry policies, not the retry mode.
from dagster._core.execution.retries import RetryMode

# Dagster's base for executors that start steps elsewhere; dagster-k8s extends it too.
# The only public executor base, `dg.Executor`, has neither retries nor the order of steps.
from dagster._core.executor.step_delegating import (
    CheckStepHealthResult,
    StepDelegatingExecutor,
    StepHandler,
    StepHandlerContext,
)
from distributed import Client, Event, Future

from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.orchestration.dask_worker import run_step, stop_event
from aquamind_pipeline.settings import Settings

_CONNECT_SECONDS = 10


class DaskSteps(StepHandler):
    """Starts, watches and stops steps on a cluster. Results of steps are in Dagster's event log."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.dask_address
        variables, public = settings.environment(), {f"AQUAMIND_{name.upper()}" for name in settings.texts()}
        self._secret_names = [name for name in variables if name not in public]
        self._environment = {name: variables[name] for name in public} | {
            name: os.environ[name] for name in ("DAGSTER_HOME",) if name in os.environ
        }
        self._futures: dict[str, Future[None]] = {}
        self._finished: set[str] = set()

    @property
    def name(self) -> str:
        """Name in Dagster's event log."""
        return "Dask"

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """Keep a connection to the cluster during the block.

        Raises:
            ConfigError: when the scheduler cannot be reached.
        """
        try:
            client = Client(self._address, timeout=_CONNECT_SECONDS)
        except OSError:
            raise ConfigError(
                f"no Dask scheduler answers at {self._address}: start it, or correct AQUAMIND_DASK_ADDRESS"
            ) from None
        with client:
            self._client = client
            yield

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        """Submit the step to the cluster, which starts it when a worker is free."""
        key, task = _names(step_handler_context)
        yield dg.DagsterEvent.step_worker_starting(
            step_handler_context.get_step_context(key), f'Waiting for a Dask worker for "{key}".', metadata={}
        )
        self._finished.discard(key)  # an earlier attempt may have finished
        arguments = {one["name"]: one["value"] for one in step_handler_context.execute_step_args.get_command_env()}
        self._futures[key] = self._client.submit(
            run_step, task, self._environment | arguments, self._secret_names, key=task, pure=False
        )

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """Whether a step may still be running. Dagster asks only about steps that have no final event."""
        key, _ = _names(step_handler_context)
        future = self._futures.get(key)
        if future is None:
            return CheckStepHealthResult.unhealthy("another process had started it")
        if future.status == "error":
            return CheckStepHealthResult.unhealthy(str(future.exception()))
        if future.status == "finished" and key not in self._finished:
            # Dagster may not have read the step's last events yet. By its next question it will have.
            self._finished.add(key)
            return CheckStepHealthResult.healthy()
        if future.status == "pending":
            return CheckStepHealthResult.healthy()
        return CheckStepHealthResult.unhealthy(f"its process ended without a result (Dask: {future.status})")

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        """Interrupt the step on its worker, as Ctrl-C would."""
        key, task = _names(step_handler_context)
        step_handler_context.instance.report_engine_event(
            f'Stopping "{key}" on its worker.', step_handler_context.dagster_run, step_key=key
        )
        Event(stop_event(task), self._client).set()
        if key in self._futures:
            self._futures[key].cancel()
        return iter(())


class DaskExecutor(StepDelegatingExecutor):
    """Executes the steps of a run by `DaskSteps`, connected to the cluster until the run ends."""

    def __init__(self, steps: DaskSteps) -> None:
        super().__init__(
            steps,
            retries=RetryMode.ENABLED,
            sleep_seconds=0.2,
            check_step_health_interval_seconds=5,
            # Dask restarts the tasks of a lost worker. A restarted step finds that Dagster has seen it before and ends.
            should_verify_step=True,
        )
        self._steps = steps

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        """Execute the plan. Both arguments are Dagster's and are only passed on."""
        with self._steps.connected():
            yield from super().execute(plan_context, execution_plan)


def _names(context: StepHandlerContext) -> tuple[str, str]:
    """Key of the step and name of its task. The name is unique: it holds the run, the step and the attempt."""
    arguments = context.execute_step_args
    (key,) = arguments.step_keys_to_execute or ()
    attempt = arguments.known_state.get_retry_state().get_attempt_count(key) if arguments.known_state else 0
    return key, f"{arguments.run_id}-{key}-{attempt}"


__all__ = ["DaskExecutor", "DaskSteps"]
