"""What workers of ``django.tasks`` run, or of the package django-tasks where Django is older."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from imagekit_registry import workers

__all__ = ["make_images"]

_tasks = import_module("django.tasks" if find_spec("django.tasks") else "django_tasks")


@_tasks.task  # type: ignore[untyped-decorator]
def make_images(message: object) -> None:
    """Make the images that *message* asks for."""
    workers.make_images(message)
