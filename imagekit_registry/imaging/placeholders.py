"""Placeholders: what a page shows in the place of an image until that has loaded."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b
from importlib import import_module
from typing import Any

import attrs
from PIL import Image

from imagekit_registry.exceptions import InvalidConfiguration, ProcessingError, how_to_install

from ._colour import to_eight_bit, without_palette

__all__ = ["KINDS", "NO_PLACEHOLDER", "Maker", "Placeholder", "get_maker", "make_placeholder"]

#: Makes a placeholder of the finished image, which it is given in RGB and at most `SIDE` pixels.
Maker = Callable[[Image.Image], str]

#: Longest text of all placeholders of an image, in characters.
MAX_LENGTH = 600
#: Longest sides, in pixels, of what makers are given, and of an LQIP.
SIDE, LQIP_SIDES = 32, (16, 8)
#: How many pixels are hashed in Python: with more it takes longer, with fewer the hash is that of another image.
THUMBHASH_PIXELS = 64
#: Longest LQIP, in characters: one that would be longer is made with fewer pixels.
MAX_LQIP = 320
#: How many pixels there are to each side of one that makers see: enough for its average colour, and
#: the same time for an image of any size.
OVERSAMPLING = 6
LQIP_OPTIONS = {"quality": 50, "method": 0}
#: What a project's own may be: a data URI, or what CSS has as a background. It stands in attributes
#: and in style sheets as it is.
_SAFE = re.compile(r"data:[^<>{}\\\"'\s()]+|[^<>{}\\\"';\x00-\x1f\x7f]+")


def _lqip(image: Image.Image) -> str:
    text = ""
    for side in LQIP_SIDES:
        tiny = image.copy()
        tiny.thumbnail((side, side), Image.Resampling.BOX)
        file = io.BytesIO()
        tiny.save(file, "WEBP", **LQIP_OPTIONS)
        text = base64.b64encode(file.getvalue()).decode()
        if len(text) <= MAX_LQIP:
            break
    return text


def _color(image: Image.Image) -> str:
    # Of transparent pixels the colours do not count, and what is opaque is no part of the text.
    dot = image.resize((1, 1), Image.Resampling.BOX)
    return f"#{dot.tobytes().hex()}"


def _css(image: Image.Image) -> str:
    columns, rows = (3, 2) if image.width >= image.height else (2, 3)
    cells = image.resize((columns, rows), Image.Resampling.BOX)
    return f"{columns}{cells.tobytes().hex()}"


def _gradients(text: str) -> str:
    """Return the CSS background of the colours that `_css` has written down."""
    columns = {"2": 2, "3": 3}[text[0]]
    rows = 6 // columns
    colors = [text[at : at + 6] for at in range(1, 37, 6)]
    size = f"{round(150 / columns)}% {round(150 / rows)}%"
    spots = [
        f"radial-gradient({size} at {round((at % columns + 0.5) * 100 / columns)}%"
        f" {round((at // columns + 0.5) * 100 / rows)}%,#{color},#{color}00)"
        for at, color in enumerate(colors)
    ]
    bands = [bytes.fromhex(color) for color in colors]
    ground = bytes(sum(band) // len(bands) for band in zip(*bands, strict=True))
    return ",".join([*spots, f"#{ground.hex()}"])


def _needed(kind: str, module: str, name: str) -> Callable[..., Any]:
    try:
        found: Callable[..., Any] = getattr(import_module(module), name)
        return found
    except (AttributeError, ImportError) as error:
        raise InvalidConfiguration(
            f"The placeholder {kind!r} cannot be made ({error})."
            f" Install what it needs by: {how_to_install(kind)}"
        ) from error


def _load_thumbhash() -> Maker:
    encode = _needed("thumbhash", "thumbhash", "rgba_to_thumb_hash")

    def make(image: Image.Image) -> str:
        scale = min(1, math.sqrt(THUMBHASH_PIXELS / (image.width * image.height)))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        small = image.convert("RGBA").resize(size, Image.Resampling.BOX)
        pixels = list(small.tobytes())
        digits = encode(small.width, small.height, pixels)
        return base64.b64encode(bytes(digits)).decode()

    return make


def _load_blurhash() -> Maker:
    encode = _needed("blurhash", "blurhash_rs", "blurhash_encode")
    return lambda image: str(encode(image, 4, 3))


_LOADERS: Mapping[str, Callable[[], Maker]] = {
    "blurhash": _load_blurhash,
    "color": lambda: _color,
    "css": lambda: _css,
    "lqip": lambda: _lqip,
    "thumbhash": _load_thumbhash,
}
#: The kinds that we know, beside those of the project.
KINDS = frozenset(_LOADERS)
#: Those that CSS does not show by themselves: hashes are for scripts and apps.
_UNSEEN = frozenset(["blurhash", "color", "thumbhash"])


def get_maker(kind: str) -> Maker:
    """Return what makes placeholders of one of `KINDS`.

    Raises:
        InvalidConfiguration: There is no such kind, or what it needs is not installed.

    Example:
        >>> get_maker("color")(Image.new("RGB", (40, 30), "teal"))
        '#008080'
    """
    if kind not in KINDS:
        raise InvalidConfiguration(
            f"There is no placeholder {kind!r}; there are: {', '.join(sorted(KINDS))}."
            " Others are registered by register.placeholder(name, function)."
        )
    return _LOADERS[kind]()


def make_placeholder(image: Image.Image, makers: Mapping[str, Maker]) -> str:
    """Return the placeholders of a finished image, as a text for its record.

    A transparent image has none but its colour: others would show through it when it has loaded.

    Args:
        image: The image, in any mode.
        makers: What is made, by kind.

    Raises:
        ProcessingError: What a maker gives is nothing for a page, or too long.

    Example:
        >>> make_placeholder(Image.new("RGB", (40, 30), "teal"), {"color": get_maker("color")})
        '{"color":"#008080"}'
    """
    if not makers:
        return ""
    small = _reduced(image)
    is_opaque = small.mode == "RGB"
    made = {kind: maker(small) if is_opaque else "" for kind, maker in makers.items()}
    if not is_opaque and "color" in made:
        made["color"] = _color(small)
    for kind, text in made.items():
        # An empty one says that this image has none.
        is_text = isinstance(text, str)
        if not is_text or (text and kind not in KINDS and not _SAFE.fullmatch(text)):
            raise ProcessingError(
                f"the placeholder {kind!r} is {text!r:.80}",
                hint="Let its function return a data URI, or a value of the CSS property background"
                " without quotes, braces and semicolons.",
            )
    text = json.dumps(made, separators=(",", ":"))
    if len(text) > MAX_LENGTH:
        raise ProcessingError(
            f"its placeholders are {len(text)} characters, more than {MAX_LENGTH}",
            hint="Make fewer kinds, or a smaller one.",
        )
    return text


def _reduced(image: Image.Image) -> Image.Image:
    """Return *image* small, in RGB; in RGBA if any of it is transparent."""
    largest = SIDE * OVERSAMPLING
    scale = largest / max(image.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.size)
        info, image = image.info, image.resize((width, height), Image.Resampling.NEAREST)
        image.info = info
    plain = without_palette(to_eight_bit(image))
    if plain.mode in ("LA", "RGBA") and plain.getchannel("A").getextrema()[0] != 255:
        plain = plain.convert("RGBA")
    elif plain.mode != "RGB":
        plain = plain.convert("RGB")
    scale = min(1, SIDE / max(plain.size))
    width, height = (max(1, round(side * scale)) for side in plain.size)
    return plain.resize((width, height), Image.Resampling.BOX)


@attrs.frozen
class Placeholder:
    """The placeholders of an image; false if it has none.

    Args:
        css: CSS declarations for the ``<img>`` element, of the first kind that can be seen.
        data_uri: A tiny image, of the kind ``"lqip"``.
        color: The average colour as ``#rrggbb``; of a transparent image with its mean opacity.
        thumbhash: In base64.
        blurhash: In its own alphabet, of 4 x 3 components at most.
        values: What was made, by kind, as the record has it; that of a project's own kind for one.

    Example:
        >>> Placeholder.decode('{"color":"#008080"}').css
        'background:#008080'
    """

    css: str = ""
    data_uri: str = ""
    color: str = ""
    thumbhash: str = ""
    blurhash: str = ""
    values: Mapping[str, str] = attrs.field(factory=dict)

    def __bool__(self) -> bool:
        """Return whether there is anything to show or to tell."""
        return any(self.values.values())

    @classmethod
    def decode(cls, text: str) -> Placeholder:
        """Return what `make_placeholder` has written down; none for what is anything else."""
        return _decode(text) if text else NO_PLACEHOLDER

    @property
    def class_name(self) -> str:
        """A name for a class of these declarations: the same for the same ones; empty for none."""
        css = self.css
        return css and f"imagekit-{blake2b(css.encode(), digest_size=6).hexdigest()}"

    @property
    def rule(self) -> str:
        """A CSS rule that gives the declarations to that class; empty for none."""
        return self.css and f".{self.class_name}{{{self.css}}}"

    def as_dict(self) -> dict[str, str]:
        """Return what an API tells: all that there is, by its name here, or that of its kind."""
        own = {kind: value for kind, value in self.values.items() if kind not in KINDS}
        known = attrs.asdict(self, filter=lambda field, value: field.name != "values" and value)
        return known | {kind: value for kind, value in own.items() if value}


NO_PLACEHOLDER = Placeholder()


@lru_cache(maxsize=4096)
def _decode(text: str) -> Placeholder:
    try:
        values: dict[str, str] = {kind: str(value) for kind, value in json.loads(text).items()}
        color, lqip = values.get("color", ""), values.get("lqip", "")
        uri = lqip and f"data:image/webp;base64,{lqip}"
        own = values.get("css", "")
        layers = {**values, "lqip": uri, "css": own and _gradients(own)}
        css = _declarations(color, [layers[kind] for kind in values if kind not in _UNSEEN])
    except (AttributeError, LookupError, ValueError):
        # Another version has written it, or something else.
        return NO_PLACEHOLDER
    hashes = values.get("thumbhash", ""), values.get("blurhash", "")
    return Placeholder(css, uri, color, *hashes, values)


def _declarations(color: str, layers: list[str]) -> str:
    """Return the first of *layers*, on *color*, as CSS declarations."""
    if len(color) > len("#rrggbb"):
        # It would be seen through the image.
        return ""
    layer = next(filter(None, layers), "")
    if not layer:
        return color and f"background:{color}"
    shown = f"center/cover url({layer})" if layer.startswith("data:") else layer
    return f"background:{shown}" + (color and f";background-color:{color}")
