"""How good images are to look, or how small to be: in words, as a number, or by trying."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from imagekit_registry.exceptions import InvalidArgument

__all__ = [
    "FULL_COLOUR",
    "HIGHEST",
    "QUALITIES",
    "Quality",
    "Target",
    "check_quality",
    "quality_options",
]

#: The qualities of the words: the least whose mean SSIMULACRA2 score is 60, 70, 78 and 90 (WebP, which
#: never has the colour of every pixel, ends at 85), over the photographs and with the save options of
#: ``python -m benchmarks.qualities``, which prints this.
QUALITIES: Mapping[str, Mapping[str, int]] = {
    "low": {"AVIF": 50, "JPEG": 55, "WEBP": 60},
    "medium": {"AVIF": 60, "JPEG": 75, "WEBP": 79},
    "high": {"AVIF": 72, "JPEG": 87, "WEBP": 88},
    "max": {"AVIF": 92, "JPEG": 94, "WEBP": 97},
}
#: What the last word has besides: without the colour of every pixel, no quality scores 90.
FULL_COLOUR: Mapping[str, Mapping[str, object]] = {
    "AVIF": {"subsampling": "4:4:4"},
    "JPEG": {"subsampling": "4:4:4"},
}
#: Formats whose quality is a number of these, and the highest that is worth its bytes.
HIGHEST: Mapping[str, int] = {"AVIF": 100, "JPEG": 95, "WEBP": 100}


@attrs.frozen
class Target:
    """What an image is to be: at most so many bytes, or at least so like what was encoded.

    The quality is searched for by writing the image several times, in memory and within the time that
    making it may take. The record says which was found, and of how many tries. If none is good
    enough, it is the nearest. It is for stills in AVIF, JPEG and WebP.

    Args:
        bytes: The most bytes; the best image within them is wanted.
        ssim: The least mean SSIM (Wang et al., 2004) of brightness, in windows of 8 x 8 pixels, above 0
            and below 1; the smallest image with it is wanted. 0.95 is good, 0.99 very good.
        tries: How often the image is written, at most.

    Raises:
        InvalidArgument: Neither or both are given, or one is out of its range.

    Example:
        >>> class Card(ImageSpec):
        ...     processors = [ResizeToFill(600, 400)]
        ...     format = "WEBP"
        ...     quality = Target(bytes=40_000)
    """

    bytes: int | None = None
    ssim: float | None = None
    tries: int = 4

    def __attrs_post_init__(self) -> None:
        """Check that the three make sense together."""
        if (self.bytes is None) == (self.ssim is None):
            raise InvalidArgument("Target takes either 'bytes' or 'ssim'")
        if self.bytes is not None and self.bytes < 1:
            raise InvalidArgument(f"Target: 'bytes' must be 1 or more, not {self.bytes!r}")
        if self.ssim is not None and not 0 < self.ssim < 1:
            raise InvalidArgument(f"Target: 'ssim' must be above 0 and below 1, not {self.ssim!r}")
        if not 1 <= self.tries <= 20:
            raise InvalidArgument(f"Target: 'tries' must be 1 to 20, not {self.tries!r}")


#: What specs have as their quality.
Quality = str | int | Target


def check_quality(value: object) -> None:
    """Check that *value* is a quality.

    Raises:
        InvalidArgument: It is none.
    """
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100
    if not (value is None or is_number or isinstance(value, Target) or _is_word(value)):
        words = ", ".join(map(repr, QUALITIES))
        raise InvalidArgument(
            f"quality must be one of {words}, 0 to 100 or a Target, not {value!r}"
        )


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value in QUALITIES


def quality_options(value: Quality | None, format: str) -> dict[str, object]:
    """Return Pillow's save options for a quality; none where it is searched for, or is no number."""
    number: object = QUALITIES[value].get(format) if isinstance(value, str) else value
    if format not in HIGHEST or not isinstance(number, int):
        return {}
    return {"quality": number, **(FULL_COLOUR.get(format, {}) if value == "max" else {})}
