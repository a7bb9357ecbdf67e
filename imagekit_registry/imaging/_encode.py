"""Writing images: modes that a format holds, its options, and what goes into the file."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Iterator, Mapping, Sequence

from PIL import Image, ImageChops, ImageColor, ImageStat, features

from imagekit_registry.exceptions import EncodingError, UnknownFormat, answer_or

from ._colour import to_eight_bit, without_palette
from .formats import AUTO, can_write, normalize_format

WHITE = 255
#: Alpha below this is transparent where a format knows no half transparent pixels.
OPAQUE_FROM = 128
TRANSPARENT_INDEX = 255
MAX_ICON_SIDE = 256
#: By how much, of 255 and as root of the mean square, a palette may change a band: less than a JPEG
#: of quality 85 does. And of how many pixels it may be looked for, some 0.2 s for a million.
PALETTE_LOSS, MAX_PALETTE_PIXELS = 5.0, 4_000_000
_WHOLE_FILE = ("optimize", "progressive", "progression")
#: Modes that the formats of the web hold well; others are found out by trying.
_MODES: Mapping[str, tuple[str, ...]] = {
    "AVIF": ("RGB", "RGBA"),
    "BMP": ("1", "L", "P", "RGB"),
    "GIF": ("1", "L", "P"),
    "JPEG": ("CMYK", "L", "RGB"),
    "JPEG2000": ("L", "LA", "RGB", "RGBA"),
    "MPO": ("CMYK", "L", "RGB"),
    "PDF": ("L", "RGB"),
    "PNG": ("1", "I;16", "L", "LA", "P", "RGB", "RGBA"),
    "TIFF": ("1", "CMYK", "F", "I", "I;16", "L", "LA", "LAB", "P", "RGB", "RGBA"),
    "WEBP": ("RGB", "RGBA"),
}


class Encoded(io.BytesIO):
    """A finished image file in memory, at position 0.

    Args:
        data: The file.
        format: Pillow's name of its format.
        size: Width and height, in pixels.
        mode: Pillow's mode of the pixels that were written.
        frames: Number of frames.

    Attributes:
        placeholder: The placeholders that the recipe asked for, as records have them.
        quality: The quality that was searched for, if it was.
        tries: Of how many tries.
    """

    placeholder = ""
    quality: int | None = None
    tries: int | None = None

    def __init__(
        self, data: bytes, *, format: str, size: tuple[int, int], mode: str, frames: int = 1
    ) -> None:
        super().__init__(data)
        self.format = format
        self.width, self.height = size
        self.mode = mode  # type: ignore[misc]  # typeshed: the mode of the file
        self.frames = frames


def require_format(name: str) -> str:
    """Return Pillow's spelling of a format that can be written, or `AUTO`.

    Raises:
        UnknownFormat: Pillow cannot write it.
    """
    normal = normalize_format(name)
    if normal != AUTO and not can_write(normal):
        known = ", ".join(sorted(Image.SAVE))
        raise UnknownFormat(f"Pillow cannot write the format {name!r}; it can write {known}")
    return normal


@functools.lru_cache(maxsize=256)
def holds(format: str, mode: str) -> bool:
    """Return whether files of *format* can hold pixels of *mode*."""
    known = _MODES.get(format)
    if known is not None:
        return mode in known

    def save() -> bool:
        Image.new(mode, (16, 16)).save(io.BytesIO(), format)
        return True

    return answer_or(False, save)


def flatten(image: Image.Image, background: str | int | Sequence[int] | None = None) -> Image.Image:
    """Return *image* (LA or RGBA) on an opaque ground.

    Args:
        image: What is laid on it.
        background: Its colour: None for white, a name or code, or a tuple of bands of 0 to 255.

    Raises:
        EncodingError: *background* is no colour.
    """
    try:
        color = ImageColor.getrgb(background) if isinstance(background, str) else background
        if color is None or isinstance(color, int):
            color = (WHITE if color is None else color,) * 3
        red, green, blue = (min(255, max(0, int(band))) for band in tuple(color)[:3])
    except (TypeError, ValueError) as error:
        hint = "Use a name such as 'white', a code such as '#ffffff', or a tuple (255, 255, 255)."
        raise EncodingError(f"background is no colour: {background!r}", hint=hint) from error
    ground = Image.new("RGBA", image.size, (red, green, blue, 255))
    flat = Image.alpha_composite(ground, image.convert("RGBA"))
    return flat.convert("L" if image.mode == "LA" and red == green == blue else "RGB")


def to_palette(image: Image.Image) -> tuple[Image.Image, dict[str, object]]:
    """Return *image* with a palette of its own, and the save option for its transparent pixels.

    Pixels that are rather transparent than opaque get the last index; the others become opaque.
    """
    if image.mode not in ("LA", "RGBA"):
        return image.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT), {}
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    if alpha.getextrema()[0] >= OPAQUE_FROM:  # type: ignore[operator]
        return rgba.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT), {}
    hidden = alpha.point(lambda value: 255 if value < OPAQUE_FROM else 0, "1")
    # Colours under transparent pixels must not use up the palette.
    opaque = rgba.convert("RGB")
    opaque.paste((0, 0, 0), None, hidden)
    palette = opaque.quantize(TRANSPARENT_INDEX, Image.Quantize.MEDIANCUT)
    colors = list(palette.getpalette() or [])
    palette.putpalette((colors + [0] * 768)[:768])
    palette.paste(TRANSPARENT_INDEX, None, hidden)
    return palette, {"transparency": TRANSPARENT_INDEX}


def narrowed(image: Image.Image, source_mode: str, format: str) -> Image.Image:
    """Return *image* with a palette or in one bit, as its source was, where that shows the same."""
    if source_mode == "1" and image.mode == "L" and holds(format, "1"):
        if not any(image.histogram()[1:255]):
            return image.convert("1", dither=Image.Dither.NONE)
        if format != "PNG":
            return image
        result = image.point([round(grey / 17) for grey in range(256)])
        result.putpalette([grey * 17 for grey in range(16) for _ in range(3)])
    elif source_mode == "P" and format == "PNG" and image.mode in ("RGB", "RGBA"):
        if image.width * image.height > MAX_PALETTE_PIXELS:
            return image
        plain = image.mode == "RGB"
        method = Image.Quantize.MEDIANCUT if plain else Image.Quantize.FASTOCTREE
        result = image.quantize(256, method, dither=Image.Dither.NONE)
        # What is white, black, opaque or hidden stays so: averages are a little off.
        colors = result.getpalette(image.mode) or []
        colors = [0 if band < 4 else 255 if band > 251 else band for band in colors]
        result.putpalette(colors, image.mode)
        lost = ImageStat.Stat(ImageChops.difference(image, result.convert(image.mode)))
        if max(lost.rms) > PALETTE_LOSS:
            return image
    else:
        return image
    result.info = image.info
    return result


def prepare(
    image: Image.Image, format: str, background: str | int | Sequence[int] | None = None
) -> tuple[Image.Image, dict[str, object]]:
    """Return *image* in a mode that *format* holds, and save options that go with it.

    Alpha is kept where the format has it, snapped where it has one transparent colour, and laid on
    *background* where it has none.
    """
    if holds(format, image.mode):
        transparency = image.info.get("transparency")
        if transparency is None:
            return image, {}
        single = isinstance(transparency, int)
        if image.mode == "P" and (format == "PNG" or (format == "GIF" and single)):
            return image, {"transparency": transparency}
    image = to_eight_bit(image)
    is_plain = image.mode == "1" and holds(format, "1") and "transparency" not in image.info
    plain = image if is_plain else without_palette(image)
    if holds(format, plain.mode):
        return plain, {}
    if format == "GIF" and plain.mode in ("LA", "RGB", "RGBA", "CMYK", "LAB"):
        return to_palette(plain)
    if plain.mode in ("LA", "RGBA"):
        if holds(format, "RGBA"):
            return plain.convert("RGBA"), {}
        plain = flatten(plain, background)
    mode = next((mode for mode in ("RGB", "L") if holds(format, mode)), plain.mode)
    return (plain if plain.mode == mode else plain.convert(mode)), {}


def save_options(
    format: str, format_options: Mapping[str, Mapping[str, object]]
) -> dict[str, object]:
    """Return those of *format_options* that are for *format*, however it is spelt there."""
    merged: dict[str, object] = {}
    for name, values in format_options.items():
        if normalize_format(name) == format:
            merged.update(values)
    return merged


def _save(image: Image.Image, format: str, options: dict[str, object], save_all: bool) -> bytes:
    file = io.BytesIO()
    info = image.info
    # Plugins take what an image's info holds for options; what goes in is what the recipe says.
    image.info = {}
    try:
        image.save(file, format, save_all=save_all, **options)
    finally:
        image.info = info
    return file.getvalue()


def _bled(image: Image.Image) -> Image.Image:
    """Return an image whose transparent pixels have the colours of those near them.

    Where alpha and colours are compressed by themselves, those under transparent pixels show as an
    edge around what is not.
    """
    if image.mode != "RGBA" or image.getchannel("A").getextrema()[0] != 0:
        return image
    ground = Image.new("RGB", (1, 1))
    for factor in (256, 64, 16, 4, 1):  # from far to near
        level = image.reduce(factor) if factor > 1 else image
        ground = ground.resize(level.size, Image.Resampling.BILINEAR)
        shown = level.getchannel("A").point(lambda alpha: 255 if alpha else 0)
        ground.paste(level.convert("RGB"), None, shown)
    ground.putalpha(image.getchannel("A"))
    ground.info = image.info
    return ground


@contextlib.contextmanager
def refusals(format: str, options: Mapping[str, object]) -> Iterator[None]:
    """Turn whatever writing a file of *format* with *options* raises into `EncodingError`."""
    try:
        yield
    except Exception as error:  # an option of the wrong type may raise anything
        text = str(error).strip().rstrip(".") or type(error).__name__
        cause = f"{format} cannot be written ({text})"
        hint = f"Check format and options: {dict(options)!r}." if options else ""
        raise EncodingError(cause, hint=hint) from error


def write(
    image: Image.Image,
    format: str,
    options: Mapping[str, object],
    *,
    more_frames: list[Image.Image] | None = None,
) -> Encoded:
    """Write *image*, or the animation that starts with it, as a file of *format*.

    Raises:
        EncodingError: Pillow refuses the mode, the size or an option.
    """
    arguments = dict(options)
    if format == "ICO":
        # Its default is a row of standard sizes, none of which may fit; no icon is larger than 256.
        if max(image.size) > MAX_ICON_SIDE:
            image = image.copy()
            image.thumbnail((MAX_ICON_SIDE, MAX_ICON_SIDE), Image.Resampling.LANCZOS)
        arguments.setdefault("sizes", [image.size])
    if format == "TIFF" and features.check("libtiff"):
        arguments.setdefault("compression", "tiff_adobe_deflate")
    if format == "AVIF":
        image, *more_frames = map(_bled, [image, *(more_frames or ())])
    if more_frames:
        arguments["append_images"] = more_frames
    with refusals(format, options):
        try:
            data = _save(image, format, arguments, bool(more_frames))
        except OSError:
            # To optimise or to interleave scans, libjpeg needs a buffer for the whole file, whose
            # size Pillow guesses. For pictures like noise it guesses too low, and only a global
            # could raise it. Without these options a JPEG is written bit by bit.
            whole = [name for name in _WHOLE_FILE if arguments.pop(name, None)]
            if format not in ("JPEG", "MPO") or not whole:
                raise
            data = _save(image, format, arguments, bool(more_frames))
    return Encoded(
        data,
        format=format,
        size=image.size,
        mode=image.mode,
        frames=1 + len(more_frames or ()),
    )
