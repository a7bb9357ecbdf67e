"""What Dramatiq's workers run."""

from __future__ import annotations

import dramatiq

from imagekit_registry import workers
from imagekit_registry.conf import conf

__all__ = ["make_images"]


# Workers read the queues of the actors that they know. Which image is tried again, and when, is
# what the state says.
@dramatiq.actor(
    actor_name="imagekit_registry.make_images", queue_name=conf.QUEUE or "default", max_retries=0
)
def make_images(message: object) -> None:
    """Make the images that *message* asks for."""
    workers.make_images(message)
