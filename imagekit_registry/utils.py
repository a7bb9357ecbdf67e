"""Helpers under the names that code written for django-imagekit imports.

Nothing in this library imports this module; each helper lives in the room it belongs to.
"""

from __future__ import annotations

from io import BytesIO
from logging import Logger, NullHandler, getLogger
from typing import Any

from django.core.files import File
from django.utils.module_loading import autodiscover_modules

from imagekit_registry._loading import (
    get_by_qname,
    get_cache,
    get_singleton,
    get_storage,
    sanitize_cache_key,
)
from imagekit_registry.imaging.compat import (
    img_to_fobj,
    open_image,
    prepare_image,
    process_image,
    save_image,
)
from imagekit_registry.imaging.formats import (
    extension_to_format,
    extension_to_mimetype,
    format_to_extension,
    format_to_mimetype,
    suggest_extension,
)
from imagekit_registry.specs.sourcegroups import get_nonabstract_descendants

__all__ = [
    "autodiscover",
    "call_strategy_method",
    "extension_to_format",
    "extension_to_mimetype",
    "format_to_extension",
    "format_to_mimetype",
    "generate",
    "get_by_qname",
    "get_cache",
    "get_field_info",
    "get_logger",
    "get_nonabstract_descendants",
    "get_singleton",
    "get_storage",
    "img_to_fobj",
    "open_image",
    "prepare_image",
    "process_image",
    "sanitize_cache_key",
    "save_image",
    "suggest_extension",
]


def autodiscover() -> None:
    """Import the ``imagegenerators`` module of every installed app that has one.

    It is done when Django starts; calling it again does nothing.
    """
    autodiscover_modules("imagegenerators")


def get_logger(logger_name: str = "imagekit_registry", add_null_handler: bool = True) -> Logger:
    """Return a logger of Python's.

    Args:
        logger_name: Its name.
        add_null_handler: Whether it gets a handler that writes nothing.
    """
    logger = getLogger(logger_name)
    if add_null_handler:
        logger.addHandler(NullHandler())
    return logger


def call_strategy_method(file: Any, method_name: str) -> None:
    """Call a method of a cache file's strategy, if it has one of that name.

    Args:
        file: The cache file.
        method_name: Such as ``"on_source_saved"``.
    """
    method = getattr(file.cachefile_strategy, method_name, None)
    if method is not None:
        method(file)


def get_field_info(field_file: Any) -> tuple[Any, str | None]:
    """Return the model instance and the field name that a source belongs to.

    Args:
        field_file: A source; anything but a file of a model's field, or an upload to one, gives
            ``(None, None)``.

    Example:
        >>> class Banner(ImageSpec):
        ...     @property
        ...     def processors(self):
        ...         instance, field_name = get_field_info(self.source)
        ...         return [ResizeToFill(instance.banner_width, 100)]
    """
    field = getattr(field_file, "field", None)
    return getattr(field_file, "instance", None), getattr(field, "attname", None)


def generate(generator: Any) -> File[bytes]:
    """Return what *generator* makes, as a Django file that knows its size.

    Raises:
        MissingSource: A spec has no source.
        GenerationError: The image cannot be made.
    """
    content = generator.generate()
    file: File[bytes] = File(content)
    content.seek(0)
    buffered = content if isinstance(content, BytesIO) else BytesIO(content.read())
    file.size = buffered.getbuffer().nbytes
    content.seek(0)
    return file
