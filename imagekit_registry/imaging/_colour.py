"""Colours: deep pixels to 8 bit, profiles to sRGB."""

from __future__ import annotations

import functools
import io

from PIL import Image, ImageChops, ImageCms

from imagekit_registry.exceptions import answer_or

STRIP_ROWS = 256
#: By how much colours of profiles that are sRGB but for rounding may differ, of 255.
SRGB_TOLERANCE = 3
#: Colour space signature of a profile -> modes whose pixels it can describe.
_SPACES = {"RGB": ("RGB", "RGBA"), "GRAY": ("L", "LA"), "CMYK": ("CMYK",), "Lab": ("LAB",)}
#: Modes that only Pillow's own code works with -> what everybody else understands.
_PLAIN = {
    "HSV": "RGB",
    "La": "LA",
    "PA": "RGBA",
    "RGBX": "RGB",
    "RGBa": "RGBA",
    "YCbCr": "RGB",
}


def _range(image: Image.Image) -> tuple[float, float]:
    """Return which values mean black and white in an image of mode I or F."""
    extrema = image.getextrema()
    low, high = float(extrema[0]), float(extrema[1])  # type: ignore[arg-type]
    if not (low > -1e30 and high < 1e30):  # infinite, or not a number
        return 0.0, 1.0
    if low >= 0:
        whites = (1.0, 255.0, 65535.0) if image.mode == "F" else (65535.0,)
        for white in whites:
            if high <= white:
                return 0.0, white
        return 0.0, high
    return (low, high) if high > low else (low, low + 1.0)


def to_eight_bit(image: Image.Image) -> Image.Image:
    """Return a deep image in mode L, scaled and not clipped; others as they are.

    16 bit integers span 0 to 65535. Floats span 0 to 1, 255 or 65535, whichever holds them all;
    values below zero or above that span the range from their least to their greatest.
    """
    if image.mode not in ("I", "F") and not image.mode.startswith("I;"):
        return image  # there are no more than 8 bits a band
    low, high = (0.0, 65535.0) if image.mode.startswith("I;") else _range(image)
    scale = 255.0 / (high - low)
    shift = 0.5 - low * scale  # F to L cuts the fraction off: add a half to round
    width, height = image.size
    result = Image.new("L", image.size)
    for top in range(0, height, STRIP_ROWS):  # floats of it all at once would be large
        strip = image.crop((0, top, width, min(height, top + STRIP_ROWS)))
        wide = strip.convert("I").convert("F") if strip.mode != "F" else strip
        result.paste(wide.point(lambda value: value * scale + shift).convert("L"), (0, top))
    result.info = image.info
    return result


def without_palette(image: Image.Image) -> Image.Image:
    """Return an image whose bands are colours: no palette, no single transparent colour, no bits."""
    if image.mode == "1":
        image = image.convert("L")
    if image.mode == "P":
        # Converting a palette with a transparent colour changes the image itself: a copy is needed.
        return image.copy().convert("RGBA") if image.has_transparency_data else image.convert("RGB")
    if "transparency" in image.info and image.mode in ("L", "RGB"):
        return image.convert("LA" if image.mode == "L" else "RGBA")
    plain = _PLAIN.get(image.mode)
    return image if plain is None else image.convert(plain)


@functools.lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _is_srgb(transform: ImageCms.ImageCmsTransform) -> bool:
    """Return whether a transform to sRGB changes no colour visibly: names of profiles may lie."""
    steps = range(0, 256, 51)
    colors = bytes(
        band for red in steps for green in steps for blue in steps for band in (red, green, blue)
    )
    probe = Image.frombytes("RGB", (len(steps) ** 2, len(steps)), colors)
    extrema = ImageChops.difference(probe, transform.apply(probe)).getextrema()
    return all(band[1] <= SRGB_TOLERANCE for band in extrema)  # type: ignore[index]


@functools.lru_cache(maxsize=16)
def _transform(
    profile: bytes | None, mode: str
) -> tuple[str, ImageCms.ImageCmsTransform | None] | None:
    """Return what turns pixels of *mode* under *profile* into sRGB, and the mode it needs.

    LittleCMS copies its cache before each use, so that threads can share a transform.

    Returns:
        None for a profile that is broken or describes something else than the pixels; no
        transform for one that is sRGB already.
    """
    # LittleCMS and Pillow raise OSError, PyCMSError, ValueError and others.
    return answer_or(None, _built, profile, mode)


def _built(
    profile: bytes | None, mode: str
) -> tuple[str, ImageCms.ImageCmsTransform | None] | None:
    if profile is None:
        source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    else:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = source.profile.xcolor_space.strip()
    modes = _SPACES.get(space, ())
    needed = mode
    if mode not in modes:
        if space != "RGB" or mode not in ("L", "LA"):
            return None
        needed = "RGB"  # a grey image may carry the profile of the camera's colours
    if space == "RGB" and _is_srgb(ImageCms.buildTransform(source, _srgb(), "RGB", "RGB")):
        return needed, None
    needed = {"LA": "L"}.get(needed, needed)
    target = "RGBA" if needed == "RGBA" else "RGB"
    return needed, ImageCms.buildTransform(source, _srgb(), needed, target)


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return *image* in sRGB, grey or palette.

    Args:
        image: Any mode.
        profile: The ICC profile that its values are meant in; a broken one counts as none.

    Returns:
        A palette image stays one if its colours are in sRGB already.
    """
    image = to_eight_bit(image)
    is_plain = image.mode in ("1", "L", "LA", "P", "RGB", "RGBA")
    if profile is None and is_plain:
        return image
    plain = without_palette(image)
    prepared = None if profile is None else _transform(profile, plain.mode)
    if prepared is None and plain.mode == "LAB":
        prepared = _transform(None, "LAB")
    needed, transform = prepared or ("", None)
    if transform is None:
        # Nothing to do for the colours: what the caller had is as good, and may be smaller.
        return image if is_plain else plain.convert("RGB") if plain.mode == "CMYK" else plain
    result = transform.apply(plain if plain.mode == needed else plain.convert(needed))
    if plain.mode in ("L", "LA"):
        result = result.convert("L")
    if plain.mode == "LA":
        result.putalpha(plain.getchannel("A"))
    result.info.pop("icc_profile", None)
    return result
