"""`make bench`: every benchmark, or those that are named: `make bench ARGS="generate memory --profile test-40"`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from aquamind_pipeline.orchestration.garbage_collection import collect_rarely
from benchmarks import (
    checks,
    determinism,
    end_to_end,
    generate,
    growth,
    load,
    memory,
    nightly,
    orchestration,
    quick,
    results,
    scaling,
    where,
)
from benchmarks.measuring import Row

BENCHMARKS: dict[str, Callable[..., list[Row]]] = {
    "generate": generate.measure,
    "growth": growth.measure,
    "load": load.measure,
    "end_to_end": end_to_end.measure,
    "checks": checks.measure,
    "memory": memory.measure,
    "scaling": scaling.measure,
    "determinism": determinism.measure,
    "where": where.measure,
    "nightly": nightly.measure,
    "nightly_aquamind": nightly.measure_aquamind,
    "orchestration": orchestration.measure,
}
OF_MANY_FARMS = ("memory", "scaling")
"""Benchmarks that compare farms: they take several profiles."""


def main() -> None:
    """Run the named benchmarks, all without names."""
    collect_rarely()
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("names", nargs="*", help=f"of {', '.join(BENCHMARKS)}")
    options.add_argument("--profile", action="append", help="farm to measure on, instead of the benchmark's own")
    options.add_argument("--quick", action="store_true", help="compare a few ratios with those of quick.json")
    options.add_argument("--write", action="store_true", help="with --quick: write its ratios to quick.json")
    given = options.parse_args()
    if given.quick:
        quick.main(write=given.write)
        return
    if unknown := sorted(set(given.names) - set(BENCHMARKS)):
        options.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    for name in given.names or BENCHMARKS:
        profiles = ([given.profile] if name in OF_MANY_FARMS else given.profile) if given.profile else [None]
        for profile in profiles:
            rows = BENCHMARKS[name]() if profile is None else BENCHMARKS[name](profile)
            title = name if profile is None or name in OF_MANY_FARMS else f"{name}-{profile}"
            results.show(title, rows)
            print(results.save(title, rows))


if __name__ == "__main__":
    main()
