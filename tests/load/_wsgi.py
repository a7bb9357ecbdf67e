"""The demo, with pages of images that nobody has seen yet; it writes down what it makes."""

from __future__ import annotations

import json
import os
from typing import Any

# ruff: noqa: I001 -- what sets Django up comes first
from demo.wsgi import application

from django.http import HttpRequest, HttpResponse
from django.template import Context, Template
from django.urls import path

from demo import urls
from demo.gallery.models import Photo
from imagekit_registry import signals

__all__ = ["application"]


PAGE = Template(
    "{% load imagekit %}{% for photo in photos %}"
    "{% thumbnail size photo.image %}{% generateimage 'imagekit:thumbnail' source=photo.image"
    " width=width height=40 %}{% endfor %}"
)


def _fresh(request: HttpRequest, width: int) -> HttpResponse:
    """Show images of a width that nobody has asked for before the one who comes first."""
    photos = Photo._default_manager.order_by("pk")[:3]
    context = {"photos": photos, "width": width, "size": f"{width}x{width}"}
    return HttpResponse(PAGE.render(Context(context)))


urls.urlpatterns.insert(0, path("fresh/<int:width>", _fresh))


def _note(sender: Any, file: Any, **kwargs: Any) -> None:
    line = f"{json.dumps(file.name)}\n".encode()
    log = os.open(os.environ["IMAGEKIT_LOAD_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        # One write of one line: appended whole, whoever else appends.
        os.write(log, line)
    finally:
        os.close(log)


signals.generated.connect(_note, dispatch_uid="load test")
