"""Modes: which of them a format holds, and images in those; and files that are finished."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence

from PIL import Image, ImageChops, ImageColor, ImageStat

from imagekit_registry.exceptions import EncodingError, answer_or

from ._colour import describes, to_eight_bit, without_palette

WHITE = 255
#: Alpha below this is transparent where a format knows no half transparent pixels.
OPAQUE_FROM = 128
#: Colours of a palette.
MAX_COLORS = 256
#: By how much, of 255 and as root of the mean square, a palette may change a band: less than a JPEG
#: of quality 85 does. And of how many pixels it may be looked for, some 0.2 s for a million.
PALETTE_LOSS, MAX_PALETTE_PIXELS = 5.0, 4_000_000
#: Modes that are narrowed to a palette: one of a PNG has alpha too, and a GIF gets one in any case.
_NARROWED: Mapping[str, tuple[str, ...]] = {"GIF": (), "PNG": ("RGB", "RGBA")}
#: Formats that take fewer bytes for fewer greys; WebP does if it is without losses.
GAIN_BY_FEW_GREYS = frozenset(["GIF", "PNG", "TIFF", "WEBP"])
#: Formats whose frames Pillow writes one after the other, with a duration each.
ANIMATED_FORMATS = frozenset(["AVIF", "GIF", "PNG", "WEBP"])
#: Formats that hold EXIF data and profiles.
EXIF_FORMATS = frozenset(["AVIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP"])
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


def carries(profile: bytes | None, mode: str, format: str) -> bool:
    """Return whether pixels of *mode* can be written as *format* with the numbers they have."""
    if mode in ("CMYK", "LAB"):
        return holds(format, mode) and (not profile or format in EXIF_FORMATS)
    if profile and describes(profile, "L") and not holds(format, "L"):
        return False
    return not profile or format in EXIF_FORMATS


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

    Pixels that are rather transparent than opaque get a colour of their own; the others become opaque.
    """
    if image.mode not in ("LA", "RGBA"):
        return image.convert("RGB").quantize(MAX_COLORS, Image.Quantize.MEDIANCUT), {}
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    if alpha.getextrema()[0] >= OPAQUE_FROM:  # type: ignore[operator]
        return rgba.convert("RGB").quantize(MAX_COLORS, Image.Quantize.MEDIANCUT), {}
    hidden = alpha.point(lambda value: 255 if value < OPAQUE_FROM else 0, "1")
    shown = ImageChops.invert(hidden)
    # Colours under transparent pixels must not use up the palette: they get that of another pixel.
    opaque = rgba.convert("RGB")
    top = (shown.getbbox() or (0, 0))[1]
    left = (shown.crop((0, top, image.width, top + 1)).getbbox() or (0,))[0]
    opaque.paste(opaque.getpixel((left, top)), None, hidden)  # type: ignore[arg-type]
    palette = opaque.quantize(MAX_COLORS - 1, Image.Quantize.MEDIANCUT)
    colors = list(palette.getpalette() or [])
    # Few colours take few bits: the first that no other pixel has stands for transparency.
    hole = palette.histogram(shown).index(0)
    palette.paste(hole, None, hidden)
    size = int(palette.getextrema()[1]) + 1  # type: ignore[arg-type]
    palette.putpalette([*colors, 0, 0, 0][: size * 3])
    return palette, {"transparency": hole}


def narrowed(image: Image.Image, source_mode: str, format: str) -> Image.Image:
    """Return *image* with a palette, in one bit or in few greys, as its source was, if it may be so."""
    if source_mode == "1" and image.mode == "L":
        if holds(format, "1") and not any(image.histogram()[1:255]):
            return image.convert("1", dither=Image.Dither.NONE)
        if format not in GAIN_BY_FEW_GREYS:
            return image
        # The edges of scaled text are read by their greys: one bit would be ragged, and sixteen
        # greys look like 256 in half the bytes.
        if format == "PNG":  # where a palette has four bits a pixel
            result = image.point([round(grey / 17) for grey in range(256)])
            result.putpalette([grey * 17 for grey in range(16) for _ in range(3)])
        else:
            result = image.point([round(grey / 17) * 17 for grey in range(256)])
    elif source_mode == "P" and image.mode in _NARROWED.get(format, ("RGB",)):
        if image.width * image.height > MAX_PALETTE_PIXELS or not holds(format, "P"):
            return image
        plain = image.mode == "RGB"
        method = Image.Quantize.MEDIANCUT if plain else Image.Quantize.FASTOCTREE
        result = image.quantize(MAX_COLORS, method, dither=Image.Dither.NONE)
        if not plain or image.getcolors(MAX_COLORS) is None:
            # What is white, black, opaque or hidden stays so: averages are a little off.
            used = (int(result.getextrema()[1]) + 1) * len(image.mode)  # type: ignore[arg-type]
            colors = (result.getpalette(image.mode) or [])[:used]
            colors = [0 if band < 4 else 255 if band > 251 else band for band in colors]
            result.putpalette(colors, image.mode)
        lost = ImageStat.Stat(ImageChops.difference(image, result.convert(image.mode)))
        if max(lost.rms) > PALETTE_LOSS:
            return image
    else:
        return image
    result.info = image.info
    return result


def narrowed_alike(images: Sequence[Image.Image], source_mode: str) -> list[Image.Image]:
    """Return *images*, all of one size and mode, with one palette or in greys if their source was: a PNG's."""
    width, height = images[0].size
    if width * height * len(images) > MAX_PALETTE_PIXELS:
        return list(images)
    sheet = Image.new(images[0].mode, (width, height * len(images)))
    for number, image in enumerate(images):
        sheet.paste(image, (0, number * height))
    if (
        source_mode in ("1", "L")
        and sheet.convert("L").convert(sheet.mode).tobytes() == sheet.tobytes()
    ):
        sheet = sheet.convert("L")
    few = narrowed(sheet, source_mode, "PNG")
    tops = range(0, sheet.height, height)
    return [few.crop((0, top, width, top + height)) for top in tops]


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


def frame_for(image: Image.Image) -> Image.Image:
    """Return one processed frame in a mode that animations are written in: RGB or RGBA."""
    has_alpha = image.has_transparency_data
    if image.mode in ("LA", "RGBA"):
        has_alpha = image.getextrema()[-1] != (255, 255)
    mode = "RGBA" if has_alpha else "RGB"
    return image if image.mode == mode else image.convert(mode)
