"""What may be wrong with specs, the fields that have them, what feeds them and what makes their images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import attrs
from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import FieldDoesNotExist
from django.db.models import FileField, ImageField, Model
from django.urls import reverse

from imagekit_registry._openers import find_open, opener_registry
from imagekit_registry.cachefiles.backends import (
    backends_in_use,
    load_backend,
)
from imagekit_registry.cachefiles.pending import parse_pending
from imagekit_registry.cachefiles.strategies import load_strategy
from imagekit_registry.cachefiles.urls import load_provider
from imagekit_registry.checks._messages import (
    attempt,
    error,
    guarded,
    nearest,
    reason_of,
    refusal,
    slips,
    unknown_option,
)
from imagekit_registry.checks._settings import (
    load_callable,
    load_fallback,
    load_headers,
    load_storage,
)
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import (
    InvalidConfiguration,
    NotCanonical,
    UnknownFormat,
    answer_or,
)
from imagekit_registry.imaging import Limits, Recipe
from imagekit_registry.models.fields import (
    ImageSpecField,
    ProcessedImageField,
    related_model,
    spec_fields_of,
)
from imagekit_registry.registry import generator_registry, source_group_registry
from imagekit_registry.specs import (
    ImageSpec,
    SpecHost,
    is_made_of_arguments,
    load_decoder,
    load_placeholders,
    load_resizer,
    settle_picture,
)
from imagekit_registry.specs.sourcegroups import is_watched
from imagekit_registry.state import get_state_store
from imagekit_registry.validators import ImageLimits

# Fields.


def check_fields(app_configs: Sequence[AppConfig] | None) -> Iterator[CheckMessage]:
    """Yield what is wrong with the fields of the apps' models; with those of all if None is given."""
    for app in apps.get_app_configs() if app_configs is None else app_configs:
        for model in app.get_models():
            for field in (*spec_fields_of(model), *model._meta.fields):
                if isinstance(field, ImageSpecField | ProcessedImageField):
                    yield from check_field(field, model)


def check_field(
    field: ImageSpecField | ProcessedImageField, model: type[Model]
) -> Iterator[CheckMessage]:
    """Yield what is wrong with one field that has a spec.

    Args:
        field: An `ImageSpecField`, or a `ProcessedImageField`.
        model: The model whose field it is, or inherits.

    Example:
        >>> [error.id for error in check_field(Photo.thumbnail, Photo)]
        []
    """
    where = f"{model._meta.label}.{field.name}"
    yield from _check_id(field, where)
    if isinstance(field, ImageSpecField):
        try:
            source = field.source_of(model)
        except InvalidConfiguration as problem:
            hint = "Add an ImageField, or name the one that is meant with source=."
            yield Error(str(problem), hint=hint, obj=field, id="imagekit.E002")
        else:
            yield from _check_source(field, model, source, where)


def _check_id(field: SpecHost, where: str) -> Iterator[CheckMessage]:
    if field.spec_id not in generator_registry.get_ids():
        text = f"{where} uses the image spec {field.spec_id!r}, which is not registered."
        hint = (
            "Give the field processors, a format or a spec, or register a spec with this id in an"
            " imagegenerators.py of an installed app."
        )
        yield Error(text, hint=hint, obj=field, id="imagekit.E001")
    other = field.other_host_of(field.taken_id) if field.taken_id else None
    if other is not None:
        text = (
            f"{where} would have the spec id {field.taken_id!r}, which is that of {other} and of"
            f" another recipe; it has {field.spec_id!r}."
        )
        hint = "Give the field an id of its own: id=, or spec_id= for a ProcessedImageField."
        yield Error(text, hint=hint, obj=field, id="imagekit.E020")


def _check_source(
    field: ImageSpecField, model: type[Model], source: str, where: str
) -> Iterator[CheckMessage]:
    text = f"{where} has the source {source!r}, which is no ImageField."
    hint = "Name an ImageField of the model with source=."
    try:
        model = related_model(model, source)
        name = source.rpartition("__")[2]
        column = model._meta.get_field(name)
    except InvalidConfiguration as problem:
        text = f"{where} has the source {source!r}, which leads to no image: {problem}."
        hint = "Name foreign keys or one-to-one relations, and then an ImageField."
        yield Error(text, hint=hint, obj=field, id="imagekit.E023")
        return
    except FieldDoesNotExist:
        if not hasattr(model, name):
            text = f"{where} has the source {source!r}, which the model does not have."
            yield Error(text, hint=hint, obj=field, id="imagekit.E003")
        return
    if not isinstance(column, FileField):
        yield Error(text, hint=hint, obj=field, id="imagekit.E004")
    elif not isinstance(column, ImageField):
        if not any(isinstance(each, ImageLimits) for each in column.validators):
            hint = (
                "An ImageField checks that what is uploaded to it is an image; so does another one"
                " with validators=[ImageLimits()]."
            )
            yield Warning(text, hint=hint, obj=field, id="imagekit.W003")
    elif not model._meta.abstract and not is_watched(model, column.attname):
        text = f"Nobody is told what becomes of {model._meta.label}.{name}, {where}'s source."
        hint = "What stands in the place of its descriptor needs an attribute 'descriptor'."
        yield Warning(text, hint=hint, obj=field, id="imagekit.W004")


# Registered specs.


def _load_picture(value: Any) -> object:
    for source in settle_picture(value).sources or ():
        generator_registry.lookup(source.spec)
    return value


#: The number of an error, what is wrong with the spec, and what to write instead.
_Findings = Iterator[tuple[str, str, str]]

#: What else a spec may have: the error if it cannot be loaded, what loads it, and what to write.
_LOADED: Mapping[str, tuple[str, Callable[[object], object], str]] = {
    "cachefile_storage": ("E015", load_storage, "a storage, its alias or its dotted path"),
    "cachefile_backend": ("E015", load_backend, "a backend, its class or its dotted path"),
    "cachefile_strategy": ("E015", load_strategy, "a strategy, its class, its path or a dict"),
    "namer": ("E015", partial(load_callable, "namer"), "a function of the generator, or its path"),
    "placeholder": (
        "E016",
        load_placeholders,
        "'lqip', 'color', 'css', or a function of the image",
    ),
    "fallback": ("E016", load_fallback, "'placeholder', 'empty', a function or its path"),
    "url_provider": ("E015", load_provider, "a provider, its class or its dotted path"),
    "storage_headers": ("E016", load_headers, "{'CacheControl': 'max-age=31536000, immutable'}"),
    "pending": ("E016", parse_pending, "'source', 'placeholder', 'demand' or 'wait:250ms'"),
    "picture": ("E016", _load_picture, "Picture(layout='full'), for example"),
}


def check_specs() -> Iterator[CheckMessage]:
    """Yield what is wrong with the specs that are registered as classes.

    A spec is made without a source. One that needs more than that to be made is passed over, as
    are generators that are no specs.
    """
    refusals: dict[str, str] = {}
    for spec_id in generator_registry.get_ids():
        cls = generator_registry.lookup(spec_id)
        if isinstance(cls, type) and issubclass(cls, ImageSpec):
            owner = _owner_of(spec_id, cls)
            check = partial(_check_spec, spec_id, owner, refusals)
            yield from guarded(f"The spec {spec_id!r}", owner, check)


def check_source_groups() -> Iterator[CheckMessage]:
    """Yield an error for each id that is fed with sources, and has no generator."""
    known = generator_registry.get_ids()
    for group, spec_id in source_group_registry.pairs():
        if spec_id not in known:
            text = f"{group!r} feeds the spec {spec_id!r}, which is not registered"
            hint = f"Register a spec under {spec_id!r}, or unregister the source group."
            yield error("E017", text, nearest(spec_id, known, hint), group)


def check_parts() -> Iterator[CheckMessage]:
    """Yield what backends, the state store, decoder and resizer say of themselves, by ``check()``.

    Those without one are passed over. What cannot be loaded is told of the setting or the spec that
    names it.
    """
    loads: list[Callable[[], object]] = [
        get_state_store,
        partial(load_decoder, conf.DECODER),
        partial(load_resizer, conf.RESIZER),
    ]
    for part in [*backends_in_use(), *(answer_or(None, load) for load in loads)]:
        check = getattr(part, "check", None)
        if callable(check):
            yield from guarded(f"The part {type(part).__name__}", type(part), check)


def check_openers() -> Iterator[CheckMessage]:
    """Yield an error for each opener that a process of its own would not find by its name."""
    for opener in opener_registry.registered() if conf.OPENER_PROCESS else ():
        found, problem = attempt(partial(find_open, opener.name))
        if found is not opener.open:
            why = reason_of(problem) if problem else f"{opener.name} is another one"
            text = f"The opener of {opener.media_type!r} cannot be imported by its name: {why}"
            hint = "Make it a function of a module, or leave IMAGEKIT_OPENER_PROCESS off."
            yield error("E024", text, hint, opener.open)


def check_urls() -> Iterator[CheckMessage]:
    """Yield an error if pages would show on-demand URLs, and the project has none."""
    registered = list(map(generator_registry.lookup, generator_registry.get_ids()))
    own = [getattr(generator, "cachefile_strategy", None) for generator in registered]
    is_pending = any(getattr(generator, "pending", None) == "demand" for generator in registered)
    strategies = [
        answer_or(None, load_strategy, each)
        for each in (conf.DEFAULT_CACHEFILE_STRATEGY, *own)
        if each is not None
    ]
    if is_pending or any(each and each.pending == "demand" for each in strategies):
        _, problem = attempt(partial(reverse, "imagekit_registry:image", args=["x"] * 4))
        if problem is not None:
            text = f"A strategy or a spec shows on-demand URLs, and there are none: {reason_of(problem)}"
            hint = "Add path('images/', include('imagekit_registry.serving.urls')) to your URLs."
            yield error("E021", text, hint)


def _owner_of(spec_id: str, cls: type[ImageSpec]) -> object:
    """Return what a message points to: a class, or the field that has made it of its arguments."""
    if not is_made_of_arguments(cls):
        return cls
    for model in apps.get_models():
        for field in (*spec_fields_of(model), *model._meta.fields):
            if isinstance(field, SpecHost) and field.spec_id == spec_id:
                return field
    return spec_id


def _check_spec(spec_id: str, owner: object, refusals: dict[str, str]) -> Iterator[CheckMessage]:
    spec = answer_or(None, generator_registry.get, spec_id, source=None)
    if spec is None:
        # It needs arguments, which only its callers know.
        return
    check_writing = partial(_check_writing, known=refusals)
    for check in (_check_recipe, check_writing, _check_digest, _check_loading, _check_serving):
        for number, text, hint in check(spec):
            yield error(number, f"{spec_id!r} {text}", hint, owner)
    for slip in slips(answer_or(None, attrgetter("options"), spec)):
        yield unknown_option(f"{spec_id!r} has", slip, owner)


# An attribute of a spec may be a property that needs a source; it counts as None then.


def _check_recipe(spec: ImageSpec) -> _Findings:
    processors = answer_or(None, attrgetter("processors"), spec)
    if processors is not None and not isinstance(processors, Iterable):
        yield "E016", f"has processors={processors!r}", "Write processors = [...], a list."
        processors = None
    for processor in processors or ():
        if isinstance(processor, type):
            hint = f"Write {processor.__name__}(...), with its arguments."
            yield "E014", f"has the class {processor!r} as a processor", hint
        elif not callable(getattr(processor, "process", None)):
            hint = "A processor has a method process(image) that returns an image."
            yield "E014", f"has no processor in {processor!r}", hint
    limits = answer_or(None, attrgetter("limits"), spec)
    if limits is not None and not isinstance(limits, Limits):
        hint = "Write limits = Limits(max_pixels=...), from imagekit_registry.imaging."
        yield "E016", f"has limits={limits!r}", hint


def _check_writing(spec: ImageSpec, known: dict[str, str]) -> _Findings:
    names = attrs.fields_dict(Recipe).keys() - {"placeholder", "processors"}
    values = {name: answer_or(None, attrgetter(name), spec) for name in names}
    options = values["options"]
    if options is not None and not isinstance(options, Mapping):
        yield "E012", f"has options={options!r}", "Write options = {'quality': 80}, a dict."
        return
    recipe, problem = attempt(lambda: Recipe(**{**values, "options": options or {}}))
    if recipe is None:
        hint = "Change the argument of the field."
        if not is_made_of_arguments(type(spec)):
            hint = f"Change the attribute of {type(spec).__name__}."
        yield "E016", f"cannot be used: {problem}", hint
        return
    # Without a format the options are for that of the source, which is known only later; PNG takes
    # nearly anything, and proves nothing.
    formats = [recipe.format] if recipe.format else ["JPEG", "WEBP"] if options else []
    try:
        refusals = [refusal(attrs.evolve(recipe, format=each), known) for each in formats]
    except UnknownFormat as problem:
        hint = "Write a format that Pillow can write, such as 'JPEG', 'PNG' or 'WEBP'."
        yield "E011", f"has format={recipe.format!r}: {problem}", hint
        return
    if refusals and all(refusals):
        text = f"has format={recipe.format!r} and options={options!r}: {refusals[0]}"
        yield "E012", text, "Give options of Image.save that Pillow documents for the format."


def _check_digest(spec: ImageSpec) -> _Findings:
    _, problem = attempt(spec.get_hash)
    # Another exception is that of a property that needs a source.
    if isinstance(problem, NotCanonical):
        hint = (
            "Add a method digest_state() to its class; let it return what tells one value from"
            " another, made of numbers, strings, lists and dicts."
        )
        yield "E013", f"has no canonical digest: {problem}", hint


def _check_serving(spec: ImageSpec) -> _Findings:
    names = answer_or((), attrgetter("serving_arguments"), spec)
    if not names:
        return
    text = f"has serving_arguments={names!r}"
    if isinstance(names, str) or set(names) != {"width"}:
        yield "E016", text, 'Write serving_arguments = ("width",); there is no other one.'
        return
    _, problem = attempt(partial(generator_registry.get, str(spec.spec_id), source=None, width=1))
    if problem is not None:
        hint = f"Let {type(spec).__name__}.__init__ take source and width."
        yield "E016", f"{text}: {reason_of(problem)}", hint


def _check_loading(spec: ImageSpec) -> _Findings:
    for name, (number, load, wanted) in _LOADED.items():
        value = answer_or(None, attrgetter(name), spec)
        if value is None:
            continue
        _, problem = attempt(partial(load, value))
        if problem is not None:
            yield number, f"has {name}={value!r}: {reason_of(problem)}", f"Write {name} = {wanted}."
