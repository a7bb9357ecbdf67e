"""What the settings say of how images are made: limits, save options, decoder and resizer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from django.core.signals import setting_changed
from django.dispatch import receiver

from imagekit_registry import imaging
from imagekit_registry._loading import get_singleton
from imagekit_registry._openers import opener_registry
from imagekit_registry.conf import FORMAT_OPTIONS, LARGE_FORMAT_OPTIONS, conf
from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.imaging.formats import SMALLEST, normalize_format
from imagekit_registry.registry import placeholder_registry

if TYPE_CHECKING:
    from imagekit_registry.imaging import Decoder, Limits
    from imagekit_registry.imaging.placeholders import Maker
    from imagekit_registry.processors.resampling import Resizer

opener_registry.runs_apart = lambda: conf.OPENER_PROCESS

#: What records call the placeholder of a function that has no name.
OWN_PLACEHOLDER = "own"


def default_limits() -> Limits:
    """Return the limits that the settings give; what openers read is allowed."""
    return _limits(opener_registry.formats())


@cache
def _limits(opened: frozenset[str]) -> Limits:
    return imaging.Limits(
        max_bytes=conf.MAX_BYTES,
        max_pixels=conf.MAX_PIXELS,
        max_frames=conf.MAX_FRAMES,
        max_seconds=conf.MAX_SECONDS,
        max_output_pixels=conf.MAX_OUTPUT_PIXELS,
        max_missing=conf.MAX_MISSING,
        allowed_formats=opened.union(conf.ALLOWED_FORMATS),
    )


@cache
def format_options(is_large: bool = False) -> Mapping[str, Mapping[str, Any]]:
    """Return Pillow's save options per format: the built-in ones with the project's over them.

    Args:
        is_large: Whether they are those that lie over the others for very large results.
    """
    options = dict(LARGE_FORMAT_OPTIONS if is_large else FORMAT_OPTIONS)
    for name, changed in conf.FORMAT_OPTIONS.items():
        options[name.upper()] = {**options.get(name.upper(), {}), **changed}
    return options


def smallest_formats(format: str | None) -> tuple[str, ...]:
    """Return the formats of which the smallest is written; none unless *format* says so."""
    is_smallest = format is not None and normalize_format(format) == SMALLEST
    return tuple(conf.SMALLEST) if is_smallest else ()


@receiver(setting_changed, dispatch_uid="imagekit_registry.specs")
def _forget_on_change(*, setting: str, **_: object) -> None:
    """Drop what was built from settings, so that ``override_settings`` works."""
    if setting.startswith("IMAGEKIT_"):
        _limits.cache_clear()
        format_options.cache_clear()


def load_decoder(name: str) -> Decoder:
    """Return the decoder that a setting names.

    Args:
        name: ``'pillow'``, ``'vips'``, or the dotted path of a class of one.

    Raises:
        InvalidConfiguration: There is no such decoder, or what it needs is not installed.
    """
    if "." not in name:
        return imaging.get_decoder(name)
    decoder: Any = get_singleton(name, "decoder")
    if not callable(getattr(decoder, "open", None)):
        raise InvalidConfiguration(
            f"{name!r} is no decoder: it needs open(file, limits, deadline), which gives an image"
            " whose header has been read."
        )
    loaded: Decoder = decoder
    return loaded


def load_resizer(name: str) -> Resizer:
    """Return the resizer that a setting names.

    Args:
        name: ``'auto'``, ``'pillow'``, ``'simd'``, or the dotted path of a class of one.

    Raises:
        InvalidConfiguration: There is no such resizer, or what it needs is not installed.
    """
    if "." not in name:
        return imaging.get_resizer(name)
    resizer: Any = get_singleton(name, "resizer")
    if not callable(getattr(resizer, "resize", None)):
        raise InvalidConfiguration(f"{name!r} is no resizer: it needs resize(image, size, box).")
    loaded: Resizer = resizer
    return loaded


def load_placeholders(value: object) -> dict[str, Maker]:
    """Return what makes the placeholders that a spec asks for, by kind.

    Args:
        value: None, a kind, a function of the image, or several of these.

    Raises:
        InvalidConfiguration: There is no such kind, or what it needs is not installed.
    """
    makers: dict[str, Maker] = {}
    is_several = isinstance(value, Iterable) and not isinstance(value, str)
    for each in value if is_several else (value,):  # type: ignore[attr-defined]
        if isinstance(each, str):
            own = placeholder_registry.get(each)
            if own is not None and each in imaging.placeholders.KINDS:
                raise InvalidConfiguration(
                    f"The placeholder {each!r} that is registered has the name of one of ours:"
                    " register it under another one."
                )
            makers[each] = own or imaging.placeholders.get_maker(each)
        elif callable(each):
            makers[OWN_PLACEHOLDER] = each
        elif each is not None:
            raise InvalidConfiguration(f"{each!r} is neither a kind of placeholder nor a function")
    return makers
