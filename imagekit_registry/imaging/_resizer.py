"""The other resizer: LANCZOS in the vector instructions of the processor."""

from __future__ import annotations

import math
from collections.abc import Callable

from PIL import Image

from imagekit_registry.exceptions import InvalidConfiguration, how_to_install
from imagekit_registry.processors.resampling import Part, PillowResizer, Resizer

from ._decoder import Size

#: Modes that it scales as Pillow does; all others go to Pillow.
_MODES = frozenset(["CMYK", "L", "RGB", "RGBA"])
#: How many pixels of the smaller of source and result LANCZOS looks at to either side, and one more.
_SUPPORT = 4


class SimdResizer:
    """cykooz-resizer, for 8 bits of grey, RGB, RGBA and CMYK; Pillow for everything else.

    Raises:
        InvalidConfiguration: It is not installed.
    """

    name = "simd"

    def __init__(self) -> None:
        try:
            import cykooz_resizer
        except ImportError as error:
            raise InvalidConfiguration(
                f"The resizer 'simd' cannot be used ({error})."
                f" Install it by: {how_to_install('simd')}"
            ) from error
        self._library = cykooz_resizer
        self._lanczos = cykooz_resizer.ResizeAlg.convolution(cykooz_resizer.FilterType.lanczos3)
        self._pillow = PillowResizer()

    def resize(self, image: Image.Image, size: Size, box: Part) -> Image.Image:
        """Return *box* of *image* in *size* pixels."""
        left, top, right, bottom = box
        # Of what gets wider and lower, the state in between is larger than both ends. Without the
        # memory for it Pillow raises an error; here the process would end.
        is_large = size[0] > right - left and size[1] < bottom - top
        if image.mode not in _MODES or is_large:
            return self._pillow.resize(image, size, box)
        # Across first, as Pillow does: what is cut off at black and white in between shows on sharp
        # lines (41 dB from Pillow's on a chart the other way round, 67 like this).
        reach = _SUPPORT * max(1.0, (bottom - top) / size[1])
        first, last = max(0, math.floor(top - reach)), min(image.height, math.ceil(bottom + reach))
        between = Image.new("RGBa" if image.mode == "RGBA" else image.mode, (size[0], last - first))
        self._scale(image, between, (left, first, right, last))
        resized = Image.new(image.mode, size)
        self._scale(between, resized, (0, top - first, size[0], bottom - first))
        resized.info = dict(image.info)
        return resized

    def _scale(self, image: Image.Image, result: Image.Image, box: Part) -> None:
        left, top, right, bottom = box
        part = self._library.CropBox(left, top, right - left, bottom - top)
        options = self._library.ResizeOptions(self._lanczos, crop_box=part)
        # One that is shared keeps its memory, and serves one thread.
        self._library.Resizer().resize_pil(image, result, options)


def _fastest() -> Resizer:
    try:
        return SimdResizer()
    except InvalidConfiguration:
        return PillowResizer()


_MAKERS: dict[str, Callable[[], Resizer]] = {
    "auto": _fastest,
    "pillow": PillowResizer,
    "simd": SimdResizer,
}


def get_resizer(name: str) -> Resizer:
    """Return the resizer called *name*.

    Args:
        name: ``'pillow'``, ``'simd'``, or ``'auto'`` for the second if it is installed.

    Raises:
        InvalidConfiguration: There is no such resizer, or what it needs is not installed.

    Example:
        >>> get_resizer("pillow").name
        'pillow'
    """
    if name not in _MAKERS:
        known = ", ".join(sorted(_MAKERS))
        raise InvalidConfiguration(f"there is no resizer {name!r}; there are: {known}")
    return _MAKERS[name]()
