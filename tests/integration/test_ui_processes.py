"""How `aquamind ui` ends the processes that it started."""

import signal
import subprocess
import sys

import pytest

from aquamind_pipeline.cli import ui

SWALLOWS_ONE = """
import signal, sys, time
seen = []
def note(*_):
    seen.append(1)
    if len(seen) > 1:
        sys.exit(0)
signal.signal(signal.SIGINT, note)
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""


def test_a_process_that_misses_the_interrupt_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "_PATIENCE_SECONDS", 0.1)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with subprocess.Popen([sys.executable, "-c", SWALLOWS_ONE], stdout=subprocess.PIPE, text=True) as child:
        try:
            with vars(ui)["_Together"]() as together:
                together.add("a service", child)
                assert child.stdout is not None
                assert child.stdout.readline() == "ready\n"
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    assert child.returncode == 0
