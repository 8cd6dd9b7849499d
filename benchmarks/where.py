"""Where the time of each stage goes: which function of ours was at work, or waited for a library, at each sample.

A thread looks at all others every few milliseconds. That sees the load's and the comparison's threads, which cProfile
does not, and costs next to nothing.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from benchmarks import checks
from benchmarks.measuring import STAGES, Row, farm, make, seconds
from benchmarks.stages import EVERYTHING, after

INTERVAL_SECONDS = 0.004
SHOWN = 3
_ROOT = Path(__file__).parents[1]
_OURS = tuple(str(_ROOT / folder) for folder in ("aquamind_pipeline", "assets", "checks"))
_BOOKKEEPING = "compat/storage.py"
_WAITING = ("threading.py", "queue.py", "selectors.py", "thread.py")


def measure(profile: str = "test-40") -> list[Row]:
    """The functions that take most of each stage."""
    rows: list[Row] = []
    with farm(profile) as workspace, workspace.database():
        checks.warm_up(workspace)
        for stage in EVERYTHING:
            with sampled() as found:
                taken = seconds(
                    partial(make, workspace, [stage]) if stage in STAGES else partial(after, workspace, stage)
                )
            for place, count in found.most_common(SHOWN):
                rows.append({"stage": stage, "seconds": taken, "function": place, "share": count / found.total()})
    return rows


@contextmanager
def sampled() -> Iterator[Counter[str]]:
    """Count which function of ours each busy thread is in, for as long as the block."""
    found: Counter[str] = Counter()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(INTERVAL_SECONDS):
            for thread, frame in sys._current_frames().items():
                if thread != sampler.ident and not frame.f_code.co_filename.endswith(_WAITING):
                    found[_place(frame)] += 1

    sampler = threading.Thread(target=look, daemon=True)
    sampler.start()
    try:
        yield found
    finally:
        ended.set()
        sampler.join()


def _place(frame: FrameType | None) -> str:
    """The innermost function of ours; Dagster's bookkeeping where there is none."""
    while frame is not None:
        if frame.f_code.co_filename.endswith(_BOOKKEEPING):
            break
        if frame.f_code.co_filename.startswith(_OURS):
            path = Path(frame.f_code.co_filename).relative_to(_ROOT)
            return f"{path}: {frame.f_code.co_qualname}"
        frame = frame.f_back
    return "Dagster's bookkeeping"
