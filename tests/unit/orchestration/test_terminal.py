"""What a run prints on the terminal of `aquamind ui`."""

import logging
import re
import sys
from collections.abc import Iterator

import dagster as dg
import pytest

from aquamind_pipeline.errors import ConfigError, DatabaseError
from aquamind_pipeline.orchestration.compat import terminal
from aquamind_pipeline.orchestration.compat.services import ADDRESS_VARIABLE

ADDRESS = "http://127.0.0.1:3000"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = vars(terminal)["context_creation_job"]
    monkeypatch.setattr(module, "default_system_loggers", module.default_system_loggers)
    monkeypatch.setenv(ADDRESS_VARIABLE, ADDRESS)
    before = logging.getLogRecordFactory()
    terminal.print_plain_lines()
    yield
    logging.setLogRecordFactory(before)


def printed(capsys: pytest.CaptureFixture[str], *assets: dg.AssetsDefinition) -> tuple[list[str], str]:
    """What a run of these assets prints, without the time and the run, and the address of its page."""
    capsys.readouterr()
    job = dg.Definitions([*assets], jobs=[dg.define_asset_job("farm")]).resolve_job_def("farm")
    with dg.DagsterInstance.ephemeral() as instance:
        run = job.execute_in_process(instance=instance, raise_on_error=False).run_id
    lines = capsys.readouterr().err.splitlines()
    start = rf"\d\d:\d\d:\d\d farm {run[:8]}: "
    assert all(re.match(start, line) for line in lines), lines
    return [re.sub(start, "", line) for line in lines], f"{ADDRESS}/runs/{run}"


def asset(name: str, error: Exception | None = None, after: tuple[str, ...] = ()) -> dg.AssetsDefinition:
    @dg.asset(name=name, deps=after)
    def made(context: dg.AssetExecutionContext) -> None:
        context.log.info(f"{name} begins")
        context.log.warning("slow")
        if error is not None:
            raise error

    return made


def test_a_failed_check_is_named_and_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    specs = [dg.AssetCheckSpec(name, asset="fish", blocking=True) for name in ("keys", "gaps", "sums")]

    @dg.asset(name="fish", check_specs=specs)
    def fish() -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
        yield dg.MaterializeResult()
        yield from (dg.AssetCheckResult(passed=spec.name == "gaps", check_name=spec.name) for spec in specs)

    lines, page = printed(capsys, fish, asset("later", after=("fish",)), asset("last", after=("later",)))
    assert lines == [
        "error: step fish stopped: failed checks of fish: keys, sums",
        f"error: the run failed, see {page}",
    ]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigError("no such [day]:\n:fish: today"), "no such [day]: :fish: today"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (dg.Failure("no room"), "dagster._core.definitions.events.Failure: no room"),
    ],
)
def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str], error: Exception, text: str) -> None:
    lines, page = printed(capsys, asset("fish", error))
    assert lines == [
        "fish begins",
        "warning: slow",
        f"error: step fish stopped: {text}",
        f"error: the run failed, see {page}",
    ]


def test_the_same_reason_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    away = DatabaseError("the server is away")
    lines, page = printed(capsys, *(asset(name, away) for name in ("fish", "feed", "lice")))
    assert [line for line in lines if line.startswith("error")] == [
        "error: step feed stopped: the server is away",
        f"error: the run failed, see {page}",
    ]


def test_a_stopped_run_has_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    lines, page = printed(capsys, asset("fish", dg.DagsterExecutionInterruptedError()))  # type: ignore[arg-type]
    assert lines == ["fish begins", "warning: slow", f"the run was stopped, see {page}"]


def test_other_errors_of_dagster_have_no_stack(caplog: pytest.LogCaptureFixture) -> None:
    """The daemon logs exceptions, and errors of other processes as text with stacks."""
    logger = logging.getLogger("dagster.daemon")
    try:
        raise DatabaseError("the server is away")
    except DatabaseError:
        logger.exception("Backfill %s failed\n", "abc")
    try:
        try:
            raise ConfigError("profile 'x' has a mistake")
        except ConfigError as error:
            raise dg.DagsterError("Error occurred during the loading") from error
    except dg.DagsterError:
        stored = vars(terminal)["serializable_error_info_from_exc_info"](sys.exc_info())
        logger.error("Failure loading location: %s", stored)
    assert [record.getMessage() for record in caplog.records] == [
        "Backfill abc failed: the server is away",
        "profile 'x' has a mistake",
    ]
    assert "Traceback" not in caplog.text
