"""What may be wrong with registered specs, and with the source groups that feed them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
from django.core.checks import CheckMessage

from imagekit_registry._loading import get_by_qname
from imagekit_registry.cachefiles.backends import load_backend
from imagekit_registry.cachefiles.fallbacks import KINDS
from imagekit_registry.cachefiles.strategies import load_strategy
from imagekit_registry.checks._messages import error, guarded, nearest
from imagekit_registry.checks._settings import check_storage
from imagekit_registry.checks._trial import trial
from imagekit_registry.exceptions import ImageKitError, NotCanonical, UnknownFormat
from imagekit_registry.imaging import Limits, Recipe
from imagekit_registry.registry import generator_registry, source_group_registry
from imagekit_registry.specs import ImageSpec, canonical_text

__all__ = ["check_source_groups", "check_specs"]

_Messages = Iterator[CheckMessage]


def check_specs() -> list[CheckMessage]:
    """Return what is wrong with the specs that are registered as classes.

    A spec is made without a source. One that needs more than that to be made is passed over, as
    are generators that are no specs.
    """
    found: list[CheckMessage] = []
    for id in generator_registry.get_ids():
        cls = generator_registry.lookup(id)
        if isinstance(cls, type) and issubclass(cls, ImageSpec):
            found += guarded(f"The spec {id!r}", cls, _check_spec, id, cls)
    return found


def check_source_groups() -> list[CheckMessage]:
    """Return an error for each id that is fed with sources, and has no generator."""
    known = generator_registry.get_ids()
    return [
        error(
            "E017",
            f"{group!r} feeds the spec {id!r}, which is not registered",
            nearest(id, known, f"Register a spec under {id!r}, or unregister the source group."),
            group,
        )
        for group, id in source_group_registry.pairs()
        if id not in known
    ]


def _check_spec(id: str, cls: type[ImageSpec]) -> _Messages:
    try:
        spec = generator_registry.get(id, source=None)
    except Exception:  # noqa: BLE001 -- it needs arguments, which only its callers know
        return
    for check in (_check_recipe, _check_digest, _check_storage, _check_parts, _check_fallback):
        yield from check(id, cls, spec)


def _attribute(spec: ImageSpec, name: str) -> Any:
    """Return an attribute; None for a property that needs a source."""
    try:
        return getattr(spec, name)
    except Exception:  # noqa: BLE001 -- the project's code, made for specs with a source
        return None


def _check_recipe(id: str, cls: type[ImageSpec], spec: ImageSpec) -> _Messages:
    processors = _attribute(spec, "processors")
    if processors is not None and not isinstance(processors, Iterable):
        hint = "Write processors = [...], a list."
        yield error("E016", f"{id!r} has processors={processors!r}", hint, cls)
        return
    for processor in processors or ():
        if isinstance(processor, type):
            hint = f"Write {processor.__name__}(...), with its arguments."
            yield error("E014", f"{id!r} has the class {processor!r} as a processor", hint, cls)
        elif not callable(getattr(processor, "process", None)):
            hint = "A processor has a method process(image) that returns an image."
            yield error("E014", f"{id!r} has no processor in {processor!r}", hint, cls)
    limits = _attribute(spec, "limits")
    if limits is not None and not isinstance(limits, Limits):
        hint = "Write limits = Limits(max_pixels=...), from imagekit_registry.imaging."
        yield error("E016", f"{id!r} has limits={limits!r}", hint, cls)
    options = _attribute(spec, "options")
    if options is not None and not isinstance(options, Mapping):
        hint = "Write options = {'quality': 80}, a dict."
        yield error("E012", f"{id!r} has options={options!r}", hint, cls)
        return
    yield from _check_writing(id, cls, spec, options)


def _check_writing(id: str, cls: type[ImageSpec], spec: ImageSpec, options: Any) -> _Messages:
    names = [field.name for field in attrs.fields(Recipe) if field.name != "processors"]
    values = {name: _attribute(spec, name) for name in names if hasattr(spec, name)}
    try:
        recipe = Recipe(**{**values, "options": options or {}})
    except Exception as problem:  # noqa: BLE001 -- a value of any type may stand there
        hint = f"Change the attribute of {cls.__qualname__}."
        yield error("E016", f"{id!r}: {problem}", hint, cls)
        return
    # Without a format the options are for that of the source, which is known only later; PNG takes
    # nearly anything, and proves nothing.
    formats = [recipe.format] if recipe.format else ["JPEG", "WEBP"] if options else []
    refusals = []
    for format in formats:
        try:
            refusals.append(trial(attrs.evolve(recipe, format=format)))
        except UnknownFormat as problem:
            hint = "Write a format that Pillow can write, such as 'JPEG', 'PNG' or 'WEBP'."
            yield error("E011", f"{id!r} has format={recipe.format!r}: {problem}", hint, cls)
            return
    if refusals and all(refusals):
        hint = "Give options of Image.save that Pillow documents for the format."
        text = f"{id!r} has format={recipe.format!r} and options={options!r}: {refusals[0]}"
        yield error("E012", text, hint, cls)


def _check_digest(id: str, cls: type[ImageSpec], spec: ImageSpec) -> _Messages:
    """Find what cannot be written down, in words that say what to add."""
    hint = (
        "Add a method digest_state() to its class; let it return what tells one value from another,"
        " made of numbers, strings, lists and dicts."
    )
    processors = _attribute(spec, "processors")
    refused = False
    for processor in processors if isinstance(processors, Iterable) else ():
        try:
            canonical_text(processor)
        except NotCanonical as problem:
            refused = True
            text = f"{id!r} has a processor without a canonical digest, {processor!r}: {problem}"
            yield error("E013", text, hint, cls)
    if refused:
        return
    try:
        spec.get_hash()
    except NotCanonical as problem:
        yield error("E013", f"{id!r} has no canonical digest: {problem}", hint, cls)
    except Exception:  # noqa: BLE001 -- a property that needs a source
        return


def _check_storage(id: str, cls: type[ImageSpec], spec: ImageSpec) -> _Messages:
    storage = _attribute(spec, "cachefile_storage")
    if storage is not None:
        yield from check_storage(storage, f"{id!r}: cachefile_storage", "E015", cls)


def _check_parts(id: str, cls: type[ImageSpec], spec: ImageSpec) -> _Messages:
    parts = (
        ("cachefile_backend", load_backend, "a backend, its class or its dotted path"),
        ("cachefile_strategy", load_strategy, "a strategy, its class, its dotted path or a dict"),
        ("namer", _load_namer, "a function that takes the generator, or its dotted path"),
    )
    for name, load, wanted in parts:
        value = _attribute(spec, name)
        if value is None:
            continue
        try:
            load(value)
        except Exception as problem:  # noqa: BLE001 -- the project's class is made in here
            own = isinstance(problem, ImageKitError)
            reason = str(problem) if own else f"{type(problem).__name__}: {problem}"
            yield error("E015", f"{id!r}: {name}: {reason}", f"Write {name} = {wanted}.", cls)


def _load_namer(value: Any) -> Any:
    namer = get_by_qname(value, "namer") if isinstance(value, str) else value
    if not callable(namer):
        raise TypeError(f"{value!r} cannot be called")
    return namer


def _check_fallback(id: str, cls: type[ImageSpec], spec: ImageSpec) -> _Messages:
    fallback = _attribute(spec, "fallback")
    if fallback is None or callable(fallback) or fallback in KINDS:
        return
    hint = f"Write one of {', '.join(map(repr, KINDS))}, a function, or the dotted path of one."
    text = f"{id!r} has fallback={fallback!r}"
    if not isinstance(fallback, str) or "." not in fallback:
        yield error("E016", text, hint, cls)
        return
    try:
        get_by_qname(fallback, "fallback")
    except ImageKitError as problem:
        yield error("E016", f"{text}: {problem}", hint, cls)
