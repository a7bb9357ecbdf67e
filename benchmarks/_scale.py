"""What commands cost with very many rows: ``python -m benchmarks._scale 100000``, as Markdown.

Rows and their records are made without images, and the storage gives the names that there would be;
so what is measured is everything but pixels. Each command runs in a process of its own.
"""

from __future__ import annotations

import io
import os
import posixpath
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

COMMANDS = {
    "generateimages --missing --dry-run": ["generateimages", "--missing", "--dry-run", "--json"],
    "checkimages": ["checkimages", "--json"],
    "cleanimages --dry-run": ["cleanimages", "--dry-run", "--json"],
}
SPECS = 4


def configure(root: Path) -> Any:
    """Set Django up, and return a model with four spec fields."""
    os.environ.update(BENCHMARK_CONTENDER="ours", BENCHMARK_ROOT=str(root))
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks._settings"
    import django
    from django.conf import settings

    settings.STORAGES["default"] = {"BACKEND": "benchmarks._scale.NamesOnly"}
    settings.IMAGEKIT_STATE_STORE = "database"
    django.setup()
    from django.db import models

    from imagekit_registry.models import ImageSpecField
    from imagekit_registry.processors import ResizeToFit

    fields: dict[str, Any] = {"__module__": __name__, "image": models.ImageField()}
    for number in range(SPECS):
        width = 100 * (number + 1)
        fields[f"spec{number}"] = ImageSpecField([ResizeToFit(width)], "JPEG", source="image")
    fields["Meta"] = type("Meta", (), {"app_label": "bench"})
    return type("Photo", (models.Model,), fields)


def fill(model: Any, count: int) -> None:
    """Make the tables, and rows."""
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(model)
    rows = (model(image=f"photos/{number % 50}/{number}.jpg") for number in range(count))
    model.objects.bulk_create(rows, batch_size=1_000)


def main(count: int) -> None:
    """Print a table of all commands."""
    print("| rows x specs | command | s | us a file | MiB at its peak | listings |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        fill(configure(root), count)
        for title in COMMANDS:
            command = [sys.executable, "-m", "benchmarks._scale", str(root), title]
            seconds, mib, listings = map(float, subprocess.check_output(command).split())
            each = seconds * 1e6 / (count * SPECS)
            cells = [f"{count:,} x {SPECS}", f"`{title}`", f"{seconds:.1f}", f"{each:.0f}"]
            print("| " + " | ".join([*cells, f"{mib:.0f}", f"{listings:,.0f}"]) + " |", flush=True)


def run(root: Path, title: str) -> None:
    """Run one command, and print the seconds, the peak of memory and the listings that it took."""
    configure(root)
    from django.core.files.storage import default_storage
    from django.core.management import CommandError, call_command

    class Nowhere(io.TextIOBase):
        def write(self, text: str) -> int:
            return len(text)

    began = time.perf_counter()
    with suppress(CommandError):
        call_command(*COMMANDS[title], stdout=Nowhere(), stderr=Nowhere())
    seconds = time.perf_counter() - began
    status = Path("/proc/self/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    print(seconds, int(peak[1]) / 1024 if peak else 0, default_storage.listings)


if __name__ == "__main__":
    if sys.argv[1].isdecimal():
        main(int(sys.argv[1]))
    else:
        run(Path(sys.argv[1]), sys.argv[2])
else:
    from django.core.files.storage import FileSystemStorage

    class NamesOnly(FileSystemStorage):
        """A storage that has sources, and no images; it counts its listings."""

        listings = 0

        def listdir(self, path: str) -> tuple[list[str], list[str]]:
            """Return nothing: the images are gone."""
            type(self).listings += 1
            return [], []

        def exists(self, name: str) -> bool:
            """Return whether it is a source."""
            return not posixpath.normpath(name).startswith("CACHE")
