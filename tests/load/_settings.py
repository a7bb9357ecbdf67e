"""The demo's settings, with what the load needs."""

from __future__ import annotations

import os
from traceback import walk_tb
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

from demo.settings import *  # noqa: F403
from demo.settings import DATABASES, MIDDLEWARE

IMAGEKIT_STATE_STORE = os.environ["IMAGEKIT_LOAD_STORE"]
# As Django's documentation has it where a server may cut connections.
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
MIDDLEWARE = [f"{__name__}.AskAgain", *MIDDLEWARE]


class AskAgain:
    """Says that a page whose own queries were cut off is to be asked for again."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response: HttpResponse = self.get_response(request)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer 503 to an error of the database, unless it is one of the package's queries."""
        names = {str(frame.f_globals.get("__name__")) for frame, _ in walk_tb(error.__traceback__)}
        is_ours = any(name.startswith("imagekit_registry.state") for name in names)
        if is_ours or not isinstance(error, OperationalError | InterfaceError):
            return None
        return HttpResponse(status=503)
