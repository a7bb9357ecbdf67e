"""What code written for django-imagekit and pilkit calls: names, arguments in their order, defaults."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from django.utils.module_loading import import_string

from imagekit_registry import ImageSpec, forms
from imagekit_registry.exceptions import InvalidArgumentType
from imagekit_registry.models import ImageSpecField, ProcessedImageField
from imagekit_registry.specs import (
    BaseImageSpec,
    FieldAttributes,
    FileAttributes,
    SpecAttributes,
    SpecHost,
)

SIGNATURES = {
    "processors.AddBorder": "(thickness, color=None)",
    "processors.Adjust": "(color=1.0, brightness=1.0, contrast=1.0, sharpness=1.0)",
    "processors.BasicCrop": "(x, y, width, height)",
    "processors.ColorOverlay": "(color, overlay_opacity=0.5)",
    "processors.Convert": "(mode)",
    "processors.Crop": "(width=None, height=None, anchor=None, x=None, y=None)",
    "processors.GaussianBlur": "(radius)",
    "processors.MakeOpaque": "(background_color=(255, 255, 255))",
    "processors.Reflection": "(background_color='#FFFFFF', size=0.0, opacity=0.6)",
    "processors.Resize": "(width, height, upscale=True)",
    "processors.ResizeCanvas": "(width, height, color=None, anchor=None, x=None, y=None)",
    "processors.ResizeToCover": "(width, height, upscale=True)",
    "processors.ResizeToFill": "(width=None, height=None, anchor=None, upscale=True)",
    "processors.ResizeToFit": "(width=None, height=None, upscale=True, mat_color=None, anchor='c')",
    "processors.SmartCrop": "(width=None, height=None)",
    "processors.SmartResize": "(width, height, upscale=True)",
    "processors.Thumbnail": "(width=None, height=None, anchor=None, crop=None, upscale=None)",
    "processors.Transpose": "(*methods)",
    "processors.TrimBorderColor": "(color=None, tolerance=0.3, sides=('t', 'r', 'b', 'l'))",
    "admin.AdminThumbnail": "(image_field, template=None)",
    "cachefiles.ImageCacheFile": (
        "(generator, name=None, storage=None, cachefile_backend=None, cachefile_strategy=None)"
    ),
    "cachefiles.LazyImageCacheFile": "(generator_id, **kwargs)",
    "cachefiles.backends.CachedFileBackend.get_state": "(file, check_if_unknown=True)",
    "cachefiles.backends.CachedFileBackend.set_state": "(file, state)",
    "cachefiles.state.prefetch_cachefile_states": "(files, *, state_cache=None, cache=None)",
    "cachefiles.state.use_cachefile_state_cache": "(state_cache=None)",
    "forms.ProcessedImageField": (
        "(processors=None, format=None, options=None, autoconvert=True, spec_id=None, spec=None)"
    ),
    "models.ImageSpecField": (
        "(processors=None, format=None, options=None, source=None, cachefile_storage=None,"
        " autoconvert=None, cachefile_backend=None, cachefile_strategy=None, spec=None, id=None)"
    ),
    "models.ProcessedImageField": (
        "(processors=None, format=None, options=None, verbose_name=None, name=None,"
        " width_field=None, height_field=None, autoconvert=None, spec=None, spec_id=None)"
    ),
    "registry.generator_registry.get": "(id, **kwargs)",
    "registry.register.cachefiles": "(generator_id, cachefiles)",
    "registry.register.source_group": "(generator_id, source_group)",
    "specs.SpecHost": "(spec=None, spec_id=None)",
    "specs.sourcegroups.ImageFieldSourceGroup": "(model_class, image_field)",
    "utils.get_by_qname": "(path, desc)",
    "utils.get_singleton": "(class_path, desc)",
    "utils.img_to_fobj": "(img, format, autoconvert=True, **options)",
    "utils.open_image": "(target)",
    "utils.prepare_image": "(img, format)",
    "utils.process_image": ("(img, processors=None, format=None, autoconvert=True, options=None)"),
    "utils.save_image": "(img, outfile, format, options=None, autoconvert=True)",
    "utils.suggest_extension": "(name, format)",
}


def signature_of(target: Any, options_of_ours: bool) -> str:
    """Return a signature without types; without our options, which come by keyword alone."""
    plain = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(target).parameters.values()
        if parameter.name != "self"
    ]
    if not options_of_ours:
        kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
        plain = [parameter for parameter in plain if parameter.kind not in kinds]
    return str(inspect.Signature(plain))


@pytest.mark.parametrize(("name", "expected"), SIGNATURES.items(), ids=list(SIGNATURES))
def test_arguments_and_defaults_are_those_of_django_imagekit(name: str, expected: str) -> None:
    """By position and by name; what has a spec takes its attributes as well, after a star."""
    module, _, attribute = name.partition(".")
    path = f"imagekit_registry.{module}.{attribute}"
    try:
        target = import_string(path)
    except ImportError:
        owner, _, method = path.rpartition(".")
        target = getattr(import_string(owner), method)
    has_ours = "Field" in name or "Host" in name or module == "processors"
    assert signature_of(target, options_of_ours=not has_ours) == expected


FIELDS = [ImageSpecField, ProcessedImageField, forms.ProcessedImageField, SpecHost]


@pytest.mark.parametrize("field", FIELDS, ids=["spec", "processed", "form", "host"])
def test_signatures_of_fields_show_the_attributes_of_a_spec(field: Any) -> None:
    """What editors and `help()` show has every name, though they are declared in one place."""
    shown = inspect.signature(field).parameters
    expected = set(SpecAttributes.__annotations__)
    if field in (ProcessedImageField, forms.ProcessedImageField):
        # What is processed when it is uploaded has no cache file.
        expected -= {"cachefile_backend", "cachefile_storage", "cachefile_strategy"}
        expected -= {"fallback", "namer", *FileAttributes.__annotations__}
        expected |= set(FieldAttributes.__annotations__)
    assert expected <= set(shown)
    assert shown["color"].annotation == "Literal['srgb', 'keep'] | None"


def test_attributes_of_a_spec_are_those_that_fields_take() -> None:
    """A spec class can say no less, and no more, but for what the registry and renditions set.

    A field's spec takes no arguments that URLs could differ in.
    """
    names = {*BaseImageSpec.__annotations__, *ImageSpec.__annotations__} - {"serving_arguments"}
    assert names - {"rendition_of", "source", "spec_id", "spec_arguments"} == set(
        SpecAttributes.__annotations__
    )


def test_a_wrong_attribute_is_told_by_its_name() -> None:
    """When the module is imported, and by type checkers before."""
    with pytest.raises(InvalidArgumentType, match=r"no attribute 'colour'.* color"):
        ImageSpecField(colour="srgb")  # type: ignore[call-arg]
    with pytest.raises(InvalidArgumentType, match="colour"):
        SpecHost(colour=None)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="colour"):
        ProcessedImageField(colour="srgb")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="colour"):
        forms.ProcessedImageField(spec_id="tests:colour", colour="srgb")  # type: ignore[call-arg]
