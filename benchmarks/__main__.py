"""`make bench`: every benchmark, or those that are named (`make bench ARGS="growth"`)."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from benchmarks import growth, load, pipeline

BENCHMARKS: dict[str, Callable[[], None]] = {"pipeline": pipeline.main, "load": load.main, "growth": growth.main}


def main() -> None:
    """Run the named benchmarks, all without names."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("names", nargs="*", help=f"of {', '.join(BENCHMARKS)}")
    names = options.parse_args().names or list(BENCHMARKS)
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        options.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    for name in names:
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
