"""Colours: deep pixels to 8 bit; profiles, and what files say in their place, to sRGB.

A file may name its colours by code points (ITU-T H.273, "CICP") or by chromaticities and a gamma.
Where these are of the usual range of brightness, a profile is made of them. PQ and HLG (ITU-R
BT.2100) are brighter: they are mapped to sRGB at once.
"""

from __future__ import annotations

import functools
import io
import math
import struct

from PIL import Image, ImageChops, ImageCms, ImageFilter

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
    steps = range(0, 256, 17)
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


def describes(profile: bytes, mode: str) -> bool:
    """Return whether a profile is for the colours of *mode*."""
    return mode in _SPACES.get(profile[16:20].decode("latin-1").strip(), ())


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


Vector = tuple[float, ...]
Matrix = tuple[Vector, ...]

#: Code points of primaries -> x and y of white, red, green and blue.
_D65 = (0.3127, 0.329)
PRIMARIES: dict[int, Vector] = {
    1: (*_D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06),  # BT.709 and sRGB
    9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),  # BT.2020
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),  # Display P3
}
#: Code points of transfer functions -> parameters g, a, b, c and d of ICC's: (ax + b) ** g, and cx
#: below d; or g alone.
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_TRANSFERS: dict[int, Vector] = {4: (2.2,), 5: (2.8,), 8: (1.0,), 13: _SRGB_CURVE}
_TRANSFERS |= dict.fromkeys((1, 6, 14, 15), (2.4,))  # as screens show film (BT.1886)
PQ, HLG = 16, 18
#: Cone responses by Bradford, and the white of profiles.
_CONES = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
_D50 = (0.9642, 1.0, 0.8249)
#: Brightness in cd/m2 of white paper in PQ and HLG (ITU-R BT.2408), and of the brightest that shows.
_PAPER, _PEAK = 203.0, 1000.0
#: Share of light of red, green and blue of BT.2020.
_LIGHT = (0.2627, 0.678, 0.0593)
#: The value, of 0 to 1, that is as bright as that.
_BRIGHTEST = {PQ: 0.7518271, HLG: 1.0}
_LUT_SIZE = 33


def _applied(matrix: Matrix, vector: Vector) -> Vector:
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def _product(one: Matrix, other: Matrix) -> Matrix:
    columns = [_applied(one, column) for column in zip(*other, strict=True)]
    return tuple(zip(*columns, strict=True))


def _inverse(matrix: Matrix) -> Matrix:
    a, b, c = matrix
    cofactors = [
        (y[1] * z[2] - y[2] * z[1], y[2] * z[0] - y[0] * z[2], y[0] * z[1] - y[1] * z[0])
        for y, z in ((b, c), (c, a), (a, b))
    ]
    size = sum(x * y for x, y in zip(a, cofactors[0], strict=True))
    return tuple(tuple(column[row] / size for column in cofactors) for row in range(3))


def _to_xyz(chromaticities: Vector) -> Matrix:
    """Return what makes XYZ of linear red, green and blue, with the white of profiles."""
    pairs = zip(chromaticities[::2], chromaticities[1::2], strict=True)
    white, *colors = [(x / y, 1.0, (1 - x - y) / y) for x, y in pairs]
    columns: Matrix = tuple(zip(*colors, strict=True))
    shares = _applied(_inverse(columns), white)
    scaled = tuple(
        tuple(x * share for x, share in zip(row, shares, strict=True)) for row in columns
    )
    gains = zip(_applied(_CONES, _D50), _applied(_CONES, white), strict=True)
    adapted: Matrix = tuple(
        tuple(cone * to / given for cone in row)
        for row, (to, given) in zip(_CONES, gains, strict=True)
    )
    return _product(_product(_inverse(_CONES), adapted), scaled)


@functools.lru_cache(maxsize=16)
def make_profile(chromaticities: Vector, curve: Vector) -> bytes:
    """Return an ICC profile of colours that are told by numbers.

    Args:
        chromaticities: x and y of white, red, green and blue.
        curve: A gamma, or the five parameters of a curve: see `_TRANSFERS`.

    Raises:
        ArithmeticError: There are no such colours.
        struct.error: The same.
    """

    def fixed(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    kind = 0 if len(curve) == 1 else 3
    parametric = b"para" + struct.pack(">IHH", 0, kind, 0) + fixed(*curve)
    text = "Colours of the source".encode("utf-16-be")
    texts = b"mluc" + struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", len(text), 28) + text
    columns = zip(*_to_xyz(chromaticities), strict=True)
    tags = {b"desc": texts, b"cprt": texts, b"wtpt": b"XYZ \0\0\0\0" + fixed(*_D50)}
    for name, column in zip((b"r", b"g", b"b"), columns, strict=True):
        tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + fixed(*column)
        tags[name + b"TRC"] = parametric
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    head = struct.pack(">I4xI", 128 + len(table) + len(body), 0x0420_0000) + b"mntrRGB XYZ "
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + fixed(*_D50)
    return head.ljust(128, b"\0") + table + body


def profile_of(primaries: int, transfer: int) -> bytes | None:
    """Return an ICC profile of colours that are told by code points; None if they are not known."""
    if primaries not in PRIMARIES or transfer not in _TRANSFERS:
        return None
    return make_profile(PRIMARIES[primaries], _TRANSFERS[transfer])


def _light_of(value: float, transfer: int) -> float:
    """Return how bright a value of 0 to 1 is: by PQ in parts of white paper, by HLG of the scene."""
    if transfer == PQ:
        root = value ** (32 / 2523)
        share = max(0.0, root - 107 / 128) / (2413 / 128 - 2392 / 128 * root)
        return float(share ** (8192 / 1305)) * 10_000 / _PAPER
    if value <= 0.5:
        return value * value / 3
    return (math.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12


def _toned(light: float) -> float:
    """Return how bright light, in parts of white paper, is on a screen, in parts of its white.

    What is no brighter than white paper becomes half as bright, which leaves room for what is: that
    follows a curve (of Bézier's, of the second degree) to the screen's white.
    """
    if light <= 1:
        return light / 2
    place = (math.sqrt(1.35**2 + 4 * 2.576 * (min(light, _PEAK / _PAPER) - 1)) - 1.35) / 5.152
    return 0.5 + 0.675 * place - 0.175 * place * place


@functools.lru_cache(maxsize=4)
def _hdr_table(primaries: int, transfer: int) -> ImageFilter.Color3DLUT:
    into_2020 = _product(_inverse(_to_xyz(PRIMARIES[9])), _to_xyz(PRIMARIES[primaries]))
    into_srgb = _product(_inverse(_to_xyz(PRIMARIES[1])), _to_xyz(PRIMARIES[9]))
    top = _BRIGHTEST[transfer]
    lights = [_light_of(top * step / (_LUT_SIZE - 1), transfer) for step in range(_LUT_SIZE)]
    table: list[float] = []
    for blue in lights:
        for green in lights:
            for red in lights:
                color = _applied(into_2020, (red, green, blue))
                if transfer == HLG:  # from the scene to a screen of 1000 cd/m2
                    bright = max(0.0, sum(map(float.__mul__, _LIGHT, color)))
                    color = tuple(part * bright**0.2 * _PEAK / _PAPER for part in color)
                most = max(color)
                gain = _toned(most) / most if most > 0 else 0.0
                table += map(_srgb_value, _applied(into_srgb, tuple(gain * c for c in color)))
    return ImageFilter.Color3DLUT(_LUT_SIZE, table)


def _srgb_value(light: float) -> float:
    light = min(1.0, max(0.0, light))
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def is_hdr(primaries: int, transfer: int) -> bool:
    """Return whether code points tell of colours that no profile can describe."""
    return primaries in PRIMARIES and transfer in (PQ, HLG)


def to_standard_range(image: Image.Image, primaries: int, transfer: int) -> Image.Image:
    """Return an image in PQ or HLG (see `is_hdr`) in sRGB, as browsers show it."""
    plain = without_palette(to_eight_bit(image))
    if plain.mode not in ("RGB", "RGBA"):
        plain = plain.convert("RGBA" if plain.mode == "LA" else "RGB")
    # What no screen shows gets no place in the table, so that the rest of it is exact.
    stretched = [min(255, round(value / _BRIGHTEST[transfer])) for value in range(256)]
    plain = plain.point(stretched * 3 + list(range(256)) * (plain.mode == "RGBA"))
    result = plain.filter(_hdr_table(primaries, transfer))
    result.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return result
