"""What a source says about itself before any of its pixels are decoded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import attrs
from PIL import Image, ImageFile, JpegImagePlugin, TiffImagePlugin, UnidentifiedImageError

from imagekit_registry.exceptions import GenerationError, LimitExceeded, UnreadableImage

from . import _inspect, _structure
from ._limits import Limits
from ._source import BufferedSource

__all__ = ["Header", "Metadata", "describe", "open_pillow", "translated"]

ORIENTATION_TAG = 0x0112
IMAGE_WIDTH_TAG, IMAGE_LENGTH_TAG = 0x0100, 0x0101
#: Description, maker, model, software, time, artist and copyright.
TIFF_TEXT_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
#: Profiles beyond this size, in bytes, are not used.
MAX_PROFILE_BYTES = 4 * 1024 * 1024
PREFIX_BYTES = 16


@attrs.frozen
class Header:
    """A source's header.

    Args:
        width: Stored width, in pixels, before any orientation tag is applied.
        height: Stored height, in pixels.
        mode: Pillow's mode of the stored pixels.
        format: Pillow's name of the format.
        frames: Number of frames of an animation; 1 for a still.
        orientation: EXIF orientation, 1 to 8.
        profile: The embedded ICC profile, or None.

    Example:
        >>> Header(40, 30, "RGB", "JPEG", orientation=6).oriented_size
        (30, 40)
    """

    width: int
    height: int
    mode: str
    format: str
    frames: int = 1
    orientation: int = 1
    profile: bytes | None = attrs.field(default=None, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored, in pixels."""
        return self.width, self.height

    @property
    def oriented_size(self) -> tuple[int, int]:
        """Width and height as people see it, with the orientation tag applied, in pixels."""
        return self.size if self.orientation < 5 else (self.height, self.width)


@attrs.frozen
class Metadata:
    """What a source carries besides pixels and profile.

    Args:
        exif: EXIF data, or None.
        xmp: XMP data, or None.
        loop: How often an animation plays, 0 for ever; None if the source does not say.
    """

    exif: bytes | None = attrs.field(default=None, repr=False)
    xmp: bytes | None = attrs.field(default=None, repr=False)
    loop: int | None = None


def _cause(error: Exception) -> GenerationError:
    """Say in our words what an exception of Pillow means."""
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        hint = "Use an image of fewer pixels."
        return LimitExceeded("the image has too many pixels", limit="pixels", hint=hint)
    if isinstance(error, MemoryError):
        return LimitExceeded("the image needs more memory than there is", hint="Use a smaller one.")
    if isinstance(error, UnidentifiedImageError):
        cause = "the file is not an image, or is damaged"
        return UnreadableImage(cause, hint="Upload another file.")
    text = str(error).strip().rstrip(".") or type(error).__name__
    if isinstance(error, ValueError) and "too " in text.lower():
        cause = f"the image's metadata is larger than allowed ({text})"
        return LimitExceeded(cause, hint="Save the image without its metadata.")
    return UnreadableImage(f"the image is damaged ({text})", hint="Upload the file again.")


@contextlib.contextmanager
def translated(source: BufferedSource) -> Iterator[None]:
    """Turn whatever opening and decoding raises into our exceptions.

    Args:
        source: The file at work; an error of the file itself comes before what Pillow made of it.

    Raises:
        GenerationError: Something went wrong inside the block.
    """
    try:
        yield
    except GenerationError:
        raise
    except Exception as error:
        # Pillow's plugins raise almost any class for hostile data, so none is left out.
        if source.view.error is not None:
            raise source.view.error from error
        raise _cause(error) from error


def _opener(name: str) -> Any:
    # jpeg_factory() would open some JPEGs as MPO, whose further frames are other views of the same
    # scene and no animation; the plain class decodes both, at reduced scale too.
    return JpegImagePlugin.JpegImageFile if name == "JPEG" else Image.OPEN[name][0]


def _accepts(name: str, prefix: bytes) -> bool:
    accept = Image.OPEN[name][1]
    return accept is None or accept(prefix) is True


def _try_formats(
    source: BufferedSource, prefix: bytes, names: list[str]
) -> ImageFile.ImageFile | None:
    for name in names:
        if not _accepts(name, prefix):
            continue
        source.seek(0)
        try:
            image: ImageFile.ImageFile = _opener(name)(source, "")
        except SyntaxError:
            continue  # Pillow's way to say: not this format after all
        return image
    return None


def _allowed_names(limits: Limits) -> list[str]:
    allowed = limits.allowed_formats | ({"JPEG"} if "MPO" in limits.allowed_formats else set())
    names = [name for name in Image.ID if name in allowed]
    # Formats without a signature take anything for theirs: they come last.
    return sorted(names, key=lambda name: Image.OPEN[name][1] is None)


def _refused_format(prefix: bytes, tried: list[str]) -> str | None:
    """Return the name of a known format that *prefix* belongs to though it is not allowed."""
    for name in Image.ID:
        accept = Image.OPEN[name][1]
        if name not in tried and accept is not None and accept(prefix) is True:
            return name
    return None


def open_pillow(source: BufferedSource, limits: Limits) -> ImageFile.ImageFile:
    """Identify *source* and read its header.

    This is what `PIL.Image.open` does, without its check of a global number of pixels (a warning
    below and an error above, by a setting of the whole process): our own limits come instead.

    Raises:
        UnreadableImage: It is no image of an allowed format.
        LimitExceeded: It has more pixels than *limits* allow.
    """
    if source.size == 0:
        raise UnreadableImage("the file is empty", hint="Upload the file again.")
    with translated(source):
        prefix = source.read(PREFIX_BYTES)
        claimed = _inspect.claimed_size(source)
        if claimed is not None:
            limits.check_pixels(claimed)  # before a decoder that reserves memory when it opens
        _structure.check_structure(source, prefix, limits)
        Image.preinit()
        names = _allowed_names(limits)
        image = _try_formats(source, prefix, names)
        if image is None:
            Image.init()
            more = [name for name in _allowed_names(limits) if name not in names]
            image = _try_formats(source, prefix, more)
        if image is None:
            refused = _refused_format(prefix, _allowed_names(limits))
            if refused is not None:
                cause = f"images of the format {refused} are not allowed"
                raise UnreadableImage(cause, hint="Upload a JPEG, PNG or WebP.")
            raise UnidentifiedImageError
    limits.check_pixels(image.size)
    return image


def _exif_orientation(image: ImageFile.ImageFile) -> int:
    # Image's own method: that of PNG decodes the whole image if there is no EXIF chunk yet.
    value = Image.Image.getexif(image).get(ORIENTATION_TAG, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _read_exif(image: ImageFile.ImageFile, source: BufferedSource) -> bytes | None:
    """Return the image's EXIF data, and leave in it only what can be read without harm."""
    found = image.info.pop("exif", None)
    as_text = image.info.pop("Raw profile type exif", None)  # how ImageMagick writes it into a PNG
    if found is None and isinstance(as_text, str):
        found = bytes.fromhex("".join(as_text.split("\n")[3:]))
    if found is None and image.format == "PNG":
        found = _structure.late_png_exif(source, _structure.MAX_METADATA_BYTES)
    exif = _structure.safe_exif(found)
    if exif is not None:
        image.info["exif"] = exif
    return exif


def _bytes(value: object, largest: int) -> bytes | None:
    if isinstance(value, str):
        value = value.encode("utf-8", "replace")
    if isinstance(value, bytes) and 0 < len(value) <= largest:
        return value
    return None


def _turned_tiff_size(image: TiffImagePlugin.TiffImageFile, orientation: int) -> tuple[int, int]:
    stored = image.tag_v2[IMAGE_WIDTH_TAG], image.tag_v2[IMAGE_LENGTH_TAG]
    return stored if orientation < 5 else (stored[1], stored[0])


def _tiff_exif(image: TiffImagePlugin.TiffImageFile) -> bytes | None:
    """Return what a TIFF says about the picture, without what it says about the file."""
    tags = Image.Exif()
    for tag in TIFF_TEXT_TAGS:
        if isinstance(image.tag_v2.get(tag), str):
            tags[tag] = image.tag_v2[tag]
    return tags.tobytes() if len(tags) else None


def describe(
    image: ImageFile.ImageFile, source: BufferedSource, limits: Limits
) -> tuple[Header, Metadata]:
    """Return header and metadata of an image that has just been opened.

    Raises:
        LimitExceeded: The image has too many frames, scans or other things that cost time.
    """
    format_name = image.format or ""
    width, height = image.size
    with translated(source):
        _inspect.check_cost(image, source, limits)
        frames = _inspect.count_frames(image, source, limits)
    orientation, exif = 1, None
    with contextlib.suppress(Exception):  # a broken tag must not cost the picture
        exif = _read_exif(image, source)
        orientation = _exif_orientation(image)
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            # Pillow turns the pixels of a TIFF itself when it decodes them.
            width, height = _turned_tiff_size(image, orientation)
            orientation, exif = 1, _tiff_exif(image)
    if source.view.error is not None:
        raise source.view.error
    # Pillow does not read how often an AVIF plays; encoders write "for ever" unless they are told.
    loop = 0 if format_name == "AVIF" else image.info.get("loop")
    metadata = Metadata(
        exif=exif,
        xmp=_bytes(image.info.get("xmp"), _structure.MAX_METADATA_BYTES),
        loop=loop if isinstance(loop, int) else None,
    )
    profile = _bytes(image.info.get("icc_profile"), MAX_PROFILE_BYTES)
    header = Header(width, height, image.mode, format_name, frames, orientation, profile)
    return header, metadata
