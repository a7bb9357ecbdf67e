"""The functions of pilkit's ``utils``, on top of this room."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping, Sequence
from typing import IO, TypeVar

from PIL import Image

from imagekit_registry.exceptions import UnreadableImage
from imagekit_registry.processors import Processor

from ._encode import write
from ._modes import Encoded, prepare
from ._plan import Header, Job
from ._recipe import Recipe
from ._render import run
from ._source import Deadline, Limits
from .formats import require_format

File = TypeVar("File", bound="str | bytes | os.PathLike[str] | IO[bytes]")

__all__ = ["img_to_fobj", "open_image", "prepare_image", "process_image", "save_image"]


def open_image(target: IO[bytes]) -> Image.Image:
    """Open an image file from its start; its pixels are read when they are needed.

    Args:
        target: A binary file; it must stay open as long as the image is not loaded.

    Raises:
        UnreadableImage: It is no image.
    """
    target.seek(0)
    try:
        return Image.open(target)
    except Exception as error:  # Pillow's plugins raise almost any class for hostile data
        text = str(error).strip() or type(error).__name__
        raise UnreadableImage(f"the file is not an image, or is damaged ({text})") from error


def prepare_image(img: Image.Image, format: str) -> tuple[Image.Image, dict[str, object]]:
    """Return *img* in a mode that *format* holds, and the save options that go with it.

    Args:
        img: Any mode.
        format: Pillow's name of the format.

    Raises:
        UnknownFormat: Pillow cannot write the format.

    Example:
        >>> prepare_image(Image.new("CMYK", (1, 1)), "PNG")[0].mode
        'RGB'
    """
    name = require_format(format)
    prepared, options = prepare(img, name)
    if name == "JPEG":
        options.setdefault("optimize", True)
    return prepared, options


def save_image(
    img: Image.Image,
    outfile: File,
    format: str,
    options: Mapping[str, object] | None = None,
    autoconvert: bool = True,
) -> File:
    """Write *img* into *outfile* and return that, at its start.

    Args:
        img: Any mode.
        outfile: A binary file, or a path.
        format: Pillow's name of the format.
        options: Pillow's save options.
        autoconvert: Whether *img* is converted to a mode that the format holds.

    Raises:
        UnknownFormat: Pillow cannot write the format.
        EncodingError: Pillow refuses the image or an option; *outfile* is left as it was.
    """
    encoded = img_to_fobj(img, format, autoconvert, **(options or {}))
    if isinstance(outfile, str | bytes | os.PathLike):
        with open(outfile, "wb") as file:  # noqa: PTH123 - a path of any kind
            file.write(encoded.getvalue())
        return outfile
    with contextlib.suppress(AttributeError, io.UnsupportedOperation):
        outfile.seek(0)
    outfile.write(encoded.getvalue())
    with contextlib.suppress(AttributeError, io.UnsupportedOperation):
        outfile.seek(0)
    return outfile


def img_to_fobj(
    img: Image.Image, format: str, autoconvert: bool = True, **options: object
) -> Encoded:
    """Return *img* as a file of *format*, in memory, at its start.

    Args:
        img: Any mode.
        format: Pillow's name of the format.
        autoconvert: Whether *img* is converted to a mode that the format holds.
        **options: Pillow's save options.

    Raises:
        UnknownFormat: Pillow cannot write the format.
        EncodingError: Pillow refuses the image or an option.
    """
    name = require_format(format)
    extra: dict[str, object] = {}
    if autoconvert:
        img, extra = prepare_image(img, name)
    return write(img, name, {**extra, **options})


def process_image(
    img: Image.Image,
    processors: Sequence[Processor] | None = None,
    format: str | None = None,
    autoconvert: bool = True,
    options: Mapping[str, object] | None = None,
) -> Encoded:
    """Run *processors* over *img* and return the result as a file, in memory, at its start.

    Args:
        img: The source.
        processors: Objects with ``process(image)``.
        format: Pillow's name of the format; None for that of *img*, or JPEG.
        autoconvert: Whether the result is converted to a mode that the format holds.
        options: Pillow's save options.

    Raises:
        ProcessingError: A processor raised an exception or returned no image.
        EncodingError: Pillow refuses the result or an option.
    """
    original = img.format
    recipe = Recipe(tuple(processors or ()), decode_small=False)
    job = Job(recipe, Header(*img.size, img.mode, original or "JPEG"))
    done = run(job, img, Limits(), Deadline(None))
    name = format or done.format or original or "JPEG"
    return img_to_fobj(done, name, autoconvert, **(options or {}))
