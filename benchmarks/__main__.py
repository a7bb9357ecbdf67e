"""``python -m benchmarks``: everything in one run, interleaved, as Markdown on stdout."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks._quality import compare, references
from benchmarks._serving import serving
from benchmarks._sources import DATA, KINDS, make_sources

SIZE = (300, 200)
TITLES = {
    "ours": "**this library, Pillow**",
    "ours-simd": "**this library, Pillow + SIMD**",
    "ours-vips": "**this library, libvips**",
    "imagekit": "django-imagekit",
    "sorl": "sorl-thumbnail",
    "easy": "easy-thumbnails",
    "versatile": "versatileimagefield",
    "pictures": "django-pictures",
    "pillow": "bare Pillow",
    "vips": "bare pyvips",
}
#: For several widths only; elsewhere the same as the one before it.
NEXT_LARGER = {
    "pillow-next": "bare Pillow, each of the next larger",
    "vips-next": "bare pyvips, each of the next larger",
}
OURS = ("generateimage", "thumbnail", "spec field", "AdminThumbnail")
#: For warm pages only.
PAGES = {
    "ours": OURS,
    "ours-own-urls": OURS,
    "imagekit": ("generateimage", "thumbnail", "spec field"),
    "sorl": ("tag",),
    "easy": ("tag",),
    "versatile": ("field",),
    "pillow": ("floor", "floor with sizes"),
}
FLOORS = {"floor": "100 source URLs", "floor with sizes": "100 source URLs with sizes"}
PACKAGES = ("Django", "Pillow", "cykooz-resizer", "pyvips", "django-imagekit", "sorl-thumbnail", "easy-thumbnails",
            "django-versatileimagefield", "django-pictures")  # fmt: skip
Samples = dict[Any, list[dict[str, Any]]]


class Worker:
    """A contender's process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, method: str, *args: Any) -> dict[str, Any]:
        """Return the answer of the contender's *method*."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([method, *args]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "the process died"}')
        if "error" in answer:
            raise RuntimeError(f"{self.name}, {method}{args}: {answer['error']}")
        return dict(answer["result"])

    def close(self) -> None:
        """End the process; it removes its folder."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Workers:
    """The contenders' processes, each started when it is first asked."""

    def __init__(self) -> None:
        self._known: dict[str, Worker] = {}

    def __getitem__(self, name: str) -> Worker:
        if name not in self._known:
            self._known[name] = Worker(name)
        return self._known[name]

    def close(self) -> None:
        for worker in self._known.values():
            worker.close()


def middle(samples: Iterable[dict[str, Any]], key: str) -> float:
    return median(sample[key] for sample in samples)


def times(samples: list[dict[str, Any]], base: list[dict[str, Any]], key: str = "ms") -> str:
    """Return how many times as long as *base*: the median of the ratios of each round."""
    return f"{median(s[key] / b[key] for s, b in zip(samples, base, strict=True)):.2f}"


def both(samples: list[dict[str, Any]], base: list[dict[str, Any]]) -> str:
    """Return the ratio by the clock, and by processor time, which other work disturbs less."""
    return f"{times(samples, base)} ({times(samples, base, 'cpu')})"


def table(head: list[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in lines) + "\n"


def turned(names: list[Any], number: int) -> list[Any]:
    """Return *names*, another one first in each round."""
    at = number % len(names)
    return names[at:] + names[:at]


def cold(workers: Workers, rounds: int) -> str:
    parts = []
    for kind in (kind for kind in KINDS if kind != "tiny"):
        samples: Samples = defaultdict(list)
        names = list(TITLES)
        wanted = references(DATA / "sources" / KINDS[kind][0], SIZE)
        for number in range(-1, rounds):
            for name in turned(names, number):
                sample = workers[name].ask("cold", kind, number + 1)
                if number >= 0:  # the first round only warms
                    samples[name].append(sample)
        rows = []
        for name in names:
            quality = compare(Path(samples[name][-1]["path"]), wanted)
            psnr, ssim = (f"{quality[0]:.1f}", f"{quality[1]:.4f}") if quality else ("size", "size")
            mine = samples[name]
            rows.append(
                [TITLES[name], f"{middle(mine, 'ms'):.1f}", f"{middle(mine, 'cpu'):.1f}",
                 both(mine, samples["pillow"]), both(mine, samples["vips"]),
                 both(samples["imagekit"], mine), psnr, ssim]
            )  # fmt: skip
        head = [f"300x200 from {kind}", "ms", "CPU ms", "x Pillow", "x pyvips",
                "faster than django-imagekit", "PSNR dB", "SSIM"]  # fmt: skip
        parts.append(table(head, rows))
    return "\n".join(parts)


def memory(rounds: int) -> str:
    rows = []
    for name, title in TITLES.items():
        values = []
        for _ in range(min(rounds, 3)):
            worker = Worker(name)
            values.append(worker.ask("memory", "jpeg24")["mib"])
            worker.close()
        rows.append([title, f"{median(values):.1f}"])
    return table(["300x200 from jpeg24, fresh process", "MiB added to the peak"], rows)


def start(rounds: int) -> str:
    """Compare what each app adds to ``django.setup()``, each time in a process of its own."""
    names = ["pillow", "ours", "imagekit", "sorl", "easy", "versatile"]
    samples: Samples = defaultdict(list)
    for number in range(rounds * 3):
        for name in turned(names, number):
            command = [sys.executable, "-m", "benchmarks._start", name]
            samples[name].append(json.loads(subprocess.check_output(command)))
    floor = samples["pillow"]
    rows = []
    for name in names:
        mine = samples[name]
        added = [middle(mine, key) - middle(floor, key) for key in ("cpu", "modules", "mib")]
        title = "Django alone" if name == "pillow" else TITLES[name]
        cpu, modules, mib = added
        rows.append(
            [title, times(mine, floor, "cpu"), f"{cpu:+.0f}", f"{modules:+.0f}", f"{mib:+.1f}"]
        )
    return table(["start", "x Django alone", "CPU ms", "modules", "MiB"], rows)


def warm(workers: Workers, rounds: int) -> str:
    samples: Samples = defaultdict(list)
    pages = [(name, page) for name, of in PAGES.items() for page in of]
    for number in range(rounds * 3):
        for name, page in turned(pages, number):
            samples[name, page].append(workers[name].ask("warm", page))
    floor = samples["pillow", "floor"]
    rows = []
    for (name, page), mine in samples.items():
        counts = [mine[-1][key] for key in ("cache", "sql", "storage", "opens")]
        titles = TITLES | {"ours-own-urls": "**this library**, a storage that makes its own URLs"}
        title = FLOORS.get(page) or f"{titles[name]}: {page}"
        rows.append([title, f"{middle(mine, 'ms'):.2f}", both(mine, floor), *counts])
    rows.sort(key=lambda row: float(row[2].split()[0]))
    head = ["page of 100", "ms", "x floor", "cache", "SQL", "storage", "opens"]
    return table(head, rows)


def fan(workers: Workers, rounds: int) -> str:
    samples: Samples = defaultdict(list)
    titles = TITLES | NEXT_LARGER
    for number in range(rounds):
        for name in turned(list(titles), number):
            samples[name].append(workers[name].ask("fan", number))
    rows = []
    for name, title in titles.items():
        mine = samples[name]
        rows.append(
            [title, f"{middle(mine, 'ms'):.0f}", f"{middle(mine, 'cpu'):.0f}",
             both(mine, samples["pillow"]), both(mine, samples["pillow-next"]),
             both(samples["vips"], mine), both(samples["imagekit"], mine)]
        )  # fmt: skip
    head = ["5 widths of jpeg12", "ms", "CPU ms", "x Pillow, decoding once", "x Pillow, of the next larger",
            "faster than pyvips", "faster than django-imagekit"]  # fmt: skip
    return table(head, rows)


def bulk(workers: Workers, rounds: int, count: int, flat: bool) -> str:
    runs = [("ours", 1), ("ours", 2), ("ours-simd", 1), ("ours-simd", 2), ("ours-vips", 1), ("ours-vips", 2), ("imagekit", 1),
            ("pictures", 1), ("pillow", 1), ("pillow-next", 1), ("vips", 1), ("vips-next", 1)]  # fmt: skip
    samples: Samples = defaultdict(list)
    for number in range(rounds):
        for name, jobs in turned(runs, number):
            samples[name, jobs].append(workers[name].ask("bulk", number, count, jobs))
    rows = []
    for name, jobs in runs:
        mine = samples[name, jobs]
        title = (TITLES | NEXT_LARGER)[name] + (
            f", --jobs {jobs}" if name.startswith("ours") else ""
        )
        one = samples[name, 1]
        rows.append(
            [title, f"{middle(mine, 'ms') / 1000:.2f}", f"{middle(mine, 'cpu') / 1000:.2f}",
             both(mine, samples["pillow", 1]), both(samples["vips", 1], mine),
             both(samples["imagekit", 1], mine),
             times(one, mine) if jobs > 1 else ""]
        )  # fmt: skip
    head = [f"{count} x jpeg2 to 4 widths", "s", "CPU s", "x Pillow, decoding once",
            "faster than pyvips", "faster than django-imagekit", "faster than one job"]  # fmt: skip
    text = table(head, rows)
    if flat:
        lines = []
        for name in ("ours", "ours-simd", "ours-vips"):
            grown = []
            for number in (60, 600):
                worker = Worker(name)
                grown.append(f"{worker.ask('bulk', 0, number, 2)['mib']:.0f}")
                worker.close()
            lines.append([f"{TITLES[name]}, --jobs 2", *grown])
        text += "\n" + table(["MiB added to the peak", "60 sources", "600 sources"], lines)
    return text


def serve(rounds: int) -> str:
    head, rows, note = serving(rounds)
    return f"{table(head, rows)}\n{note}"


def machine() -> str:
    info = Path("/proc/cpuinfo")
    model = next(
        (line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line),
        platform.machine(),
    ) if info.exists() else platform.machine()  # fmt: skip
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{model}, {os.cpu_count()} cores, load {load} at the end; Python"
        f" {platform.python_version()}, {packages}.\n"
    )


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument(
        "parts", nargs="*", default=[], help="start cold memory warm fan bulk; serving"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--bulk-rounds", type=int, default=3)
    parser.add_argument("--serving-rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=60, help="sources of the bulk run")
    parser.add_argument("--flat", action="store_true", help="compare memory of 60 with 600 sources")
    options = parser.parse_args()
    parts = options.parts or ["start", "cold", "memory", "warm", "fan", "bulk"]
    make_sources()
    workers = Workers()
    measure = {
        "start": lambda: start(options.rounds),
        "cold": lambda: cold(workers, options.rounds),
        "memory": lambda: memory(options.rounds),
        "warm": lambda: warm(workers, options.rounds),
        "fan": lambda: fan(workers, options.rounds),
        "bulk": lambda: bulk(workers, options.bulk_rounds, options.count, options.flat),
        "serving": lambda: serve(options.serving_rounds),
    }
    texts = []
    try:
        for part in parts:
            print(f"{part} ...", file=sys.stderr, flush=True)
            texts.append(measure[part]())
            print(texts[-1], flush=True)
    finally:
        workers.close()
    print(machine())


if __name__ == "__main__":
    main()
