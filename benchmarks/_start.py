"""What one contender adds to ``django.setup()``: ``python -m benchmarks._start NAME``, as JSON."""

from __future__ import annotations

import json
import os
import resource
import sys
import time


def main(name: str) -> None:
    """Set Django up once, and print the processor time, the modules and the memory that it took."""
    os.environ["BENCHMARK_CONTENDER"] = name
    os.environ.setdefault("BENCHMARK_ROOT", "unused")
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks._settings"
    import django

    before, began = len(sys.modules), time.process_time()
    django.setup()
    cpu = (time.process_time() - began) * 1000
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": cpu, "modules": len(sys.modules) - before, "mib": peak}))


if __name__ == "__main__":
    main(sys.argv[1])
