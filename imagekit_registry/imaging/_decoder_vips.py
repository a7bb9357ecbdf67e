"""The other decoder: libvips, which scales much faster and for every format."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from PIL import Image

from imagekit_registry.exceptions import InvalidConfiguration, how_to_install

from ._decoder_pillow import PillowDecoder, PillowImage
from ._metadata import finish
from ._plan import Frame, OpenedImage, Plan
from ._scaling import RENDITION_SAFETY, SAFETY, Size
from ._source import BufferedSource, Limits, translated

if TYPE_CHECKING:
    import pyvips

T = TypeVar("T")

logger = logging.getLogger("imagekit_registry.imaging")

#: Formats and modes that libvips gives as Pillow does; everything else goes to Pillow.
_FORMATS = frozenset(["GIF", "JPEG", "PNG", "TIFF", "WEBP"])
_MODES = frozenset(["L", "LA", "P", "RGB", "RGBA"])
_MODE_OF_BANDS = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
JPEG_SCALES = (8, 4, 2)
#: Pixels that may be made, and thrown away, so that those before them are in their places.
MOST_SPARE = 20


class _Unknown(Exception):
    """What libvips makes of the source is nothing that Pillow has a mode for."""


class _VipsImage:
    """An image whose header Pillow has read, and whose pixels libvips reads if it can."""

    def __init__(self, vips: ModuleType, opened: PillowImage) -> None:
        self._vips = vips
        self._opened = opened
        self._source = opened.source
        #: What was loaded for several results, and what was made of that, with their extents.
        self._shared: list[tuple[pyvips.Image, tuple[float, float]]] = []
        self.header = opened.header
        self.metadata = opened.metadata

    def rescales(self, base: Plan, several: bool) -> bool:
        header = self.header
        known = header.format in _FORMATS and header.mode in _MODES and header.frames == 1
        # Libvips knows neither these colours, nor the transparent one of 16 bits a band.
        if not known or base.exact is None or self._opened.hdr or self._opened.is_deep:
            return False
        if several:
            loaded = self._tried(lambda: self._load(base.exact, shared=True))
            self._shared = [loaded] if loaded is not None else []
        return not several or bool(self._shared)

    def decode(self, plan: Plan) -> Image.Image:
        pixels = None
        size = plan.exact
        if size is not None and self.rescales(plan, several=False):
            pixels = self._tried(lambda: self._scaled(size))
        if pixels is None:
            return self._opened.decode(plan)
        return finish(pixels, plan, self)

    def frames(self, plan: Plan) -> Iterator[Frame]:
        return self._opened.frames(plan)

    def _tried(self, read: Callable[[], T]) -> T | None:
        """Return what *read* gives, or None if libvips cannot do it."""
        with translated(self._source):
            try:
                return read()
            except (self._vips.Error, _Unknown) as error:
                # Pillow may read it, or says in its own words why it cannot be read.
                logger.debug("libvips cannot read this %s: %s", self.header.format, error)
                return None

    def _scaled(self, size: Size) -> Image.Image:
        if not self._shared:
            return _to_pillow(_resize(*self._load(size), size))
        close = (each for each in reversed(self._shared[1:]) if _is_close(each[1], size))
        image, extent = next(close, self._shared[0])
        scaled = _resize(image, extent, size).copy_memory()
        self._shared.append((scaled, size))
        return _to_pillow(scaled)

    def _load(
        self, needed: Size | None, *, shared: bool = False
    ) -> tuple[pyvips.Image, tuple[float, float]]:
        """Return the source, no smaller than quality allows, and how much of it is the picture."""
        width, height = self.header.size
        access = "random" if shared else "sequential"
        options: dict[str, object] = {"access": access, "fail_on": "truncated"}
        most = 1.0
        if needed is not None:
            most = max(1.0, min(width / needed[0], height / needed[1]) / SAFETY)
        extent: tuple[float, float] | None = None
        if self.header.format == "JPEG":
            shrink = next((scale for scale in JPEG_SCALES if scale <= most), 1)
            if self._opened.is_quick(shrink):
                raise _Unknown("a progressive JPEG, of which Pillow reads less")
            options["shrink"] = shrink
            self._opened.limits.check_pixels((width // shrink, height // shrink))
            extent = width / shrink, height / shrink
        elif self.header.format == "WEBP":
            options["scale"] = 1 / int(most)
        self._source.seek(0)
        load = getattr(self._vips.Image, f"{self.header.format.lower()}load_buffer")
        image = load(self._source.read(), **options)
        if image.format != "uchar" or image.bands not in _MODE_OF_BANDS:
            raise _Unknown(f"{image.bands} bands of {image.format}")
        if self.header.format == "TIFF" and image.get("orientation") != 1:
            # Pillow turns it while it decodes, so that the header says that it is upright.
            raise _Unknown("a TIFF that is to be turned")
        extent = extent or (image.width, image.height)
        return image.copy_memory() if shared else image, extent


def _is_close(extent: tuple[float, float], size: Size) -> bool:
    """Return whether an image of the whole source is large enough to be scaled to *size*."""
    return all(RENDITION_SAFETY * b <= a for a, b in zip(extent, size, strict=True))


def _resize(image: pyvips.Image, extent: tuple[float, float], size: Size) -> pyvips.Image:
    """Return *image* at *size*, by averaging as far as quality allows and then by LANCZOS."""
    alpha = image.hasalpha()
    if alpha:
        image = image.premultiply().cast("uchar")  # floats would take four times as long to scale
    across, along = _aligned(extent[0], size[0]), _aligned(extent[1], size[1])
    if (image.width, image.height) != (across[0], along[0]):
        image = image.embed(0, 0, across[0], along[0], extend="copy")
    image = image.resize(
        across[1] / across[0], vscale=along[1] / along[0], kernel="lanczos3", gap=SAFETY
    )
    if (image.width, image.height) != size:
        image = image.crop(0, 0, *size)
    return image.unpremultiply().cast("uchar") if alpha else image


def _aligned(extent: float, size: int) -> tuple[int, int]:
    """Return how many pixels to read, and to write, so that the first *size* are in their places.

    A shrunken JPEG of 451 pixels has 112.75, of which libvips gives 112. It would move what it
    makes of those by a part of a pixel, to spread what is missing over both ends. So pixels are
    added behind the picture's edge, as many as make a whole number at both scales, or nearly.
    """
    step = extent / size

    def out_of_place(count: int) -> float:
        return round(abs(count * step - round(count * step)), 2)

    written = min(range(size, size + MOST_SPARE), key=out_of_place)
    return round(written * step), written


def _to_pillow(image: pyvips.Image) -> Image.Image:
    mode = _MODE_OF_BANDS[image.bands]
    return Image.frombytes(mode, (image.width, image.height), image.write_to_memory())


class VipsDecoder(PillowDecoder):
    """Decodes with libvips where a source may be decoded small; Pillow does the rest.

    Headers are read, and limits checked, by Pillow: both decoders refuse the same files.

    Raises:
        InvalidConfiguration: pyvips, or the library that it needs, is not installed.
    """

    name = "vips"

    def __init__(self) -> None:
        try:
            import pyvips
        except (ImportError, OSError) as error:  # the package, or the library that it loads
            raise InvalidConfiguration(
                f"The decoder 'vips' cannot be used ({error})."
                f" Install it by: {how_to_install('vips')}"
            ) from error
        self._vips = pyvips

    def _open(self, source: BufferedSource, limits: Limits, called: str) -> OpenedImage:
        return _VipsImage(self._vips, PillowImage(source, limits, called))
