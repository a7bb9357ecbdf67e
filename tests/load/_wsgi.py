"""The demo, which writes down what it makes."""

from __future__ import annotations

import json
import os
from typing import Any

from demo.wsgi import application
from imagekit_registry import signals

__all__ = ["application"]


def _note(sender: Any, file: Any, **kwargs: Any) -> None:
    line = f"{json.dumps(file.name)}\n".encode()
    log = os.open(os.environ["IMAGEKIT_LOAD_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        # One write of one line: appended whole, whoever else appends.
        os.write(log, line)
    finally:
        os.close(log)


signals.generated.connect(_note, dispatch_uid="load test")
