"""What Celery's workers run."""

from __future__ import annotations

from celery import shared_task

from imagekit_registry import workers
from imagekit_registry.exceptions import GenerationError

__all__ = ["make_images"]


# What it throws is logged with spec, source and cause: Celery need not add where that was.
@shared_task(  # type: ignore[untyped-decorator]
    name="imagekit_registry.make_images",
    ignore_result=True,
    serializer="json",
    throws=(GenerationError,),
)
def make_images(message: object) -> None:
    """Make the images that *message* asks for."""
    workers.make_images(message)
