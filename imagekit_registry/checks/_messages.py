"""How a check says what is wrong, and how it tries what only Pillow knows."""

from __future__ import annotations

import base64
import difflib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import attrs
from django.core.checks import CheckMessage, Error, Warning

from imagekit_registry.exceptions import GenerationError, ImageKitError
from imagekit_registry.imaging import Limits, Recipe, render
from imagekit_registry.specs import format_options

T = TypeVar("T")

#: Options of `Image.save` that Pillow documents. It says nothing of one that it does not know.
_OPTIONS = frozenset(
    """
    advanced alpha_premultiplied alpha_quality append_images artist autotiling background
    big_tiff bits blend cinema_mode codec codeblock_size colors comment compress_level
    compress_type compression copyright date_time default_image description dictionary disposal
    dpi duration exact exif icc_profile include_color_table interlace irreversible keep_rgb kmax
    kmin lossless loop max_threads mct method minimize_size no_jp2 num_resolutions offset
    optimize palette plt pnginfo precinct_size progression progressive qtables quality
    quality_layers quality_mode range resolution resolution_unit restart_marker_blocks
    restart_marker_rows rle save_all signed smooth software speed streamtype strip_size
    subsampling tile_cols tile_offset tile_rows tile_size tiffinfo transparency x_resolution xmp
    y_resolution
    """.split()  # noqa: SIM905 -- a word to a line takes eighty
)

#: A grey PNG of one pixel.
_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


def error(number: str, text: str, hint: str, obj: object = None) -> Error:
    """Return an error with the id ``imagekit.<number>``, whose text is a sentence with its end."""
    text = text.strip()
    end = "" if text.endswith(("?", ".")) else "."
    return Error(text + end, hint=hint, obj=obj, id=f"imagekit.{number}")


def nearest(word: object, words: Iterable[str], otherwise: str) -> str:
    """Return a hint with the words that are like *word*, or *otherwise*."""
    near = difflib.get_close_matches(str(word), list(words), n=3)
    return f"Did you mean {' or '.join(map(repr, near))}?" if near else otherwise


def slips(options: object) -> Iterator[tuple[str, str]]:
    """Yield the names of options of `Image.save` that look like slips of the pen, and what is meant."""
    for name in options if isinstance(options, Mapping) else ():
        if name in _OPTIONS:
            continue
        near = difflib.get_close_matches(str(name), _OPTIONS, n=1, cutoff=0.8)
        if near:
            yield str(name), near[0]


def unknown_option(where: str, slip: tuple[str, str], obj: object = None) -> Warning:
    """Return a warning of an option that has no effect.

    Args:
        where: What has it, for the message.
        slip: Its name, and what is meant.
        obj: What the message points to.
    """
    text = f"{where} the option {slip[0]!r}, which has no effect: Pillow does not know it."
    return Warning(text, hint=f"Did you mean {slip[1]!r}?", obj=obj, id="imagekit.W007")


def reason_of(problem: Exception) -> str:
    """Return what an exception says: our own ones speak for themselves."""
    own = isinstance(problem, ImageKitError)
    return str(problem) if own else f"{type(problem).__name__}: {problem}"


def attempt(load: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """Return what *load* gives, and what it raises instead: projects' own code runs in it."""
    try:
        return load(), None
    except Exception as problem:  # noqa: BLE001 -- see above
        return None, problem


def guarded(
    what: str, obj: object, check: Callable[[], Iterable[CheckMessage]]
) -> list[CheckMessage]:
    """Return what *check* finds; an exception that it raises is something found as well.

    Args:
        what: What is being checked, for the message.
        obj: The same, as an object.
        check: The check.
    """
    found: list[CheckMessage] = []
    _, problem = attempt(lambda: found.extend(check()))
    if problem is not None:
        hint = "Mend what raises this; an image would fail in the same way."
        found.append(
            error("E018", f"{what} could not be checked ({reason_of(problem)})", hint, obj)
        )
    return found


def refusal(recipe: Recipe, known: dict[str, str] | None = None) -> str:
    """Return why an image of one pixel cannot be written as *recipe* says; empty if it can.

    Args:
        recipe: The recipe; its processors are left out, for they are the project's code.
        known: What was returned for others: many specs write in the same way.

    Raises:
        UnknownFormat: Pillow cannot write the format at all.
    """
    plain = attrs.evolve(recipe, processors=(), autoconvert=True)
    answers = {} if known is None else known
    if (way := repr(plain)) not in answers:
        cause = ""
        try:
            render(io.BytesIO(_PIXEL), plain, limits=Limits(), format_options=format_options())
        except GenerationError as problem:
            cause = problem.cause
        answers[way] = cause
    return answers[way]
