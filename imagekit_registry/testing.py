"""What test suites of projects need: fake images, images to upload, and counts of what is asked."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache, wraps
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from attrs import evolve
from django.conf import settings
from django.core.files.storage import InMemoryStorage, Storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.utils import TestContextDecorator, override_settings
from PIL import ExifTags, Image

from imagekit_registry import signals
from imagekit_registry._breaker import breaker_of
from imagekit_registry._loading import only_storage
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.threads import wait_for_background
from imagekit_registry.cachefiles.verification import forget_contents
from imagekit_registry.exceptions import GenerationError, InvalidArgument
from imagekit_registry.imaging import Deadline, Encoded, Limits, Recipe, read_header
from imagekit_registry.imaging.formats import (
    AUTO,
    AUTO_FORMATS,
    SMALLEST,
    can_write,
    default_format,
    format_to_extension,
    format_to_mimetype,
    normalize_format,
)
from imagekit_registry.imaging.placeholders import make_placeholder
from imagekit_registry.processors import ProcessorPipeline
from imagekit_registry.specs import rendering_by
from imagekit_registry.state import current_scope, forget_local_states
from imagekit_registry.state.store import BaseStateStore

__all__ = [
    "assert_state_trips",
    "assert_storage_calls",
    "fake_images",
    "forget_state",
    "generated",
    "make_image",
    "wait_for_images",
]

#: The cache files that were made since `fake_images` began, in their order.
generated: list[ImageCacheFile] = []

#: What writes one colour fastest.
_FASTEST: dict[str, dict[str, object]] = {
    "AVIF": {"speed": 10, "subsampling": "4:0:0", "max_threads": 1},
    "PNG": {"compress_level": 1},
    "WEBP": {"lossless": True, "method": 0, "quality": 0},
}
#: What goes out to where the files are; `url` and `path` are worked out here.
_STORAGE_CALLS = (
    "delete",
    "exists",
    "get_accessed_time",
    "get_created_time",
    "get_modified_time",
    "listdir",
    "open",
    "save",
    "size",
)
_LONGEST = 160
_STATE_TRIPS = ("by_source", "delete_many", "get_many", "iter_items", "set_many")


# What is remembered.


def forget_state() -> None:
    """Forget what this process, and this request or block, remembers of images and their sources.

    For tests that change files, caches or tables behind the back of the library: what is asked for
    next is asked of the state store. A storage or a queue that failed is asked again at
    once.

    Example:
        >>> caches["default"].clear()
        >>> forget_state()
    """
    forget_local_states()
    forget_contents()
    breaker_of.cache_clear()
    scope = current_scope()
    if scope is not None:
        scope.tables.clear()


def wait_for_images() -> None:
    """Wait until threads of this process have made what was handed to them.

    Async views hand them the images that are not there yet.

    Example:
        >>> wait_for_images()
    """
    wait_for_background()


# Images without pixels, in memory.


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
        # No record of one block counts in another.
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


# Images to upload.


def make_image(
    mode: str = "RGB",
    format: str = "JPEG",
    size: tuple[int, int] = (640, 480),
    frames: int = 1,
    exif: Mapping[str | int, object] | None = None,
    name: str = "",
) -> SimpleUploadedFile:
    """Return an image as a browser uploads it: a gradient from black above to white below.

    Args:
        mode: Pillow's mode of its pixels; where that has transparency, it is opaque below.
        format: Its format.
        size: Width and height, in pixels.
        frames: Number of frames, each a little brighter, shown for 100 milliseconds.
        exif: EXIF data: values by the names of their tags, or by the tags' numbers.
        name: Its file name; ``image`` with the extension of the format if empty.

    Raises:
        InvalidArgument: Pillow cannot write the format.
        KeyError: EXIF has no tag of a name.
        OSError: Pillow cannot write such pixels in the format.

    Example:
        >>> photo = Photo.objects.create(image=make_image(exif={"Orientation": 6}))
        >>> photo.thumbnail.width, photo.thumbnail.height
        (200, 150)
    """
    format = normalize_format(format)
    if not can_write(format):
        raise InvalidArgument(f"make_image: Pillow cannot write the format {format!r}.")
    data = Image.Exif()
    for tag, value in (exif or {}).items():
        data[ExifTags.Base[tag].value if isinstance(tag, str) else tag] = value
    options: dict[str, object] = {"exif": data} if exif else {}
    gradient = Image.linear_gradient("L").resize(size)
    pictures = [_picture(gradient, mode, 20 * number) for number in range(frames)]
    if frames > 1:
        options |= {"save_all": True, "append_images": pictures[1:], "duration": 100, "loop": 0}
    buffer = io.BytesIO()
    pictures[0].save(buffer, format, **options)
    name = name or f"image{format_to_extension(format)}"
    return SimpleUploadedFile(name, buffer.getvalue(), format_to_mimetype(format) or "")


def _picture(gradient: Image.Image, mode: str, brighter: int) -> Image.Image:
    lit = gradient.point([min(255, value + brighter) for value in range(256)])
    picture = lit.convert(mode)
    if mode in {"LA", "PA", "RGBA"}:
        picture.putalpha(gradient)
    return picture


# How often storages and the state store are asked.


@contextmanager
def assert_storage_calls(count: int) -> Iterator[list[str]]:
    """Fail unless the block asks file storages *count* times: sources and images of all storages.

    Args:
        count: Calls of ``open``, ``save``, ``exists``, ``size``, ``delete``, ``listdir`` and the
            times; what a storage calls of its own for one of these is a part of it.

    Yields:
        The calls so far, as texts.

    Raises:
        AssertionError: There are more or fewer; they are listed.

    Example:
        >>> _ = photo.thumbnail.url
        >>> with assert_storage_calls(0):
        ...     _ = photo.thumbnail.url, photo.thumbnail.width
    """
    with _counted("calls of storages", Storage, _STORAGE_CALLS, count) as calls:
        yield calls


@contextmanager
def assert_state_trips(count: int) -> Iterator[list[str]]:
    """Fail unless the block makes *count* round trips to the state store, to read or to write.

    What the process remembers costs none; `forget_state` makes it like one that has just started.

    Args:
        count: Round trips; the store is the cache, or the database table, as the settings say.

    Yields:
        The trips so far, as texts.

    Raises:
        AssertionError: There are more or fewer; they are listed.

    Example:
        >>> with assert_state_trips(1):
        ...     photos = prefetch_images(Photo.objects.all())
    """
    with _counted("trips to the state store", BaseStateStore, _STATE_TRIPS, count) as calls:
        yield calls


@contextmanager
def _counted(what: str, base: type, methods: Sequence[str], count: int) -> Iterator[list[str]]:
    calls: list[str] = []
    inside = threading.local()
    with ExitStack() as patches:
        for cls in _with_subclasses(base):
            for name in vars(cls).keys() & set(methods):
                noted = _noting(vars(cls)[name], name, calls, inside)
                patches.enter_context(patch.object(cls, name, noted))
        yield calls
    if len(calls) != count:
        listed = "".join(f"\n  {call}" for call in calls)
        raise AssertionError(f"{len(calls)} {what}, where {count} are expected.{listed}")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]}...)"


def _with_subclasses(cls: type) -> set[type]:
    return {cls}.union(*map(_with_subclasses, cls.__subclasses__()))


def _noting(
    method: Callable[..., object], name: str, calls: list[str], inside: threading.local
) -> Callable[..., object]:
    @wraps(method)
    def noting(self: object, *args: object, **kwargs: object) -> Any:
        if vars(inside).get("is_counted"):
            return method(self, *args, **kwargs)
        given = ", ".join([*map(repr, args), *(f"{key}={kwargs[key]!r}" for key in kwargs)])
        calls.append(_cut(f"{type(self).__name__}.{name}({given})"))
        inside.is_counted = True
        try:
            return method(self, *args, **kwargs)
        finally:
            inside.is_counted = False

    return noting
