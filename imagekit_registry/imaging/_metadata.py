"""What an image says about itself besides its pixels: orientation, profile, EXIF and XMP."""

from __future__ import annotations

import contextlib
import html
import io
import re
import struct
from collections.abc import Callable
from typing import IO

from PIL import Image, ImageFile, IptcImagePlugin, PngImagePlugin
from PIL.TiffImagePlugin import TiffImageFile

from imagekit_registry.exceptions import LimitExceeded, answer_or

from ._colour import PRIMARIES, is_hdr, make_profile, profile_of, to_srgb
from ._containers import EXIF_PREFIX, MAX_METADATA_BYTES, code_points, late_png_exif
from ._cost import MAX_SHARED_BYTES, MAX_TIFF_NUMBERS, directory_cost
from ._modes import EXIF_FORMATS
from ._plan import Metadata, OpenedImage, Plan
from ._recipe import Recipe

ORIENTATION_TAG = 0x0112
ARTIST_TAG = 0x013B
COPYRIGHT_TAG = 0x8298
_WIDTH_TAG, _LENGTH_TAG = 0x0100, 0x0101
#: Description, maker, model, software, time, artist and copyright.
_TIFF_TEXT_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, ARTIST_TAG, COPYRIGHT_TAG)
#: The number of IPTC data among the resources of Photoshop, and the most that is read of them.
_IPTC_RESOURCE, _MAX_IPTC_BYTES = 0x0404, 64 * 1024
#: Profiles beyond this size, in bytes, are not used.
MAX_PROFILE_BYTES = 4 * 1024 * 1024
_XMP_FORMATS = frozenset(["AVIF", "JPEG", "MPO", "WEBP"])
_XMP_KEY = "XML:com.adobe.xmp"
#: The most that a JPEG holds in one segment, in bytes.
_JPEG_SEGMENT = 65_000
#: By how much, in parts, gammas may differ that are taken for the same.
GAMMA_TOLERANCE = 0.05
_METHODS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_XMP_ORIENTATION = re.compile(
    rb'(?<!\s)\s*tiff:Orientation\s*=\s*("[^"]*"|\'[^\']*\')|<tiff:Orientation>[^<]*</tiff:Orientation>'
)
#: Prefixes of what XMP data say about parts of the source's file: those of Adobe, Google and Apple.
_CLAIMED = (
    rb"(?:hdrgm|HDRGainMap|GCamera|GContainer|Container|GDepth|GImage|GAudio|xmpGImg|xmpNote)"
)
_XMP_CLAIMS = re.compile(rb"(?<!\s)\s+" + _CLAIMED + rb':\w+\s*=\s*("[^"]*"|\'[^\']*\')')
_XMP_CLAIMING = re.compile(rb"[<\s]" + _CLAIMED + rb":")
#: What lists the pictures that stand behind the first one: the gain map of an Ultra HDR photograph.
_XMP_DIRECTORIES = (b"Container:Directory", b"GContainer:Directory")
#: Where XMP data name the rights and their holder, first of all in the language "x-default".
_XMP_RIGHTS = {
    tag: re.compile(rb"<dc:%b>\s*<rdf:\w+>\s*<rdf:li[^<>]*>([^<>]{1,2000})</rdf:li>" % name)
    for tag, name in ((ARTIST_TAG, b"creator"), (COPYRIGHT_TAG, b"rights"))
}
#: Where they say how the picture came to be: by a camera, or by a machine that was trained.
_XMP_SOURCE_TYPE = re.compile(
    rb"Iptc4xmpExt:DigitalSourceType(?:\s*=\s*[\"']|>)([\w:/.#-]{1,200})[\"'<]"
)
#: What XML does not hold, not even escaped.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
#: XMP data of nothing but rights; each line is there if it says something.
_XMP_OF_RIGHTS = (
    "<dc:creator><rdf:Seq><rdf:li>{}</rdf:li></rdf:Seq></dc:creator>",
    '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt></dc:rights>',
    "<Iptc4xmpExt:DigitalSourceType>{}</Iptc4xmpExt:DigitalSourceType>",
)
_XMP_PACKET = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">{}</rdf:Description>'
    "</rdf:RDF></x:xmpmeta>"
)
#: The same in IPTC data.
_IPTC_RIGHTS = {ARTIST_TAG: (2, 80), COPYRIGHT_TAG: (2, 116)}


def _safe_exif(data: object) -> bytes | None:
    """Return EXIF data that can be read without harm, with one prefix; None if there is none."""
    if not isinstance(data, bytes) or len(data) > MAX_METADATA_BYTES:
        return None
    start = 0
    while data.startswith(EXIF_PREFIX, start):  # Pillow takes off all of them, by a copy each
        start += len(EXIF_PREFIX)
    try:
        size, numbers = directory_cost(io.BytesIO(data), start)
    except (struct.error, ValueError, OverflowError, LimitExceeded):
        return None
    if size > MAX_SHARED_BYTES or numbers > MAX_TIFF_NUMBERS:
        return None
    return EXIF_PREFIX + data[start:]


def _read_exif(image: ImageFile.ImageFile, source: IO[bytes]) -> bytes | None:
    """Return the image's EXIF data; in its ``info`` are then only such as can be read without harm.

    They tell of no orientation where browsers heed none: who saw the picture upright in one would not
    in what is made of it. Tools leave it stale there, as nobody sees it.
    """
    found = image.info.pop("exif", None)
    is_heeded = found is not None and image.format != "WEBP"
    as_text = image.info.pop("Raw profile type exif", None)  # how ImageMagick writes it into a PNG
    if found is None and isinstance(as_text, str):
        found = bytes.fromhex("".join(as_text.split("\n")[3:]))
    if found is None and image.format == "PNG":
        found = late_png_exif(source)
    exif = _safe_exif(found)
    exif = exif if is_heeded else _edited(exif, _without_orientation)
    if exif is not None:
        image.info["exif"] = exif
    return exif


def _bytes(value: object, largest: int) -> bytes | None:
    if isinstance(value, str):
        value = value.encode("utf-8", "replace")
    return value if isinstance(value, bytes) and 0 < len(value) <= largest else None


def _tiff_exif(image: TiffImageFile) -> bytes | None:
    """Return what a TIFF says about the picture, without what it says about the file."""
    tags = Image.Exif()
    for tag in _TIFF_TEXT_TAGS:
        if isinstance(image.tag_v2.get(tag), str):
            tags[tag] = image.tag_v2[tag]
    return tags.tobytes() if len(tags) else None


def _iptc_rights(image: ImageFile.ImageFile) -> dict[int, bytes]:
    """Return artist and copyright from the IPTC data of a JPEG."""
    with contextlib.suppress(Exception):  # as for EXIF data
        if len(image.info["photoshop"][_IPTC_RESOURCE]) > _MAX_IPTC_BYTES:
            return {}
        found = IptcImagePlugin.getiptcinfo(image) or {}
        values = ((tag, found.get(key)) for tag, key in _IPTC_RIGHTS.items())
        return {tag: value for tag, value in values if isinstance(value, bytes)}
    return {}


def _read_orientation(exif: bytes | None) -> int:
    """Return the orientation that EXIF data tell of, 1 to 8."""
    tags = Image.Exif()
    tags.load(exif or b"")
    found = tags.get(ORIENTATION_TAG)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def read_metadata(
    image: ImageFile.ImageFile, source: IO[bytes], loop: int | None
) -> tuple[tuple[int, int], int, Metadata]:
    """Return an opened image's size in pixels, its orientation, and what else it says.

    Args:
        image: Opened, not loaded; afterwards it holds only what can be read without harm.
        source: The file.
        loop: How often it plays; see `plays`.
    """
    size, orientation, exif = image.size, 1, None
    with contextlib.suppress(Exception):  # a broken tag must not cost the picture
        exif = _read_exif(image, source)
        # Pillow's own would look into XMP as well, which no browser does: tools leave it stale.
        orientation = _read_orientation(exif)
        if isinstance(image, TiffImageFile):
            # Pillow turns the pixels of a TIFF itself when it decodes them.
            orientation = image.tag_v2.get(ORIENTATION_TAG, 1)
            stored = image.tag_v2[_WIDTH_TAG], image.tag_v2[_LENGTH_TAG]
            size = stored if orientation < 5 else (stored[1], stored[0])
            orientation, exif = 1, _tiff_exif(image)
    xmp = _bytes(image.info.get("xmp"), MAX_METADATA_BYTES)
    return size, orientation, Metadata(exif, xmp, loop, _iptc_rights(image))


def read_colours(
    image: Image.Image, source: IO[bytes]
) -> tuple[bytes | None, tuple[int, int] | None]:
    """Return the profile of an image, and the code points of one that no profile can describe.

    Args:
        image: Opened, not loaded.
        source: The file.
    """
    profile = _bytes(image.info.get("icc_profile"), MAX_PROFILE_BYTES)
    is_named = image.format == "PNG" or (image.format == "AVIF" and not profile)
    named = code_points(image.format, source) if is_named else None
    if named and is_hdr(*named):
        return None, named
    if named and (described := profile_of(*named)):
        return described, None
    gamma = image.info.get("gamma")
    if profile or not gamma or image.format != "PNG" or "srgb" in image.info:
        return profile, None
    primaries = image.info.get("chromaticity")
    if primaries is None and abs(gamma * 2.2 - 1) < GAMMA_TOLERANCE:
        return None, None  # what sRGB says of itself
    # Numbers that cannot be do not cost the picture.
    return answer_or(None, make_profile, primaries or PRIMARIES[1], (1 / gamma,)), None


def finish(image: Image.Image, plan: Plan, opened: OpenedImage) -> Image.Image:
    """Orient pixels that were decoded of *opened* and convert their colours as *plan* says.

    The image's ``info`` afterwards holds what processors may ask for, and nothing that is no longer
    true: EXIF data without an orientation that has been applied, a profile that was kept.
    """
    info: dict[str | tuple[int, int], object] = {}
    profile, exif = opened.header.profile, opened.metadata.exif
    if plan.orientation != 1:
        image = image.transpose(_METHODS[plan.orientation])
        exif = _edited(exif, _without_orientation)
    if exif:
        info["exif"] = exif
    if plan.color == "srgb":
        image = to_srgb(image, profile)
    elif profile:
        info["icc_profile"] = profile
    if image.mode in ("1", "L", "P", "RGB", "I;16") and "transparency" in image.info:
        info["transparency"] = image.info["transparency"]
    image.info = info
    return image


def _edited(exif: bytes | None, edit: Callable[[Image.Exif, bytes], bytes | None]) -> bytes | None:
    """Return what *edit* makes of EXIF data; None if they cannot be read."""

    def edited(data: bytes) -> bytes | None:
        tags = Image.Exif()
        tags.load(data)
        return edit(tags, data)

    # Everybody's camera writes it; it never costs the picture.
    return None if exif is None else answer_or(None, edited, exif)


def _without_orientation(tags: Image.Exif, exif: bytes) -> bytes:
    if ORIENTATION_TAG not in tags:
        return exif
    del tags[ORIENTATION_TAG]
    return tags.tobytes()


def without_orientation(exif: object) -> bytes:
    """Return EXIF data, as bytes or as Pillow's own, without an orientation; empty if unreadable."""
    data = exif.tobytes() if isinstance(exif, Image.Exif) else exif
    return (isinstance(data, bytes) and _edited(data, _without_orientation)) or b""


def _rights(metadata: Metadata) -> Image.Exif:
    """Return EXIF data of nothing but artist and copyright, from EXIF, IPTC or else XMP."""
    kept = Image.Exif()

    def keep(tags: Image.Exif, exif: bytes) -> bytes:
        for tag in (ARTIST_TAG, COPYRIGHT_TAG):
            if tags.get(tag):
                kept[tag] = tags[tag]
        return exif

    _edited(metadata.exif, keep)
    for tag, pattern in _XMP_RIGHTS.items():
        found = pattern.search(metadata.xmp or b"")
        text = found and html.unescape(found[1].decode("utf-8", "replace")).strip().encode()
        if not kept.get(tag) and (text := metadata.rights.get(tag) or text):
            kept[tag] = text
    return kept


def _xmp_of_rights(rights: Image.Exif, xmp: bytes | None) -> bytes | None:
    """Return XMP data of artist and copyright, and of the kind of source that other XMP data name."""
    kind = _XMP_SOURCE_TYPE.search(xmp or b"")
    values = [rights.get(ARTIST_TAG), rights.get(COPYRIGHT_TAG), kind and kind[1]]
    texts = [str(each, "utf-8", "replace") if isinstance(each, bytes) else each for each in values]
    said = "".join(
        line.format(html.escape(_CONTROLS.sub("", text), quote=False))
        for line, text in zip(_XMP_OF_RIGHTS, texts, strict=True)
        if isinstance(text, str) and text
    )
    return _XMP_PACKET.format(said).encode() if said else None


def xmp_without_orientation(xmp: bytes) -> bytes:
    """Return XMP data without its orientation property."""
    return _XMP_ORIENTATION.sub(b"", xmp)


def _true_xmp(xmp: bytes) -> bytes | None:
    """Return XMP data that promise nothing that is not in the result; None if they cannot be freed.

    A gain map, a video or further images stand behind the picture in the source's file, and a small
    picture of the whole in the data themselves.
    """
    for name in _XMP_DIRECTORIES:
        before, _, rest = xmp.partition(b"<" + name)
        _, closed, after = rest.partition(b"</" + name + b">")
        xmp = before + after if closed else xmp
    xmp = _XMP_CLAIMS.sub(b"", xmp)
    return None if _XMP_CLAIMING.search(xmp) else xmp


def carried_options(
    recipe: Recipe, profile: bytes | None, metadata: Metadata, format: str
) -> dict[str, object]:
    """Return the save options that carry on what a source says, as far as the recipe wants it."""
    exif: bytes | None = None
    xmp: bytes | None = None
    if recipe.metadata in ("copyright", "rights"):
        rights = _rights(metadata)
        exif = rights.tobytes() if len(rights) else None
        xmp = _xmp_of_rights(rights, metadata.xmp) if recipe.metadata == "rights" else None
    elif recipe.metadata == "keep":
        # Pillow's encoders for TIFF read what they are given: it must be readable. Written anew, it
        # is without the thumbnail, which shows the source.
        exif = _edited(metadata.exif, lambda tags, exif: tags.tobytes())
        xmp = metadata.xmp and _true_xmp(metadata.xmp)
        if recipe.auto_orient:
            exif = _edited(exif, _without_orientation)
            xmp = xmp and xmp_without_orientation(xmp)
    options: dict[str, object] = {}
    largest = _JPEG_SEGMENT if format in ("JPEG", "MPO") else float("inf")
    if exif and format in EXIF_FORMATS and len(exif) <= largest:
        options["exif"] = exif
    if xmp and format in _XMP_FORMATS and len(xmp) <= largest:
        options["xmp"] = xmp
    elif xmp and format == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt(_XMP_KEY, xmp.decode("utf-8", "replace"))
        options["pnginfo"] = chunks
    if profile and format in EXIF_FORMATS:
        options["icc_profile"] = profile
    return options
