"""What one contender adds to ``django.setup()``: ``python -m benchmarks._start NAME``, as JSON."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path


def main(name: str) -> None:
    """Set Django up once, and print the processor time, the modules and the memory that it took."""
    os.environ["BENCHMARK_CONTENDER"] = name
    os.environ.setdefault("BENCHMARK_ROOT", "unused")
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks._settings"
    import django

    before, began = len(sys.modules), time.process_time()
    django.setup()
    cpu = (time.process_time() - began) * 1000
    modules = len(sys.modules) - before
    # What getrusage() says includes the process that started this one.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    mib = int(peak[1]) / 1024 if peak else 0.0
    print(json.dumps({"cpu": cpu, "modules": modules, "mib": mib}))


if __name__ == "__main__":
    main(sys.argv[1])
