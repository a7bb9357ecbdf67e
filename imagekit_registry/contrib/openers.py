"""Openers for PDF, SVG, videos and JPEG XL: a first page, a drawing, a first frame, a photograph."""

from __future__ import annotations

import io
import re
import threading
from base64 import b64decode
from collections.abc import Mapping
from importlib.util import find_spec
from math import sqrt
from typing import IO
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

from PIL import Image

from imagekit_registry._openers import SNIFFS, Bounds, Clock, Open
from imagekit_registry.exceptions import InvalidConfiguration, UnreadableImage, how_to_install
from imagekit_registry.imaging import Limits, read_header
from imagekit_registry.registry import register

__all__ = ["open_jxl", "open_pdf", "open_svg", "open_video", "register_openers"]

#: The longer side of what has no pixels of its own, in pixels.
_LONGEST = 2048
#: Elements of an SVG within one another: resvg ends the process at some three hundred.
_DEEPEST = 100
#: PDFium knows no threads.
_pdfium = threading.Lock()
_EMBEDDED = re.compile(r"\s*data:image/(?:png|jpeg|gif|webp)(;[^,]*)?,(.*)", re.DOTALL)
_NUMBER = re.compile(r"\s*(\d{0,9}\.?\d{1,9})\s*([a-z]*)\s*$")
_JXL_CONTAINER = b"\0\0\0\x0cJXL "
_JXL_RATIOS = ((1, 1), (6, 5), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def _fitting(size: tuple[float, float], limits: Bounds) -> float:
    """Return the scale at which a drawing has 2,048 pixels on its longer side, or all that it may."""
    width, height = size
    scale = _LONGEST / max(width, height)
    if limits.max_pixels is None:
        return scale
    return min(scale, sqrt(limits.max_pixels / (width * height)))


def open_pdf(file: IO[bytes], limits: Bounds, deadline: Clock) -> Image.Image:
    """Return the first page of a PDF, on white; PDFium draws it."""
    import pypdfium2

    with _pdfium:
        document = pypdfium2.PdfDocument(file.read())
        try:
            deadline.check()
            page = document[0]
            drawn: Image.Image = page.render(scale=_fitting(page.get_size(), limits)).to_pil()
            return drawn.convert("RGB")
        finally:
            document.close()


def open_svg(file: IO[bytes], limits: Bounds, deadline: Clock) -> Image.Image:
    """Return an SVG as resvg draws it: without scripts, and without any file that it refers to.

    Raises:
        UnreadableImage: It declares entities, its elements lie too deep within one another, or its
            shorter side would be less than a pixel.
        LimitExceeded: A picture in it is larger than *limits* allow.
    """
    import resvg_py

    text = file.read()
    if b"<!ENTITY" in text:
        raise UnreadableImage("the SVG declares entities", hint="Save it without a document type.")
    root = ElementTree.fromstring(text)  # noqa: S314 -- without entities nothing grows
    elements = [(root, 1)]
    while elements:
        element, depth = elements.pop()
        if depth > _DEEPEST:
            cause = f"the SVG has more than {_DEEPEST} elements within one another"
            raise UnreadableImage(cause, hint="Ungroup some of them.")
        elements += ((child, depth + 1) for child in element)
        for name, value in list(element.attrib.items()):
            if name.rpartition("}")[2] == "href" and not _is_within(value, limits):
                del element.attrib[name]
    size = _drawn_size(root.attrib)
    scale = _fitting(size, limits)
    width, height = (max(1, int(side * scale)) for side in size)
    drawing = ElementTree.tostring(root, encoding="unicode")
    png = resvg_py.svg_to_bytes(svg_string=drawing, width=width, height=height)
    image = Image.open(io.BytesIO(bytes(png)))
    image.load()
    return image


def _is_within(href: str, limits: Bounds) -> bool:
    """Return whether *href* is an element of the same drawing, or a picture that stands in it."""
    if href.lstrip().startswith("#"):
        return True
    embedded = _EMBEDDED.match(href)
    if embedded is None:
        return False
    data = unquote_to_bytes(embedded[2])
    if "base64" in (embedded[1] or "").lower():
        data = b64decode(data + b"==")
    try:
        read_header(io.BytesIO(data), Limits(max_pixels=limits.max_pixels))
    except UnreadableImage:
        return False
    return True


def _drawn_size(attributes: Mapping[str, str]) -> tuple[float, float]:
    """Return width and height of an SVG; only their ratio counts."""
    sides = [_NUMBER.match(attributes.get(name, "")) for name in ("width", "height")]
    if sides[0] and sides[1] and sides[0][2] == sides[1][2]:
        found = [float(side[1]) for side in sides if side]
    else:
        box = re.split(r"[\s,]+", attributes.get("viewBox", "").strip())
        found = [float(side) for side in box[2:4]]
    if len(found) != 2 or min(found) <= 0:
        return 1, 1
    if not max(found) <= min(found) * _LONGEST:
        cause = f"one side of the SVG is more than {_LONGEST:,} times the other"
        raise UnreadableImage(cause, hint="Give it the width and height that it is shown in.")
    return found[0], found[1]


def open_video(file: IO[bytes], limits: Bounds, deadline: Clock) -> Image.Image:
    """Return the first frame of an MP4, QuickTime or WebM video; FFmpeg decodes it."""
    import av

    # Named: others, such as lists of files to play, have FFmpeg open what they name.
    format = "matroska" if file.read(4) == b"\x1a\x45\xdf\xa3" else "mp4"
    file.seek(0)
    with av.open(file, mode="r", format=format) as container:
        stream = container.streams.video[0]
        limits.check_pixels((stream.codec_context.width, stream.codec_context.height))
        deadline.check()
        frame = next(container.decode(stream))
        image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
        return image.rotate(frame.rotation, expand=True)


def open_jxl(file: IO[bytes], limits: Bounds, deadline: Clock) -> Image.Image:
    """Return a JPEG XL; of an animation the first frame."""
    data = file.read()
    # The plug-in decodes it before it tells its size.
    limits.check_pixels(_jxl_size(_jxl_codestream(data)))
    deadline.check()
    from pillow_jxl.JpegXLImagePlugin import JXLImageFile

    image: Image.Image = JXLImageFile(io.BytesIO(data))
    image.load()
    return image


def _jxl_codestream(data: bytes) -> bytes:
    """Return the start of the codestream, in a container or not."""
    at = 0
    while data.startswith(_JXL_CONTAINER) and at + 16 <= len(data):
        length, kind, start = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8], at + 8
        if length == 1:
            length, start = int.from_bytes(data[at + 8 : at + 16]), at + 16
        if kind in (b"jxlc", b"jxlp"):
            start += 4 if kind == b"jxlp" else 0
            return data[start : start + 32]
        if length < start - at:
            break
        at += length
    return data[:32]


def _jxl_size(codestream: bytes) -> tuple[int, int]:
    """Return the size that the header of a codestream tells, in pixels."""
    if codestream[:2] != b"\xff\x0a":
        raise UnreadableImage("the JPEG XL has no codestream", hint="Upload the file again.")
    bits = int.from_bytes(codestream[2:], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    is_small = take(1)

    def side() -> int:
        return (take(5) + 1) * 8 if is_small else take((9, 13, 18, 30)[take(2)]) + 1

    height = side()
    ratio = take(3)
    if ratio == 0:
        return side(), height
    over, under = _JXL_RATIOS[ratio - 1]
    return height * over // under, height


#: By kind: the media types, what opens them, and the module that it needs.
_KINDS: Mapping[str, tuple[tuple[str, ...], Open, str]] = {
    "jxl": (("image/jxl",), open_jxl, "pillow_jxl"),
    "pdf": (("application/pdf",), open_pdf, "pypdfium2"),
    "svg": (("image/svg+xml",), open_svg, "resvg_py"),
    "video": (("video/mp4", "video/quicktime", "video/webm"), open_video, "av"),
}


def register_openers(*kinds: str) -> None:
    """Have files of these kinds read wherever images are.

    Call it in the ``imagegenerators.py`` of an app.

    Args:
        *kinds: ``"jxl"``, ``"pdf"``, ``"svg"``, ``"video"``; each has an extra of the same name.

    Raises:
        InvalidConfiguration: There is no such kind, or its extra is not installed.

    Example:
        >>> register_openers("pdf", "svg")
    """
    for kind in kinds:
        if kind not in _KINDS:
            known = ", ".join(sorted(_KINDS))
            raise InvalidConfiguration(f"There is no opener {kind!r}; there are: {known}.")
        media_types, open, module = _KINDS[kind]
        if find_spec(module) is None:
            raise InvalidConfiguration(
                f"The opener {kind!r} needs {module}, which is not installed: {how_to_install(kind)}"
            )
        for media_type in media_types:
            register.opener(media_type, open, sniff=re.compile(SNIFFS[kind]))
