"""Steps of a run on the workers of a Dask cluster, each in a process of its own.

Not dagster-dask's executor: that one starts a step whatever came of those before it, so that a failed check would not
stop the load, and two farms that share a cluster would be given each other's results.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
from dagster._core.events import DagsterEvent, EngineEventData
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.step_delegating import (
    CheckStepHealthResult,
    StepDelegatingExecutor,
    StepHandler,
    StepHandlerContext,
)
from distributed import Client, Event, Future

from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.settings import Settings

_CONNECT_SECONDS = 10


class DaskSteps(StepHandler):
    """Starts steps on a cluster, looks after them, stops them. What came of a step stands in Dagster's event log."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.dask_address
        everything, texts = settings.environment(), {f"AQUAMIND_{name.upper()}" for name in settings.texts()}
        self._secrets = [name for name in everything if name not in texts]
        self._environment = {name: everything[name] for name in texts} | {
            name: os.environ[name] for name in ("DAGSTER_HOME",) if name in os.environ
        }
        self._futures: dict[str, Future[None]] = {}
        self._over: set[str] = set()

    @property
    def name(self) -> str:
        """Name in Dagster's event log."""
        return "Dask"

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """Be a client of the cluster during the block.

        Raises:
            ConfigError: when it cannot be reached.
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

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Give the step to the cluster, which starts it when a worker is free."""
        key, task = _names(step_handler_context)
        yield DagsterEvent.step_worker_starting(
            step_handler_context.get_step_context(key), f'Waiting for a Dask worker for "{key}".', metadata={}
        )
        self._over.discard(key)  # another attempt
        arguments = {one["name"]: one["value"] for one in step_handler_context.execute_step_args.get_command_env()}
        self._futures[key] = self._client.submit(
            execute, task, self._environment | arguments, self._secrets, key=task, pure=False
        )

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """Whether a step that has not ended for Dagster may still be at work."""
        key, _ = _names(step_handler_context)
        future = self._futures.get(key)
        if future is None:
            return CheckStepHealthResult.unhealthy("another process had started it")
        if future.status == "error":
            return CheckStepHealthResult.unhealthy(str(future.exception()))
        if future.status == "finished" and key not in self._over:
            self._over.add(key)  # its last events may not have been read yet: they will have been when we look again
            return CheckStepHealthResult.healthy()
        if future.status == "pending":
            return CheckStepHealthResult.healthy()
        return CheckStepHealthResult.unhealthy(f"its process ended without a result (Dask: {future.status})")

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Interrupt the step where it runs, as Ctrl-C would."""
        key, task = _names(step_handler_context)
        yield DagsterEvent.engine_event(
            step_handler_context.get_step_context(key), f'Stopping "{key}" on its worker.', EngineEventData()
        )
        Event(_stop(task), self._client).set()
        if key in self._futures:
            self._futures[key].cancel()


class DaskExecutor(StepDelegatingExecutor):
    """Executes a run's steps by `DaskSteps`, and leaves the cluster at the end."""

    def __init__(self, steps: DaskSteps) -> None:
        super().__init__(
            steps,
            retries=RetryMode.ENABLED,
            sleep_seconds=0.2,
            check_step_health_interval_seconds=5,
            should_verify_step=True,  # Dask starts a lost worker's task again; Dagster decides on that, not Dask
        )
        self._steps = steps

    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Iterator[DagsterEvent]:
        """Execute the plan."""
        with self._steps.connected():
            yield from super().execute(plan_context, execution_plan)


def execute(task: str, environment: dict[str, str], secrets: list[str]) -> None:
    """On a worker: run one step to its end. Its failure is Dagster's business; a crash is an error here.

    Settings are the run's, not the worker's; only secrets are the worker's, since they do not travel.
    """
    given = {name: value for name, value in os.environ.items() if not name.startswith("AQUAMIND_")} | environment
    for name in secrets:
        if name not in os.environ:
            raise RuntimeError(f"the Dask worker on {socket.gethostname()} has no {name}: set it there, too")
        given[name] = os.environ[name]
    stop = Event(_stop(task))
    command = [sys.executable, "-m", "dagster", "api", "execute_step"]
    with subprocess.Popen(command, env=given, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own program
        while process.poll() is None:
            if stop.wait(timeout=1):
                process.send_signal(signal.SIGINT)
                process.wait()
    if process.returncode:
        raise RuntimeError(f"its process on {socket.gethostname()} ended with status {process.returncode}")


def _names(context: StepHandlerContext) -> tuple[str, str]:
    """Key of the step, and the name of its task: no other run, farm or attempt has the same."""
    arguments = context.execute_step_args
    (key,) = arguments.step_keys_to_execute or ()
    attempt = arguments.known_state.get_retry_state().get_attempt_count(key) if arguments.known_state else 0
    return key, f"{arguments.run_id}-{key}-{attempt}"


def _stop(task: str) -> str:
    return f"stop-{task}"


def dask_executor(settings: Settings) -> dg.ExecutorDefinition:
    """The executor over the cluster of the settings."""

    def made(_context: dg.InitExecutorContext) -> DaskExecutor:
        return DaskExecutor(DaskSteps(settings))

    return dg.ExecutorDefinition(
        "dask", executor_creation_fn=made, requirements=dg.multiple_process_executor_requirements()
    )


__all__ = ["DaskExecutor", "DaskSteps", "dask_executor", "execute"]
