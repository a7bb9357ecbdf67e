"""Images without pixels, in memory."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import ExitStack
from functools import lru_cache
from typing import Any
from uuid import uuid4

from attrs import evolve
from django.conf import settings
from django.core.files.storage import InMemoryStorage
from django.test.utils import TestContextDecorator, override_settings
from PIL import Image

from imagekit_registry import signals
from imagekit_registry._loading import only_storage
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.exceptions import GenerationError
from imagekit_registry.imaging import Deadline, Encoded, Limits, Recipe, read_header
from imagekit_registry.imaging.formats import (
    AUTO,
    AUTO_FORMATS,
    SMALLEST,
    can_write,
    default_format,
)
from imagekit_registry.imaging.placeholders import make_placeholder
from imagekit_registry.processors import ProcessorPipeline
from imagekit_registry.specs import rendering_by

#: The cache files that were made since `fake_images` began, in their order.
generated: list[ImageCacheFile] = []

#: What writes one colour fastest.
_FASTEST: dict[str, dict[str, object]] = {
    "AVIF": {"speed": 10, "subsampling": "4:0:0", "max_threads": 1},
    "PNG": {"compress_level": 1},
    "WEBP": {"lossless": True, "method": 0, "quality": 0},
}


class fake_images(TestContextDecorator):  # noqa: N801 -- as Django's override_settings
    """Have images made without pixels: a decorator, a context manager, and a fixture of pytest.

    A fake has the URL, the format and the size of the real image, is of one colour, and lies in
    memory; it is made at once, unless its spec has a backend of its own. Records, strategies, signals
    and errors are the real ones: of a source the header is read, so that what is no image fails.
    Uploads that a field processes are faked too, but are stored where the field says.

    A generator with a ``generate()`` of its own makes what it makes. If a processor does not say how
    large its results are, a fake is as large as the source. Where the pixels choose the format
    (``"auto"``, ``"smallest"``), a fake has the first of those that there are.

    Yields:
        `generated`, empty: the cache files that are made from then on.

    Example:
        >>> with fake_images() as made:
        ...     photo.thumbnail.url
        ...     [(file.spec_id, file.width, file.height) for file in made]
        '/media/CACHE/images/photos/bulldog/....jpg'
        [('photos:photo:thumbnail', 200, 150)]
    """

    def __init__(self) -> None:
        super().__init__()

    def __enter__(self) -> list[ImageCacheFile]:  # type: ignore[override]  # its stub knows one use
        return self.enable()

    def enable(self) -> list[ImageCacheFile]:
        """Begin."""
        # No record of one block is believed in another.
        place = uuid4().hex
        storage = InMemoryStorage(location=f"/{place}", base_url=settings.MEDIA_URL)
        backend = "imagekit_registry.cachefiles.backends.Simple"
        generated.clear()
        self._block = ExitStack()
        # Around the rest: what was built from settings is dropped when it begins, and when all ends.
        self._block.enter_context(override_settings(IMAGEKIT_DEFAULT_CACHEFILE_BACKEND=backend))
        self._block.enter_context(only_storage(storage))
        self._block.enter_context(rendering_by(_render_blank))
        signals.generated.connect(_note, dispatch_uid=place)
        self._block.callback(signals.generated.disconnect, dispatch_uid=place)
        return generated

    def disable(self) -> None:
        """End."""
        self._block.close()


def _note(*, file: ImageCacheFile, **_: object) -> None:
    if not any(each is file for each in generated):
        generated.append(file)


def _render_blank(
    file: Any,
    recipes: Iterable[Recipe],
    *,
    limits: Limits,
    source_name: str,
    deadline: Deadline,
    smallest: Iterable[str],
    **_: object,
) -> list[Encoded | GenerationError]:
    """Return an image of one colour for each of *recipes*, as large as the real one would be."""
    # A still may be made of more frames than an animation may have.
    header = read_header(file, evolve(limits, max_frames=None), deadline)
    # A fake is opaque, and as small in one format as in another.
    chosen = {AUTO: AUTO_FORMATS[0], SMALLEST: next(filter(can_write, smallest), SMALLEST)}
    results: list[Encoded | GenerationError] = []
    for recipe in recipes:
        size = header.oriented_size if recipe.auto_orient else header.size
        size = ProcessorPipeline(recipe.processors).output_size(size) or size
        format = recipe.format or default_format(header.format, source_name)
        format = chosen.get(format, format)
        try:
            limits.check_output(size)
            made = Encoded(_blank(format, size), format=format, size=size, mode="RGB")
            made.placeholder = make_placeholder(
                Image.new("RGB", (8, 8), "gray"), recipe.placeholder
            )
            results.append(made)
        except GenerationError as error:
            results.append(error)
    return results


@lru_cache(maxsize=256)
def _blank(format: str, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "gray").save(buffer, format, **_FASTEST.get(format, {}))
    return buffer.getvalue()
