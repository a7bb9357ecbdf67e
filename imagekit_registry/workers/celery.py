"""What Celery's workers run."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from imagekit_registry import workers

__all__ = ["make_images"]


@shared_task(name="imagekit_registry.make_images", ignore_result=True, serializer="json")  # type: ignore[untyped-decorator]
def make_images(message: Any) -> None:
    """Make the images that *message* asks for."""
    workers.make_images(message)
