"""Servers of images beside each other: ours, Wagtail's view and thumbor, asked by ``wrk``."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

from benchmarks._sources import DATA, KINDS, make_sources

__all__ = ["serving"]

ENVIRONMENT = Path(__file__).resolve().parent / ".venv-serving"
PYTHON = ENVIRONMENT / "bin" / "python"
SIZE = (300, 200)
QUALITY = 85
SOURCE = "jpeg2"
#: Clients that ask at the same time, seconds for which they do, and images that are made in a round.
CLIENTS = 8
SECONDS = 5
COLD = 150
WORKERS = os.cpu_count() or 1
THUMBOR = f"""
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = "{{root}}/thumbor"
STORAGE = "thumbor.storages.no_storage"
RESULT_STORAGE = "thumbor.result_storages.file_storage"
RESULT_STORAGE_FILE_STORAGE_ROOT_PATH = "{{root}}/thumbor-results"
SECURITY_KEY = "benchmarks only"
ALLOW_UNSAFE_URL = False
QUALITY = {QUALITY}
PROGRESSIVE_JPEG = False
"""
TITLES = {"ours": "**this library**", "wagtail": "Wagtail", "thumbor": "thumbor"}
ROWS = {
    "304": "warm, the browser has it",
    "body": "warm, the image",
    "redirect": "warm, a redirect to the storage",
    "cold": f"cold, each image once, of {SOURCE}",
}


#: How often a second, by the clock and by the processor time of the server.
Rates = tuple[float, float]
Samples = dict[tuple[str, str], list[Rates]]


class Server:
    """What answers at a port.

    Args:
        name: Which contender.
        urls: The paths of its images.
        root: The folder of all.
    """

    def __init__(self, name: str, urls: list[str], root: Path) -> None:
        self.name = name
        self.urls = urls
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._root = root
        self._group = 0

    def command(self) -> list[str]:
        """Return what starts it."""
        start = [str(PYTHON), "-m"]
        if self.name == "thumbor":
            conf = self._root / "thumbor.conf"
            conf.write_text(THUMBOR.format(root=self._root))
            own = ["--ip", "127.0.0.1", "--port", str(self.port), "--conf", str(conf)]
            return [*start, "thumbor.server", *own, "-l", "error", "--processes", str(WORKERS)]
        own = ["--workers", str(WORKERS), "--threads", "4", "--bind", f"127.0.0.1:{self.port}"]
        return [*start, "gunicorn", *own, "benchmarks._serving_site:application"]

    @contextmanager
    def running(self) -> Any:
        """Run it until the end of the block, which begins when it listens."""
        log = (self._root / f"{self.name}.log").open("wb")
        with log:
            process = subprocess.Popen(
                self.command(),
                env=environment(self.name, self._root),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            self._group = process.pid
            try:
                while socket.socket().connect_ex(("127.0.0.1", self.port)):
                    if process.poll() is not None:
                        raise RuntimeError(Path(log.name).read_text())
                    time.sleep(0.1)
                yield
            finally:
                # Thumbor's workers outlive their parent.
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()

    def get(
        self, path: str, connection: http.client.HTTPConnection | None = None, **headers: str
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """Return status, body and headers of an answer."""
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(), dict(response.getheaders())

    def processor_time(self) -> float:
        """Return the seconds of processor time that its processes have taken."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = path.read_text().rpartition(") ")[2].split()
                if int(fields[2]) == self._group:
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def warm(self, path: str, **headers: str) -> Rates:
        """Return how often a second it answers what it has answered before."""
        for _ in range(4 * WORKERS):  # each of its processes knows it then
            self.get(path, **headers)
        command = ["wrk", "-t1", f"-c{CLIENTS}", f"-d{SECONDS}s"]
        for name, value in headers.items():
            command += ["-H", f"{name}: {value}"]
        before = self.processor_time()
        told = subprocess.check_output([*command, f"http://127.0.0.1:{self.port}{path}"], text=True)
        assert "Non-2xx" not in told, told
        rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
        count = re.search(r"(\d+) requests in", told)
        assert rate, told
        assert count, told
        return float(rate[1]), int(count[1]) / (self.processor_time() - before)

    def cold(self, paths: list[str]) -> Rates:
        """Return how many images a second it makes."""
        own = threading.local()

        def ask(path: str) -> None:
            if not hasattr(own, "connection"):
                own.connection = http.client.HTTPConnection("127.0.0.1", self.port)
            status, body, _ = self.get(path, own.connection)
            assert (status, body[:2]) == (200, b"\xff\xd8"), (self.name, path, status, body[:500])

        started, before = time.perf_counter(), self.processor_time()
        with ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(ask, paths))
        taken = time.perf_counter() - started, self.processor_time() - before
        return len(paths) / taken[0], len(paths) / taken[1]


def environment(name: str, root: Path) -> dict[str, str]:
    """Return the environment of a contender's processes."""
    return {**os.environ, "SERVING_NAME": name, "SERVING_ROOT": str(root)}


def urls_of(name: str, root: Path, count: int) -> list[str]:
    """Give a contender *count* sources, and return the paths of their images."""
    folder = root / name / "photos"
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number}.jpg").hardlink_to(DATA / "sources" / KINDS[SOURCE][0])
    names = [f"photos/{number}.jpg" for number in range(count)]
    if name == "thumbor":
        return [_signed(f"{SIZE[0]}x{SIZE[1]}/{each}") for each in names]
    told = subprocess.check_output(
        [PYTHON, "-c", "from benchmarks._serving_site import prepare; prepare()"],
        input=json.dumps(names),
        env=environment(name, root),
        text=True,
    )
    urls: list[str] = json.loads(told)
    return urls


def _signed(path: str) -> str:
    digest = hmac.new(b"benchmarks only", path.encode(), hashlib.sha1).digest()
    return f"/{base64.urlsafe_b64encode(digest).decode()}/{path}"


def serving(rounds: int) -> tuple[list[str], list[list[str]], str]:
    """Return head and rows of a table, each figure of as many rounds, and what stands below."""
    missing = [each for each in ("wrk",) if not shutil.which(each)]
    if missing or not PYTHON.exists():
        sys.exit(
            "The servers need wrk (apt-get install wrk) and the packages of"
            " benchmarks/requirements-serving.txt (make bench ARGS=serving installs them)."
        )
    make_sources()
    root = Path(tempfile.mkdtemp(prefix="serving-", dir=DATA))
    samples: Samples = defaultdict(list)
    notes: dict[str, str] = {}
    try:
        servers = [
            Server(name, urls_of(name, root, 1 + rounds * COLD), root) for name in TITLES
        ]  # fmt: skip
        with ExitStack() as running:
            for server in servers:
                running.enter_context(server.running())
                notes[server.name] = _told(server)
            for number in range(rounds):
                for server in servers[number % 3 :] + servers[: number % 3]:
                    _measure(server, number, samples)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    head = ["requests a second", *TITLES.values(), "x Wagtail", "x thumbor"]
    told = "; ".join(f"{name}: {note}" for name, note in notes.items())
    return head, _rows(samples), f"{told}. {_versions()}\n"


def _told(server: Server) -> str:
    """Return what the first image is, which is the same for all: size, quality and bytes."""
    status, body, headers = server.get(server.urls[0])
    assert status == 200, (server.name, status, body[:500])
    with Image.open(io.BytesIO(body)) as image, Image.open(
        DATA / "sources" / KINDS[SOURCE][0]
    ) as source:  # fmt: skip
        assert image.size == SIZE, (server.name, image.size)
        again = io.BytesIO()
        source.convert("RGB").resize((8, 8)).save(again, "JPEG", quality=QUALITY)
        with Image.open(again) as wanted:
            assert image.quantization == wanted.quantization, (server.name, image.quantization)
    etag = headers.get("ETag") or headers.get("Etag")
    return f"{len(body):,} bytes, {'with' if etag else 'no'} ETag"


def _measure(server: Server, number: int, samples: Samples) -> None:
    path = server.urls[0]
    _, _, headers = server.get(path)
    etag = headers.get("ETag") or headers.get("Etag")
    if etag:
        assert server.get(path, **{"If-None-Match": etag})[0] == 304, server.name
        samples[server.name, "304"].append(server.warm(path, **{"If-None-Match": etag}))
    samples[server.name, "body"].append(server.warm(path))
    elsewhere = path.replace("/stream/", "/redirect/", 1)
    if elsewhere != path:
        assert server.get(elsewhere)[0] == 302, server.name
        samples[server.name, "redirect"].append(server.warm(elsewhere))
    first = 1 + number * COLD
    samples[server.name, "cold"].append(server.cold(server.urls[first : first + COLD]))


def _rows(samples: Samples) -> list[list[str]]:
    rows = []
    for key, title in ROWS.items():
        values = {name: samples.get((name, key), []) for name in TITLES}
        if key == "304" and not values["wagtail"]:
            # What it does instead.
            values["wagtail"] = samples["wagtail", "body"]
        mine, *others = values.values()
        cells = [_both(each, ",.0f") for each in values.values()]
        ratios = [
            [(a / c, b / d) for (a, b), (c, d) in zip(mine, each, strict=False)] for each in others
        ]
        rows.append([title, *cells, *(_both(each, ".2f") for each in ratios)])
    return rows


def _both(pairs: Sequence[Rates], format: str) -> str:
    """Return the medians by the clock and by processor time; nothing if there are none."""
    if not pairs:
        return ""
    clock, processor = (median(each) for each in zip(*pairs, strict=True))
    return f"{clock:{format}} ({processor:{format}})"


def _versions() -> str:
    code = (
        "from importlib.metadata import version; print(', '.join(f'{each} {version(each)}' for each in"
        " ('wagtail', 'thumbor', 'gunicorn', 'Django', 'Pillow')))"
    )
    packages = subprocess.check_output([PYTHON, "-c", code], text=True).strip()
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout.split()[
        1
    ]
    return (
        f"{WORKERS} processes each, {CLIENTS} clients, {SECONDS} s a figure; {packages}, wrk {wrk}."
    )
