"""The default decoder: Pillow."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import attrs
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.IcoImagePlugin import IcoImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from imagekit_registry._openers import SNIFFED_BYTES, Opener, explain_unread, opener_registry
from imagekit_registry.exceptions import UnreadableImage

from ._colour import to_standard_range, without_palette
from ._containers import is_lossless_webp, mended, plays
from ._cost import check_cost, check_memory, check_structure, count_frames, count_scans
from ._metadata import finish, read_colours, read_metadata
from ._pixels import (
    compose,
    decode_small,
    differing_rows,
    has_deep_transparency,
    has_unused_scans,
    with_deep_alpha,
)
from ._plan import Frame, Header, OpenedImage, Plan
from ._scaling import reduce_to
from ._source import (
    SMALL_DECODE_PIXELS,
    BufferedSource,
    Deadline,
    Limits,
    Readable,
    open_source,
    translated,
)

PREFIX_BYTES = 16
#: Formats whose decoders give the rows that are there, and modes in which they can be told.
CUT_FORMATS, CUT_MODES = ("BMP", "GIF", "JPEG", "PNG"), ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")
#: Two rows of blocks of 16 pixels: the decoder looks at the next one to smooth colours.
JPEG_HELD_BACK = 32


def _try_formats(
    source: BufferedSource, prefix: bytes, names: list[str]
) -> ImageFile.ImageFile | None:
    for name in names:
        opener, accept = Image.OPEN[name]
        if accept is not None and accept(prefix) is not True:
            continue
        source.seek(0)
        # jpeg_factory() would open some JPEGs as MPO, whose further frames are other views of the
        # same scene and no animation; the plain class decodes both, at reduced scale too.
        with contextlib.suppress(SyntaxError):  # Pillow's way to say: not this format after all
            return JpegImageFile(source, "") if name == "JPEG" else opener(source, "")
    return None


def _allowed_names(limits: Limits) -> list[str]:
    allowed = limits.allowed_formats | ({"JPEG"} if "MPO" in limits.allowed_formats else set())
    names = [name for name in Image.ID if name in allowed]
    # Formats without a signature take anything for theirs: they come last.
    return sorted(names, key=lambda name: Image.OPEN[name][1] is None)


def _refusal(source: BufferedSource, prefix: bytes, names: list[str]) -> Exception:
    """Return the error for what is no image of the formats called *names*."""
    for name in Image.ID:  # perhaps a known format that is not allowed
        accept = Image.OPEN[name][1]
        if name not in names and accept is not None and accept(prefix) is True:
            cause = f"images of the format {name} are not allowed"
            return UnreadableImage(cause, hint="Upload a JPEG, PNG or WebP.")
    source.seek(0)
    return explain_unread(source.read(SNIFFED_BYTES)) or UnidentifiedImageError()


def open_pillow(source: BufferedSource, limits: Limits) -> ImageFile.ImageFile:
    """Identify *source* and read its header.

    This is what `PIL.Image.open` does, without its check of a global number of pixels (a warning
    below and an error above, by a setting of the whole process): our own limits come instead.

    Raises:
        UnreadableImage: It is no image of an allowed format.
        LimitExceeded: It has more pixels than *limits* allow.
    """
    if source.raw.size == 0:
        raise UnreadableImage("the file is empty", hint="Upload the file again.")
    source.seek(0)
    prefix = source.read(PREFIX_BYTES)
    check_structure(source, prefix, limits)
    names: list[str] = []
    for load in (Image.preinit, Image.init):  # what is common first: all the others take a while
        load()
        names = _allowed_names(limits)
        image = _try_formats(source, prefix, names)
        if image is not None:
            if isinstance(image, IcoImageFile):
                from ._bitmaps import take_best_icon  # most images do without

                take_best_icon(image)
            times = SMALL_DECODE_PIXELS if isinstance(image, JpegImageFile) else 1
            limits.check_pixels(image.size, times)
            return image
    raise _refusal(source, prefix, names)


def _covered(image: ImageFile.ImageFile) -> Image.Image:
    """Return a loaded frame, or a still in WebP; what the first one of a GIF does not cover is transparent."""
    if isinstance(image, WebPImageFile):
        if not image.is_animated:
            return _from_codec(image)
        is_opaque = image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255)
        return image.convert("RGB") if is_opaque else image
    if not isinstance(image, GifImageFile) or image.dispose_extent == (0, 0, *image.size):
        return image
    ground = Image.new("RGBA", image.size)
    ground.paste(without_palette(image.crop(image.dispose_extent)), image.dispose_extent)
    return ground


def _from_codec(image: WebPImageFile) -> Image.Image:
    """Return a WebP in the memory in which its codec has left the pixels; Pillow copies each of them.

    Colours without alpha are in ``RGBX``: they are converted when they are fewer.
    """
    found = image._decoder.get_next()
    if found is None:
        image.load()  # and says what is wrong
    held = "RGBX" if image.mode == "RGB" else image.mode
    pixels = Image.frombuffer(held, image.size, found[0], "raw", image.rawmode, 0, 1)
    pixels.info = image.info
    return pixels


class PillowImage:
    """An image that Pillow has opened.

    Args:
        source: The file.
        limits: Checked against its header, and while it is decoded.
        called: What its header calls the format, if it is not what Pillow reads.
    """

    def __init__(self, source: BufferedSource, limits: Limits, called: str = "") -> None:
        """Open *source* and read what its header says.

        Raises:
            LimitExceeded: It has more pixels than *limits* allow, or would cost too much time.
            UnreadableImage: It is no image of an allowed format, or its pixels are numbers of a
                palette that it lacks.
        """
        image = open_pillow(source, limits)
        format, place = image.format or "", source.tell()
        if image.mode == "P" and image.palette is None:
            raise UnreadableImage("the image has no palette", hint="Upload the file again.")
        self._image = image
        self.limits = limits
        self.source = source
        check_cost(image, source, place, limits)
        frames = count_frames(image, source, limits)
        loop = plays(image, source) if frames > 1 else None
        size, orientation, self.metadata = read_metadata(image, source, loop)
        if source.raw.error is not None:
            raise source.raw.error
        if isinstance(image, WebPImageFile) and frames > 1:
            # Its flag tells of the alpha within frames, which need not cover all of the picture.
            image.rawmode = image._mode = "RGBA"
        self.is_deep = isinstance(image, PngImageFile) and has_deep_transparency(image)
        profile, self.hdr = read_colours(image, source)
        lossless = format == "WEBP" and is_lossless_webp(source)
        source.seek(place)
        format = called or format
        self.header = Header(*size, image.mode, format, frames, orientation, profile, lossless)

    def rescales(self, base: Plan, several: bool) -> bool:
        """Return False: processors scale as well."""
        return False

    def decode(self, plan: Plan) -> Image.Image:
        """Return the (first) image: at least as large as the plan asks, oriented, in its colours."""
        image = self._image
        extent: tuple[float, float] | None = None
        with translated(self.source):
            if plan.minimum is not None and isinstance(image, JpegImageFile):
                drafted = image.draft(None, plan.minimum)
                extent = drafted[1][2:] if drafted else extent
            self.limits.check_pixels(image.size)
            extent = extent or image.size
            factor = 1
            if plan.minimum is not None:
                times = extent[0] // plan.minimum[0], extent[1] // plan.minimum[1]
                factor = max(1, int(min(times)))
            check_memory(image, self.header, self.limits, reduced=factor > 1)
            try:
                self._image = self._loaded(plan)
            except OSError as error:
                self._image = self._rescued(error, plan)
            pixels = reduce_to(self._transparent(plan), factor, extent)
            pixels = pixels.convert("RGB") if pixels.mode == "RGBX" else pixels
            pixels = to_standard_range(pixels, *self.hdr) if self.hdr else pixels
            return finish(pixels, plan, self)

    def _loaded(self, plan: Plan) -> ImageFile.ImageFile:
        image = self._image
        if isinstance(image, BmpImageFile) and image.tile:
            from ._bitmaps import take_runs

            take_runs(image)
        if (
            plan.minimum is not None
            and isinstance(image, JpegImageFile)
            and image.info.get("progressive")
        ):
            small = decode_small(image, self.source, plan.minimum, self.header.size)
            if small is not None:
                return small
        if not isinstance(image, WebPImageFile) or image.is_animated:
            image.load()  # a still in WebP gives its pixels without that
        return image

    def is_quick(self, scale: int) -> bool:
        """Return whether a decode at a *scale*-th of the size reads less than all of the file."""
        return isinstance(self._image, JpegImageFile) and has_unused_scans(self._image, scale)

    def _rescued(self, error: OSError, plan: Plan) -> ImageFile.ImageFile:
        """Return what there is of a file that is cut off, unless more is missing than may be.

        What could not be decoded is what is left of the ground: it differs on another ground.
        """
        image, most = self._image, self.limits.max_missing
        is_known = image.format in CUT_FORMATS and image.mode in CUT_MODES
        if self.source.raw.error is not None or not is_known or most == 0:
            raise error
        other = self._again(plan)
        white = (255,) * len(other.getbands())
        other.im = Image.new(other.mode, other.size, white).im
        with contextlib.suppress(OSError):
            other.load()
        image.tile = other.tile = []  # so that Pillow takes them for loaded
        missing = differing_rows(image, other) / image.height
        if image.format == "JPEG":
            if image.info.get("progressive") and count_scans(self.source, 2, 1) > 1:
                missing = 0.0  # its first scan, which is whole, has all rows
            # Without its end marker the last rows of blocks are not given out.
            missing -= JPEG_HELD_BACK / self.header.height
        if most is not None and missing > most:
            raise error
        if image.format == "JPEG":
            self._image = image = self._again(plan)
            self.source.raw.tail = b"\xff\xd9"
            image.load()
            return image
        return other if other.mode in ("1", "L", "RGB") else image

    def _again(self, plan: Plan) -> ImageFile.ImageFile:
        """Return the same image, opened anew."""
        image = open_pillow(self.source, self.limits)
        if plan.minimum is not None and isinstance(image, JpegImageFile):
            image.draft(None, plan.minimum)
        return image

    def _transparent(self, plan: Plan) -> Image.Image:
        """Return the loaded image with what is transparent in ways that Pillow does not tell."""
        image = self._image
        if not self.is_deep:
            return _covered(image)
        low = None
        if image.mode == "RGB":
            low = self._again(plan)
            low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]
            low.load()
        return with_deep_alpha(image, low)

    def _frame(self, index: int, plan: Plan, canvas: Image.Image) -> Frame:
        image = self._image
        with translated(self.source):
            image.seek(index)
            self.limits.check_pixels(image.size)
            check_memory(image, self.header, self.limits, reduced=False)
            if isinstance(image, (GifImageFile, PngImageFile)):
                pixels = compose(image, index, canvas)
            else:
                image.load()
                pixels = _covered(image)
                if pixels is image:
                    pixels = image.copy()  # the next seek() paints over it
            pixels = to_standard_range(pixels, *self.hdr) if self.hdr else pixels
            pixels = finish(pixels, plan, self)
        return Frame(pixels, float(image.info.get("duration", 0)))

    def frames(self, plan: Plan) -> Iterator[Frame]:
        """Yield all frames of an animation in full size, oriented, in the plan's colours."""
        image = self._image
        # An APNG may start with a picture for viewers that know no APNG, which is no frame.
        start = 1 if isinstance(image, PngImageFile) and image.default_image else 0
        canvas = Image.new("RGBA", self.header.size)
        for index in range(start, self.header.frames):
            try:
                frame = self._frame(index, plan, canvas)
            except UnreadableImage:
                if index == start:
                    raise
                return  # a damaged frame ends an animation
            yield frame


def _read_by(opener: Opener, source: BufferedSource, limits: Limits, deadline: Deadline) -> bytes:
    """Return what an opener makes of a file, as a PNG."""
    if opener.format not in limits.allowed_formats:
        cause = f"images of the format {opener.format} are not allowed"
        raise UnreadableImage(cause, hint="Upload a JPEG, PNG or WebP.")
    read = opener.read_apart if opener_registry.runs_apart() else opener.read
    return read(source, limits, deadline)


class PillowDecoder:
    """Decodes with Pillow: JPEG at 1/2, 1/4 or 1/8, other formats in full and then averaged down.

    Example:
        >>> PillowDecoder().name
        'pillow'
    """

    name = "pillow"

    @contextlib.contextmanager
    def open(
        self, file: Readable, limits: Limits, deadline: Deadline | None = None
    ) -> Iterator[OpenedImage]:
        """Read the header of *file*, check it against *limits*; put the file back afterwards.

        Raises:
            UnreadableImage: It is no image of an allowed format, or damaged.
            LimitExceeded: It is larger than *limits* allow.
            SourceUnavailable: The file itself raises an exception.
        """
        clock = deadline or Deadline(limits.max_seconds)
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(open_source(file, limits, clock))
            with translated(source):
                opener = opener_registry.find(source.read(SNIFFED_BYTES))
                source.seek(0)
                sound = _read_by(opener, source, limits, clock) if opener else None
                sound = sound or mended(source, limits.max_missing)
                if sound is None:
                    opened = self._open(source, limits, "")
            if sound is not None:
                called = ""
                if opener is not None:
                    limits = attrs.evolve(limits, allowed_formats=["PNG"], max_bytes=None)
                    called = opener.format
                source = stack.enter_context(open_source(io.BytesIO(sound), limits, clock))
                with translated(source):
                    opened = self._open(source, limits, called)
            yield opened

    def _open(self, source: BufferedSource, limits: Limits, called: str) -> OpenedImage:
        """Return what decodes an image whose header has been read; for subclasses."""
        return PillowImage(source, limits, called)
