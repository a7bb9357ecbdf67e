"""sorl-thumbnail's geometry and options as a recipe."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from imagekit_registry.contrib.sorl import conf
from imagekit_registry.exceptions import InvalidArgument, answer_or
from imagekit_registry.html import parse_dimensions
from imagekit_registry.imaging import Recipe
from imagekit_registry.imaging.formats import (
    AUTO,
    WEB_FORMATS,
    extension_to_format,
    normalize_format,
)
from imagekit_registry.imaging.qualities import HIGHEST
from imagekit_registry.processors import (
    Crop,
    GaussianBlur,
    Grayscale,
    Processor,
    ResizeCanvas,
    ResizeToCover,
    ResizeToFill,
    ResizeToFit,
    RoundedCorners,
    SmartResize,
    TrimBorderColor,
)
from imagekit_registry.specs import ImageSpec

__all__ = [
    "IGNORED",
    "OPTIONS",
    "ORIGINAL_ID",
    "THUMBNAIL_ID",
    "Original",
    "Thumbnail",
    "parse_geometry",
    "scale_options",
]

THUMBNAIL_ID = "sorl:thumbnail"
ORIGINAL_ID = "sorl:original"

#: Options by name, each with the setting that gives its default; empty where that is None.
OPTIONS: Mapping[str, str] = {
    "blur": "THUMBNAIL_BLUR",
    "colorspace": "THUMBNAIL_COLORSPACE",
    "crop": "",
    "cropbox": "",
    "format": "",
    "orientation": "THUMBNAIL_ORIENTATION",
    "padding": "THUMBNAIL_PADDING",
    "padding_color": "THUMBNAIL_PADDING_COLOR",
    "progressive": "THUMBNAIL_PROGRESSIVE",
    "quality": "THUMBNAIL_QUALITY",
    "remove_border": "",
    "rounded": "",
    "upscale": "THUMBNAIL_UPSCALE",
}
#: Options that make no difference: what is transparent is always laid on something.
IGNORED = frozenset(["flatten", "image_info"])

_OFF = frozenset(["", "0", "false", "no", "off"])
_PIXELS = re.compile(r"(\d{1,5})px", re.ASCII)
_PERCENT = re.compile(r"(\d{1,5})%", re.ASCII)
_WITH_QUALITY = frozenset([AUTO, *HIGHEST])
_STILL = frozenset(["AVIF", "PNG", "WEBP"])
_LENGTHS = ("blur", "rounded")
_PLAIN = (str, float, int, tuple)


class Thumbnail(ImageSpec):
    """An image as sorl-thumbnail's tag asks for it.

    What its options leave out the settings say that have sorl-thumbnail's names.

    Args:
        source: An image field's file, any Django ``File``, or a name in the default storage.
        geometry: ``"300x200"``, ``"300"`` or ``"x200"``, in pixels.
        **options: Some of `OPTIONS`.

    Raises:
        InvalidArgument: One of them makes no sense.
    """

    def __init__(self, source: object = None, *, geometry: str, **options: object) -> None:
        super().__init__(source)
        given = {}
        for name, setting in OPTIONS.items():
            value = options.get(name)
            if value is None:
                value = conf.get(setting) if setting else ""
            given[name] = (
                tuple(value) if isinstance(value, list) else "" if value is None else value
            )
            if not isinstance(given[name], _PLAIN):
                raise InvalidArgument(f"The option {name!r} of a thumbnail cannot be {value!r}.")
        given["format"] = given["format"] or _default_format(self.source_name or "")
        try:
            made, self.options = _recipe_of(str(geometry), **given)
        except TypeError as error:  # a list within a list, say
            raise InvalidArgument(
                f"The options of a thumbnail make no sense ({error}): {given!r}. Write texts, numbers"
                " and flat lists."
            ) from error
        self.processors, self.format = made.processors, made.format
        self.animated, self.auto_orient = made.animated, made.auto_orient
        self.background = made.background


class Original(ImageSpec):
    """The source as it is shown, of which the size alone is asked."""


def _default_format(name: str) -> str:
    if conf.get("THUMBNAIL_PRESERVE_FORMAT"):
        format = answer_or("", extension_to_format, posixpath.splitext(name)[1])
        if format in WEB_FORMATS:
            return format
    return str(conf.get("THUMBNAIL_FORMAT"))


@lru_cache(maxsize=1024, typed=True)
def _recipe_of(geometry: str, **given: Any) -> tuple[Recipe, dict[str, object]]:
    """Return what the options of a thumbnail say, and save options that can be pickled.

    They are the very same for the same options, as what is known of files hangs on that.
    """
    width, height = parse_geometry(geometry)
    format = normalize_format(str(given["format"]))
    is_padded = _flag(given["padding"])
    processors: list[Processor] = []
    if given["cropbox"]:
        left, top, right, bottom = _cropbox(given["cropbox"])
        processors.append(Crop(right - left, bottom - top, x=left, y=top))
    if given["colorspace"] == "GRAY":
        processors.append(Grayscale())
    if _flag(given["remove_border"]):
        processors.append(TrimBorderColor())
    processors += _scaling(width, height, str(given["crop"] or ""), _flag(given["upscale"]))
    if rounded := _number("rounded", given["rounded"], int):
        processors.append(RoundedCorners(rounded))
    if blur := _number("blur", given["blur"], float):
        processors.append(GaussianBlur(blur))
    if is_padded and width and height:
        processors.append(ResizeCanvas(width, height, given["padding_color"]))
    options: dict[str, object] = {}
    if format in _WITH_QUALITY:
        options["quality"] = _number("quality", given["quality"], int)
    if format in {AUTO, "JPEG"}:
        options["progressive"] = _flag(given["progressive"])
    recipe = Recipe(
        processors=tuple(processors),
        format=format,
        auto_orient=_flag(given["orientation"]),
        animated=format not in _STILL,
        background=given["padding_color"] if is_padded else None,
    )
    return recipe, options


def parse_geometry(geometry: object) -> tuple[int | None, int | None]:
    """Return width and height, in pixels; None for a side that is left free.

    Args:
        geometry: ``"300x200"``, ``"300"`` or ``"x200"``.

    Raises:
        InvalidArgument: *geometry* is something else.

    Example:
        >>> parse_geometry("300")
        (300, None)
    """
    text = str(geometry)
    return parse_dimensions(f"{text}x" if text.strip().isdigit() else text)


def scale_options(options: Mapping[str, object], times: float) -> dict[str, object]:
    """Return *options* for an image that is so many times as large: lengths grow with it.

    Example:
        >>> scale_options({"crop": "10px 50%", "quality": 80}, 2)
        {'crop': '20px 50%', 'quality': 80}
    """
    scaled = dict(options)
    if "crop" in scaled:
        words = str(scaled["crop"]).split()
        pixels = [_PIXELS.fullmatch(word) for word in words]
        grown = [f"{int(int(px[1]) * times)}px" if px else "" for px in pixels]
        scaled["crop"] = " ".join(new or old for new, old in zip(grown, words, strict=True))
    for name in _LENGTHS:
        if length := _number(name, scaled.get(name), float):
            scaled[name] = round(length * times) if name == "rounded" else length * times
    return scaled


def _scaling(width: int | None, height: int | None, crop: str, upscale: bool) -> list[Processor]:
    """Return what scales and cuts, as ``crop`` has it."""
    if not width or not height or crop.lower() in {*_OFF, "noop", "none"}:
        return [ResizeToFit(width, height, upscale)]
    if crop == "smart":
        return [SmartResize(width, height, upscale)]
    places = crop.split()
    if len(places) == 1 and places[0][0].isdigit():
        places *= 2
    # Beyond the edge is the edge.
    places = [_PERCENT.sub(lambda found: f"{min(int(found[1]), 100)}%", each) for each in places]
    offsets = [_PIXELS.fullmatch(each) for each in places]
    try:
        if not any(offsets):
            return [ResizeToFill(width, height, " ".join(places), upscale)]
        (x, y), (across, down) = offsets, places
        return [
            ResizeToCover(width, height, upscale),
            Crop(width, x=int(x[1])) if x else Crop(width, anchor=f"{across} center"),
            Crop(None, height, y=int(y[1])) if y else Crop(None, height, anchor=f"center {down}"),
        ]
    except (InvalidArgument, ValueError) as error:
        raise InvalidArgument(
            f"The option 'crop' cannot be {crop[:50]!r}. Write words such as 'center' or 'left top',"
            " percentages or pixels such as '20% 80%' or '10px 20px', 'smart' or 'noop'."
        ) from error


def _flag(value: object) -> bool:
    return value.strip().lower() not in _OFF if isinstance(value, str) else bool(value)


def _number(name: str, value: Any, kind: type[int] | type[float]) -> Any:
    try:
        return kind(value or 0)
    except (TypeError, ValueError):
        raise InvalidArgument(f"The option {name!r} must be a number, not {value!r}.") from None


def _cropbox(value: Any) -> tuple[int, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    none: tuple[int, ...] = ()
    box = answer_or(none, lambda: tuple(int(part) for part in parts))
    if len(box) != 4 or box[0] >= box[2] or box[1] >= box[3]:
        raise InvalidArgument(
            f"The option 'cropbox' cannot be {value!r}. Write left, top, right and bottom in pixels,"
            " such as '10,10,200,200'."
        )
    return box
