"""Images to upload."""

from __future__ import annotations

import io
from collections.abc import Mapping

from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import ExifTags, Image

from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.imaging.formats import (
    can_write,
    format_to_extension,
    format_to_mimetype,
    normalize_format,
)


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
