"""A server that takes down what it is sent, and answers as it is told."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs


@attrs.frozen
class Request:
    """What came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@attrs.define
class Sink:
    """The server.

    Attributes:
        url: Its address.
        statuses: What it answers, by method; 200 to others.
        body: What it says.
        requests: What has come so far.
    """

    url: str = ""
    statuses: dict[str, int] = attrs.field(factory=dict)
    body: bytes = b"{}"
    requests: list[Request] = attrs.field(factory=list)


@contextmanager
def listening() -> Iterator[Sink]:
    """Run a server until the end of the block."""
    sink = Sink()

    class Handler(http.server.BaseHTTPRequestHandler):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self._answer
            raise AttributeError(name)

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            sink.requests.append(Request(self.command, self.path, dict(self.headers), body))
            said = b"" if self.command in {"HEAD", "PUT"} else sink.body
            self.send_response(sink.statuses.get(self.command, 200))
            headers = {"Content-Type": "application/json", "Content-Length": str(len(said))}
            for name, value in {
                **headers,
                "ETag": '"1"',
                "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT",
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sink.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
