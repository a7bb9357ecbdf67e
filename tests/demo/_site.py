"""The demo as a running server, and a reader of its pages."""

from __future__ import annotations

import io
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPCookieProcessor, Request, build_opener

import attrs
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
_START_SECONDS = 60


@attrs.frozen
class Answer:
    """What the server has sent.

    Args:
        url: The address at the end of all redirects.
        status: The HTTP status.
        media_type: The Content-Type without its parameters.
        body: The content.
    """

    url: str
    status: int
    media_type: str
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def images(self) -> list[Img]:
        return list(_read_images(self.text, self.url))


@attrs.frozen
class Img:
    """An image as a page announces it.

    Args:
        urls: Its addresses: that of `src`, then those of all `srcset`.
        width: The attribute, in pixels.
        height: The attribute, in pixels.
        alt: The text in place of the image; None if the attribute is missing.
    """

    urls: tuple[str, ...]
    width: int | None
    height: int | None
    alt: str | None


class _Images(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "source":
            self.sources.append(values.get("srcset", ""))
        elif tag == "img":
            self.found.append({**values, "sources": ", ".join(self.sources)})
            self.sources = []


def _read_images(html: str, base: str) -> Iterator[Img]:
    parser = _Images()
    parser.feed(html)
    parser.close()
    for values in parser.found:
        candidates = f"{values.get('srcset', '')}, {values['sources']}".split(",")
        addresses = [values["src"], *(item.split()[0] for item in candidates if item.strip())]
        yield Img(
            tuple(urljoin(base, address) for address in addresses),
            int(values["width"]) if "width" in values else None,
            int(values["height"]) if "height" in values else None,
            values.get("alt"),
        )


class Visitor:
    """A browser without a screen: it keeps cookies and fills in forms.

    Args:
        address: The server's address, such as `http://127.0.0.1:8000/`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()))

    def get(self, path: str) -> Answer:
        """Return the page at *path*, after redirects."""
        return self._open(Request(urljoin(self.address, path)))

    def post(self, path: str, fields: dict[str, str], file: tuple[str, bytes] | None) -> Answer:
        """Fill in the form on the page at *path*; *file* is the name and content of its image."""
        page = self.get(path)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert token is not None
        fields = {"csrfmiddlewaretoken": token[1], **fields}
        headers = {"Referer": page.url}
        if file is None:
            return self._open(Request(page.url, urlencode(fields).encode(), headers))
        boundary = secrets.token_hex(16)
        parts = [
            f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
            for name, value in fields.items()
        ]
        parts.append(
            f'Content-Disposition: form-data; name="image"; filename="{file[0]}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n".encode()
            + file[1]
        )
        body = b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts)
        headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
        return self._open(Request(page.url, body + f"--{boundary}--\r\n".encode(), headers))

    def log_in(self) -> None:
        """Log into the admin with the demo account."""
        fields = {"username": "demo", "password": "demo"}
        answer = self.post("admin/login/?next=/admin/", fields, None)
        assert "Log out" in answer.text

    def _open(self, request: Request) -> Answer:
        with self._opener.open(request, timeout=60) as response:
            media_type = response.headers.get_content_type()
            return Answer(response.url, response.status, media_type, response.read())


def size_of(answer: Answer) -> tuple[int, int]:
    """Return width and height of an image that was fetched."""
    with Image.open(io.BytesIO(answer.body)) as image:
        image.load()
        return image.size


@attrs.frozen
class Demo:
    """The demo's folder and the environment of its processes.

    Args:
        data: The folder of its database and media.
    """

    data: Path

    def environment(self) -> dict[str, str]:
        """Return the environment variables: nothing of the demo's or the tests' own settings."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DEMO_", "DJANGO_", "COV_"))
        }
        return {
            **kept,
            "DEMO_DATA": str(self.data),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }

    def manage(self, *arguments: str) -> str:
        """Run a command, and return what it prints."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "demo" / "manage.py"), *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Run the development server, and give its address."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = self.data / "server.log"
        manage = str(ROOT / "demo" / "manage.py")
        with (
            log.open("w") as output,
            subprocess.Popen(
                [sys.executable, manage, "runserver", "--noreload", f"127.0.0.1:{port}"],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                _wait_for(port, process, log)
                yield f"http://127.0.0.1:{port}/"
            finally:
                process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"The demo does not answer: {log.read_text()}")
