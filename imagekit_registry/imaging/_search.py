"""The search for the quality in which an image is what a `Target` wants."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from PIL import Image, ImageMath

from ._encode import Encoded
from ._limits import Deadline
from .qualities import HIGHEST, Target

#: Where a search begins if no setting says so.
USUAL = 80
#: By how much the logarithm of bytes, or of what is lost, rises with the place of a quality: nearly a
#: straight line, if that is the logarithm of its odds (JPEG and WebP) or as many times itself (AVIF).
_SLOPE, _AVIF = 0.5, 0.07
#: How near to a goal a try is near enough, and by how much the next one aims beyond it.
_NEAR, _AIM = 0.05, 0.02
_MOST = 100
_WINDOW = 8
#: The constants of SSIM, for brightness of 0 to 255.
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def search(
    target: Target,
    original: Image.Image,
    encode: Callable[[int], Encoded],
    format: str,
    start: int,
    deadline: Deadline,
) -> Encoded:
    """Return the image that *target* wants, with ``quality`` and ``tries``.

    The next quality is where a line through the last two tries meets the goal (the secant method), between
    those that are known to be too low and too high.

    Args:
        target: What is wanted.
        original: What is encoded.
        encode: Writes it in a quality.
        format: Pillow's name of the format.
        start: The first quality to try.
        deadline: When the search must be over; what was found until then counts.
    """
    low, high = 1, HIGHEST[format]
    wants_more = target.bytes is not None
    quality, slope = min(max(start, low), high), _SLOPE
    before: tuple[float, float] | None = None
    tried: list[tuple[bool, int, Encoded]] = []
    while True:
        made = encode(quality)
        made.quality = quality
        excess = _excess(target, made, original)
        is_met = excess <= 0 if wants_more else excess >= 0
        tried.append((is_met, quality if is_met == wants_more else -quality, made))
        low, high = (low, quality - 1) if excess > 0 else (quality + 1, high)
        is_near = is_met and abs(excess) <= _NEAR
        if is_near or low > high or len(tried) >= target.tries or deadline.is_over:
            break
        here = _place_of(quality, format), excess
        if before is not None and here[0] != before[0]:
            slope = max((here[1] - before[1]) / (here[0] - before[0]), _SLOPE / 5)
        before = here
        aim = -_AIM if wants_more else _AIM
        wanted = _quality_at(here[0] - (excess - aim) / slope, format)
        quality = min(max(round(wanted), low), high)
    best = max(tried, key=lambda item: item[:2])[2]
    best.tries = len(tried)
    return best


def _excess(target: Target, made: Encoded, original: Image.Image) -> float:
    """Return by how much an image is beyond the goal: more with more quality, 0 at the goal."""
    if target.bytes is not None:
        return math.log(len(made.getbuffer()) / target.bytes)
    lost = max(1e-6, 1 - _ssim(original, made))
    return math.log((1 - (target.ssim or 0)) / lost)


def _place_of(quality: int, format: str) -> float:
    return quality * _AVIF if format == "AVIF" else math.log(quality / (_MOST + 1 - quality))


def _quality_at(place: float, format: str) -> float:
    return place / _AVIF if format == "AVIF" else (_MOST + 1) / (1 + math.exp(-place))


def _ssim(original: Image.Image, made: Encoded) -> float:
    """Return the mean SSIM of brightness, by windows that do not overlap."""
    made.seek(0)
    with Image.open(made) as file:
        x, y = (image.convert("L").convert("F") for image in (original, file))
    made.seek(0)

    def mean(image: Image.Image) -> Image.Image:
        return image.reduce(_WINDOW)

    def product(one: Image.Image, other: Image.Image) -> Image.Image:
        return _calculated(lambda args: args["a"] * args["b"], a=one, b=other)

    found = _calculated(
        lambda args: (
            (2 * args["mx"] * args["my"] + _C1)
            * (2 * (args["xy"] - args["mx"] * args["my"]) + _C2)
            / (
                (args["mx"] * args["mx"] + args["my"] * args["my"] + _C1)
                * (
                    args["xx"]
                    - args["mx"] * args["mx"]
                    + args["yy"]
                    - args["my"] * args["my"]
                    + _C2
                )
            )
        ),
        mx=mean(x),
        my=mean(y),
        xx=mean(product(x, x)),
        yy=mean(product(y, y)),
        xy=mean(product(x, y)),
    )
    average = found.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    return float(average)  # type: ignore[arg-type]


def _calculated(formula: Callable[[dict[str, Any]], Any], **images: Image.Image) -> Image.Image:
    result: Image.Image = ImageMath.lambda_eval(formula, **images)
    return result
