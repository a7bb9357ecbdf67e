"""Openers: what makes images of files that Pillow does not read."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from typing import IO, TYPE_CHECKING, Protocol

import attrs
from PIL import Image

from imagekit_registry.exceptions import (
    AlreadyRegistered,
    LimitExceeded,
    UnreadableImage,
    answer_or,
    how_to_install,
)

if TYPE_CHECKING:
    from PIL import ImageFile

#: How much of a file openers are told by, in bytes.
SNIFFED_BYTES = 2048
#: Modes that a PNG holds.
_MODES = frozenset(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
#: What the process of an opener returns if it says itself what is wrong.
SAID = 3

#: Patterns of how files begin that Pillow does not read by itself, by the extra that has them read.
SNIFFS: Mapping[str, bytes] = {
    "heif": rb"(?s)....ftyp(?:hei[cfmsx]|hev[cmsx]|mif1|msf1)",
    "jxl": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "pdf": rb"%PDF-",
    "svg": rb"(?si)(?:\xef\xbb\xbf)?\s*<(?:svg|!doctype svg|(?:\?xml|!--).*?<svg)\b",
    "video": (
        rb"(?s)....ftyp(?:isom|iso[2-6]|mp4[12]|avc1|M4V |qt  |3gp[4-6]|dash|MSNV)|\x1a\x45\xdf\xa3"
    ),
}
#: What messages call them.
_CALLED = {
    "heif": "images of the format HEIC",
    "jxl": "images of the format JPEG XL",
    "pdf": "PDF documents",
    "svg": "images of the format SVG",
    "video": "videos",
}


def explain_unread(start: bytes) -> UnreadableImage | None:
    """Return an error that names the extra that has a file read which begins with *start*, or None."""
    for kind, sniff in SNIFFS.items():
        if re.match(sniff, start):
            call = "" if kind == "heif" else f", and call register_openers({kind!r})"
            hint = f"Upload a JPEG, PNG or WebP, or have it read: {how_to_install(kind)}{call}."
            return UnreadableImage(f"{_CALLED[kind]} are not read", hint=hint)
    return None


class Bounds(Protocol):
    """**Protocol:** how much an image may cost: `~imagekit_registry.imaging.Limits`."""

    @property
    def max_pixels(self) -> int | None:
        """Most pixels that an opener may give: width times height."""

    def check_pixels(self, size: tuple[int, int], times: int = 1) -> None:
        """Raise `LimitExceeded` if an image of *size* has more."""


class Clock(Protocol):
    """**Protocol:** when all must be over: `~imagekit_registry.imaging.Deadline`."""

    @property
    def left(self) -> float | None:
        """The seconds that are left; None for any number."""

    def check(self) -> None:
        """Raise `LimitExceeded` if none are."""


#: Makes an upright image of a file, which it may read and seek in; it checks the size before it decodes.
Open = Callable[[IO[bytes], Bounds, Clock], Image.Image]


@attrs.frozen
class Opener:
    """An opener that is registered.

    Args:
        media_type: Of the files.
        open: What makes an image of one.
        sniff: What matches the start of each.
    """

    media_type: str
    open: Open
    sniff: re.Pattern[bytes]

    @property
    def format(self) -> str:
        """What limits and messages call the files: ``PDF`` for ``application/pdf``."""
        return self.media_type.partition("/")[2].partition("+")[0].upper()

    @property
    def name(self) -> str:
        """What another process finds the function by: its module and its name there."""
        return f"{self.open.__module__}:{self.open.__qualname__}"

    def read(self, file: IO[bytes], limits: Bounds, deadline: Clock) -> bytes:
        """Return the image of *file* as a PNG.

        Raises:
            UnreadableImage: The opener gives none.
            LimitExceeded: It is larger than *limits* allow.
        """
        image = self.open(file, limits, deadline)
        if not isinstance(image, Image.Image):
            raise UnreadableImage(f"the opener of {self.media_type} gave {image!r}, no image")
        deadline.check()
        limits.check_pixels(image.size)
        if image.mode not in _MODES:
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        buffer = io.BytesIO()
        image.save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()

    def read_apart(self, file: IO[bytes], limits: Bounds, deadline: Clock) -> bytes:
        """Return the same, made by a process of its own, which is killed when the time is over."""
        call = [self.media_type, self.name, limits.max_pixels, deadline.left]
        command = [sys.executable, "-m", "imagekit_registry._opener_process", json.dumps(call)]
        path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            done = subprocess.run(  # noqa: S603 -- a function of the project's
                command,
                input=file.read(),
                capture_output=True,
                timeout=deadline.left,
                env={**os.environ, **path},
                check=False,
            )
        except subprocess.TimeoutExpired:
            deadline.check()
            raise
        if done.returncode == 0 and done.stdout:
            return done.stdout
        if done.returncode < 0:
            cause = f"its opener ended the process (signal {-done.returncode})"
            raise UnreadableImage(cause, hint="Save the file anew, or in another format.")
        said = (done.stderr.decode("utf-8", "replace").splitlines() or [""])[-1]
        if done.returncode != SAID:
            cause = f"its opener failed ({said or f'code {done.returncode}'})"
            raise UnreadableImage(cause, hint="Keep openers in a module that needs no Django apps.")
        cause, limit, hint = json.loads(said)
        if limit is None:
            raise UnreadableImage(cause, hint=hint)
        raise LimitExceeded(cause, limit=limit, hint=hint)


def find_open(name: str) -> Open:
    """Return the function that an opener's `name` stands for."""
    module, _, attribute = name.partition(":")
    found: Open = attrgetter(attribute)(import_module(module))
    return found


class OpenerRegistry:
    """What opens files that Pillow does not read, by their media types."""

    #: Whether openers run in processes of their own; set by the room that knows the settings.
    runs_apart: Callable[[], bool] = staticmethod(lambda: False)

    def __init__(self) -> None:
        self._openers: dict[str, Opener] = {}

    def register(self, media_type: str, open: Open, *, sniff: bytes | re.Pattern[bytes]) -> None:
        """Register what makes images of the files of a media type.

        Args:
            media_type: Such as ``"application/pdf"``.
            open: A function of file, limits and deadline that returns an upright Pillow image. It runs
                in the thread that makes an image; or, with ``IMAGEKIT_OPENER_PROCESS``, in a process
                without Django's apps, which imports it by its name. Whatever it raises is told as a
                damaged source.
            sniff: How the files begin; or a pattern for their first 2,048 bytes.

        Raises:
            AlreadyRegistered: Another function has the media type. Unregister that one first.

        Example:
            >>> def open_flat(file, limits, deadline):
            ...     return Image.new("RGB", (8, 8), "teal")
            >>> register.opener("image/x-flat", open_flat, sniff=b"FLAT")
        """
        known = self._openers.get(media_type)
        if known is not None and known.open != open:
            raise AlreadyRegistered(
                f"An opener of {media_type!r} is already registered: {known.open!r}. To replace it, call"
                f" unregister.opener({media_type!r}) first."
            )
        pattern = re.compile(re.escape(sniff)) if isinstance(sniff, bytes) else sniff
        self._openers[media_type] = Opener(media_type, open, pattern)

    def unregister(self, media_type: str) -> None:
        """Remove the opener of a media type; nothing happens if there is none."""
        self._openers.pop(media_type, None)

    def find(self, start: bytes) -> Opener | None:
        """Return the opener of a file that begins with *start*, or None."""
        return next((each for each in self._openers.values() if each.sniff.match(start)), None)

    def registered(self) -> list[Opener]:
        """Return all openers."""
        return list(self._openers.values())

    def takes(self, media_type: str | None) -> bool:
        """Return whether there is an opener of a media type."""
        return media_type in self._openers

    def formats(self) -> frozenset[str]:
        """Return what limits call the files."""
        return frozenset(each.format for each in self._openers.values())


opener_registry = OpenerRegistry()


def register_heif() -> None:
    """Have Pillow read HEIF by pillow-heif, if that is installed; it is imported with the first file."""
    if answer_or(None, find_spec, "pillow_heif") and "HEIF" not in Image.OPEN:
        Image.register_open("HEIF", _open_heif, _is_heif)


def _is_heif(start: bytes) -> bool:
    return re.match(SNIFFS["heif"], start) is not None


def _open_heif(file: IO[bytes], name: str | bytes) -> ImageFile.ImageFile:
    import pillow_heif

    pillow_heif.register_heif_opener()
    return Image.OPEN["HEIF"][0](file, name)
