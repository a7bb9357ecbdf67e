"""What is known of the images of a tag when its HTML is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from imagekit_registry.cachefiles import ImageCacheFile, generate_many
from imagekit_registry.cachefiles.existence import fetch, known
from imagekit_registry.cachefiles.fallbacks import Fallback, fallback_for
from imagekit_registry.cachefiles.strategies import makes_when_required
from imagekit_registry.exceptions import GenerationError, ImageKitError
from imagekit_registry.state import Status

__all__ = ["Answers"]


@attrs.frozen
class Answers:
    """Says of each image where it is and how large.

    Args:
        failures: What has just failed to be made, and why.
    """

    failures: Mapping[ImageCacheFile, ImageKitError] = attrs.field(factory=dict)

    @classmethod
    def about(cls, files: Sequence[ImageCacheFile]) -> Answers:
        """Return what is known of *files*, in one round trip; what is missing is made together.

        Call it in a `state_scope`, which keeps what was read.
        """
        if len(files) < 2:
            return cls()
        fetch(list(files))
        missing = [file for file in files if _is_to_be_made(file)]
        if len(missing) < 2:
            return cls()
        outcome = generate_many(missing)
        return cls({failure.file: failure.error for failure in outcome.failures})

    def about_one(self, file: ImageCacheFile) -> tuple[Fallback, bool]:
        """Return the URL and size of an image, and True; or those of what stands in, and False.

        Raises:
            MissingSource: There is no source.
            GenerationError: The image cannot be made, and failures are to be raised.
        """
        error = self.failures.get(file)
        if error is None:
            try:
                shown = file.shown()
            except GenerationError as found:
                error = found
            else:
                return shown, file.fallback is None
        if not isinstance(error, GenerationError):
            raise error
        # If failures are to be raised, this raises it (again).
        return fallback_for(file, error), False

    def offered(self, file: ImageCacheFile) -> Fallback | None:
        """Return the URL and size of one image among others, or None if there is no such image.

        A browser that has chosen it shows nothing at all if it does not load: what is not there yet
        is not offered, and what stands in for an image stands in once.

        Raises:
            MissingSource: There is no source.
            GenerationError: The image cannot be made, and failures are to be raised.
        """
        shown, is_image = self.about_one(file)
        return shown if is_image and shown.url and file else None


def _is_to_be_made(file: ImageCacheFile) -> bool:
    """Return whether the page would make *file* at once, since it is missing."""
    if (
        file.cachefile_backend.states is None
        or not file.name
        or file.cachefile_backend.is_async
        or not makes_when_required(file.cachefile_strategy)
    ):
        return False
    record = known(file)
    return record is None or record.status not in {Status.EXISTS, Status.FAILED}
