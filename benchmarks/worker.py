"""Run one side of a comparison: once, or once for every line of standard input. Needs the standard library only.

Usage: python worker.py MODULE:FUNCTION SETTINGS [--once]

FUNCTION takes the settings, a JSON object, loads what it needs and returns the work, which returns a number of units,
or seconds that it measured itself.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time


def processor_seconds() -> float:
    """Return the CPU seconds of this process and its ended children."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Load the side, then run and time it as often as asked."""
    module, function = sys.argv[1].split(":")
    work = getattr(importlib.import_module(module), function)(json.loads(sys.argv[2]))
    if "--once" in sys.argv:
        work()
        return
    # Libraries print to standard output while they load; the driver waits for this line.
    print("\nready", flush=True)
    for _ in sys.stdin:
        wall, processor = time.perf_counter(), processor_seconds()
        done = work()
        cost = {"wall": time.perf_counter() - wall, "processor": processor_seconds() - processor, "units": done}
        if isinstance(done, dict):
            # A time that the work measured itself.
            cost = {"wall": done["seconds"], "processor": done["seconds"], "units": 1}
        print("\ncost " + json.dumps(cost), flush=True)


if __name__ == "__main__":
    main()
