"""The attributes of a spec, as fields take them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar, get_type_hints

from django.core.files.storage import Storage

from imagekit_registry.exceptions import InvalidArgumentType
from imagekit_registry.imaging import Limits
from imagekit_registry.imaging.qualities import Quality
from imagekit_registry.processors import Processor
from imagekit_registry.specs._picture import Picture

_Function = TypeVar("_Function", bound=Callable[..., None])


class FieldAttributes(TypedDict, total=False):
    """The attributes of a spec that every field takes, by name alone; see `SpecAttributes`."""

    auto_orient: bool | None
    color: Literal["srgb", "keep"] | None
    metadata: Literal["strip", "copyright", "rights", "keep"] | None
    animated: bool | None
    background: str | Sequence[int] | None
    limits: Limits | None
    decode_small: bool | None
    quality: Quality | None
    never_larger: bool | None
    skip_if: Literal["fits"] | None


class FileAttributes(FieldAttributes, total=False):
    """The attributes of a spec that fields of cache files take besides, by name alone."""

    fallback: object
    pending: str | None
    picture: Picture | None
    placeholder: object
    storage_headers: Mapping[str, str] | None
    url_provider: object


class SpecAttributes(FileAttributes, total=False):
    """The attributes of a spec, as a field takes them in place of a spec; None is the default.

    Args:
        processors: What is done to the image, in this order.
        format: Pillow's name of the format to write; by default the source's own; ``"auto"``: PNG
            if any part of the result is transparent, else JPEG.
        options: Options of Pillow's ``Image.save`` for the format, such as ``{"quality": 80}``.
        autoconvert: Whether the mode is converted to one that the format holds.
        auto_orient: Whether the EXIF orientation is applied before the processors.
        color: ``"srgb"`` converts embedded colour profiles, ``"keep"`` leaves them.
        metadata: What is kept of it: ``"strip"`` (nothing), ``"copyright"``, ``"rights"`` (that
            and the kind of source, in XMP too) or ``"keep"``.
        animated: Whether an animation stays one where the format can hold it.
        background: The colour under transparent parts where the format has no transparency; white
            by default.
        limits: Limits for this spec alone; by default those of the settings.
        decode_small: Whether the source may be decoded at a fraction of its size.
        quality: ``"low"``, ``"medium"``, ``"high"``, ``"max"``, 0 to 100, or a `Target`.
        never_larger: Whether a source that is smaller than the image, and shows the same, is taken.
        skip_if: ``"fits"``: a source that shows the same as the image is taken in any case.
        namer: What names the cache file: a callable or a dotted path.
        placeholder: What pages show until the image has loaded, such as ``"lqip"``.
        fallback: What stands in while there is no image, as ``IMAGEKIT_ON_ERROR`` has it.
        pending: What a page shows meanwhile, if others make the image: ``"source"``,
            ``"placeholder"``, ``"demand"`` or ``"wait:250ms"``.
        storage_headers: What an object storage sends with the file, by S3's names.
        url_provider: What gives the file's URL when it exists.
        cachefile_storage: Where the file lies: a storage, an alias, a dotted path.
        cachefile_backend: What makes the file, and knows its state.
        cachefile_strategy: What decides when it is made.
        picture: How ``{% picture %}`` offers the image.
    """

    processors: Sequence[Processor] | None
    format: str | None
    options: Mapping[str, object] | None
    autoconvert: bool | None
    namer: Callable[[Any], str] | str | None
    cachefile_storage: Storage | str | Callable[[], Storage] | None
    cachefile_backend: object
    cachefile_strategy: object


def check_attributes(attributes: Mapping[str, object]) -> None:
    """Check that a spec has attributes of these names.

    Raises:
        InvalidArgumentType: It has not.
    """
    known = SpecAttributes.__annotations__
    for name in attributes:
        if name not in known:
            raise InvalidArgumentType(
                f"An image spec has no attribute {name!r}. It has {', '.join(sorted(known))}."
            )


def split_attributes(arguments: Mapping[str, object]) -> tuple[FieldAttributes, dict[str, Any]]:
    """Return those of *arguments* that are for a field's spec, and those that are for Django."""
    names = FieldAttributes.__annotations__
    ours: Any = {name: value for name, value in arguments.items() if name in names}
    return ours, {name: value for name, value in arguments.items() if name not in names}


def show_attributes(attributes: type) -> Callable[[_Function], _Function]:
    """Let ``inspect.signature`` show the names in a typed dictionary before ``**attributes``."""

    def decorate(function: _Function) -> _Function:
        signature = inspect.signature(function)
        *named, others = signature.parameters.values()
        shown = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in get_type_hints(attributes).items()
        ]
        shown_signature = signature.replace(parameters=[*named, *shown, others])
        function.__signature__ = shown_signature  # type: ignore[attr-defined]
        return function

    return decorate
