"""The default decoder: Pillow."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import attrs
from PIL import Image, ImageFile, IptcImagePlugin, UnidentifiedImageError
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from imagekit_registry._openers import SNIFFED_BYTES, Opener, explain_unread, opener_registry
from imagekit_registry.exceptions import UnreadableImage

from ._colour import to_standard_range
from ._compose import (
    compose,
    cover,
    depth,
    is_lossless_webp,
    missing_of_webp,
    plays,
    whole_webp,
    with_deep_alpha,
)
from ._cost import (
    check_cost,
    check_memory,
    check_structure,
    count_frames,
    count_scans,
    safe_exif,
)
from ._decoder import Frame, Header, Metadata, OpenedImage, Plan
from ._limits import SMALL_DECODE_PIXELS, Deadline, Limits
from ._metadata import IPTC_RIGHTS, ORIENTATION_TAG, finish, read_colours, read_orientation
from ._png import MAX_METADATA_BYTES, late_png_exif, sound_png
from ._progressive import decode_small, has_unused_scans
from ._scaling import differing_rows, reduce_to
from ._source import BufferedSource, Readable, open_source, translated

IMAGE_WIDTH_TAG, IMAGE_LENGTH_TAG = 0x0100, 0x0101
#: Description, maker, model, software, time, artist and copyright.
TIFF_TEXT_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
#: Profiles beyond this size, in bytes, are not used.
MAX_PROFILE_BYTES = 4 * 1024 * 1024
PREFIX_BYTES = 16
#: The number of IPTC data among the resources of Photoshop, and the most that is read of them.
IPTC_RESOURCE, MAX_IPTC_BYTES = 0x0404, 64 * 1024
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
        source.seek(0)
        prefix = source.read(PREFIX_BYTES)
        check_structure(source, prefix, limits)
        Image.preinit()
        names = _allowed_names(limits)
        image = _try_formats(source, prefix, names)
        if image is None:
            Image.init()
            more = [name for name in _allowed_names(limits) if name not in names]
            image = _try_formats(source, prefix, more)
        if image is None:
            names += more
            for name in Image.ID:  # perhaps a known format that is not allowed
                accept = Image.OPEN[name][1]
                if name not in names and accept is not None and accept(prefix) is True:
                    cause = f"images of the format {name} are not allowed"
                    raise UnreadableImage(cause, hint="Upload a JPEG, PNG or WebP.")
            source.seek(0)
            raise explain_unread(source.read(SNIFFED_BYTES)) or UnidentifiedImageError
    limits.check_pixels(image.size, SMALL_DECODE_PIXELS if isinstance(image, JpegImageFile) else 1)
    return image


def _read_exif(image: ImageFile.ImageFile, source: BufferedSource) -> bytes | None:
    """Return the image's EXIF data, and leave in it only what can be read without harm."""
    found = image.info.pop("exif", None)
    as_text = image.info.pop("Raw profile type exif", None)  # how ImageMagick writes it into a PNG
    if found is None and isinstance(as_text, str):
        found = bytes.fromhex("".join(as_text.split("\n")[3:]))
    if found is None and image.format == "PNG":
        place = source.tell()
        found = late_png_exif(source)
        source.seek(place)
    exif = safe_exif(found)
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
    for tag in TIFF_TEXT_TAGS:
        if isinstance(image.tag_v2.get(tag), str):
            tags[tag] = image.tag_v2[tag]
    return tags.tobytes() if len(tags) else None


def _iptc_rights(image: ImageFile.ImageFile) -> dict[int, bytes]:
    """Return artist and copyright from the IPTC data of a JPEG."""
    with contextlib.suppress(Exception):  # as for EXIF data
        if len(image.info["photoshop"][IPTC_RESOURCE]) > MAX_IPTC_BYTES:
            return {}
        found = IptcImagePlugin.getiptcinfo(image) or {}
        values = ((tag, found.get(key)) for tag, key in IPTC_RIGHTS.items())
        return {tag: value for tag, value in values if isinstance(value, bytes)}
    return {}


class PillowImage:
    """An image that Pillow has opened."""

    def __init__(self, image: ImageFile.ImageFile, source: BufferedSource, limits: Limits) -> None:
        """Read what the header says; raise `LimitExceeded` for what would cost too much time."""
        self._image = image
        self.limits = limits
        self.source = source
        size = image.size
        with translated(source):
            place = source.tell()
            check_cost(image, source, limits)
            frames = count_frames(image, source, limits)
            loop = plays(image, source)
            source.seek(place)
        orientation, exif = 1, None
        with contextlib.suppress(Exception):  # a broken tag must not cost the picture
            exif = _read_exif(image, source)
            # Pillow's own would look into XMP as well, which no browser does: tools leave it stale.
            orientation = read_orientation(exif)
            if isinstance(image, TiffImageFile):
                # Pillow turns the pixels of a TIFF itself when it decodes them.
                orientation = image.tag_v2.get(ORIENTATION_TAG, 1)
                stored = image.tag_v2[IMAGE_WIDTH_TAG], image.tag_v2[IMAGE_LENGTH_TAG]
                size = stored if orientation < 5 else (stored[1], stored[0])
                orientation, exif = 1, _tiff_exif(image)
        if source.view.error is not None:
            raise source.view.error
        if isinstance(image, WebPImageFile) and frames > 1:
            # Its flag tells of the alpha within frames, which need not cover all of the picture.
            image.rawmode = image._mode = "RGBA"
        profile = _bytes(image.info.get("icc_profile"), MAX_PROFILE_BYTES)
        format = image.format or ""
        self.is_deep = depth(image) == 16 and "transparency" in image.info
        with translated(source):
            place = source.tell()
            profile, self.hdr = read_colours(image, profile, source)
            lossless = format == "WEBP" and is_lossless_webp(source)
            source.seek(place)
        self.header = Header(*size, image.mode, format, frames, orientation, profile, lossless)
        xmp = _bytes(image.info.get("xmp"), MAX_METADATA_BYTES)
        self.metadata = Metadata(exif, xmp, loop, _iptc_rights(image))

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
            pixels = to_standard_range(pixels, *self.hdr) if self.hdr else pixels
            return finish(pixels, plan, self.header.profile, self.metadata.exif)

    def _loaded(self, plan: Plan) -> ImageFile.ImageFile:
        image = self._image
        if plan.minimum is not None and isinstance(image, JpegImageFile):
            small = decode_small(image, self.source, plan.minimum, self.header.size)
            if small is not None:
                return small
        image.load()
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
        if self.source.view.error is not None or not is_known or most == 0:
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
            self.source.view.tail = b"\xff\xd9"
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
            return cover(image)
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
                pixels = cover(image)
                if pixels is image:
                    pixels = image.copy()  # the next seek() paints over it
            pixels = to_standard_range(pixels, *self.hdr) if self.hdr else pixels
            pixels = finish(pixels, plan, self.header.profile, self.metadata.exif)
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
    source.seek(0)
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
                sound = _read_by(opener, source, limits, clock) if opener else None
                sound = sound or sound_png(source) or whole_webp(source)
                if sound is None:
                    source.view.tail = missing_of_webp(source, limits.max_missing)
            if opener is not None:
                limits = attrs.evolve(limits, allowed_formats=["PNG"], max_bytes=None)
            if sound is not None:
                source = stack.enter_context(open_source(io.BytesIO(sound), limits, clock))
            opened = PillowImage(open_pillow(source, limits), source, limits)
            if opener is not None:
                opened.header = attrs.evolve(opened.header, format=opener.format)
            yield self._adapt(opened)

    def _adapt(self, opened: PillowImage) -> OpenedImage:
        """Return what decodes an image whose header has been read; for subclasses."""
        return opened

    def read_header(self, file: Readable, limits: Limits) -> Header:
        """Return the header of *file* and leave the file as it was.

        Raises:
            GenerationError: As `open`.
        """
        with self.open(file, limits) as opened:
            return opened.header

    def decode(self, file: Readable, plan: Plan, limits: Limits) -> Image.Image:
        """Return the (first) image of *file* as *plan* asks.

        Raises:
            GenerationError: As `open`.
        """
        with self.open(file, limits) as opened:
            return opened.decode(plan)
