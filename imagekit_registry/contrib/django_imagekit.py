"""What django-imagekit 6 has made of the sources of spec fields: found by the names that it gave."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import attrs
from django.utils.module_loading import import_string

from imagekit_registry._loading import get_by_qname
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError, InvalidConfiguration
from imagekit_registry.maintenance.adopt import Former
from imagekit_registry.maintenance.inventory import Errors, every_batch
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import ImageSpec

__all__ = ["former_images"]

_OURS = "imagekit_registry.processors"


@attrs.frozen
class _Renamed:
    """A spec with another digest, as namers take it."""

    source: object
    format: str | None
    digest: str

    def get_hash(self) -> str:
        return self.digest


def former_images(notes: list[str]) -> Iterator[Former]:
    """Yield what was made for every source that feeds a spec.

    Names hang on pickles of django-imagekit's and pilkit's own classes, so that both must be installed
    still; ``"imagekit"`` need not be in ``INSTALLED_APPS``.

    Args:
        notes: Where it is written down which specs cannot be named.

    Raises:
        InvalidConfiguration: They are not installed.
    """
    try:
        hashed: Callable[[object], str] = import_string("imagekit.hashers.pickle")
        processors = import_string("pilkit.processors")
    except ImportError as error:
        raise InvalidConfiguration(
            f"The names that django-imagekit gave are known by itself alone ({error}). Install it again"
            " until they are taken over: pip install django-imagekit"
        ) from error
    namer = get_by_qname(conf.SPEC_CACHEFILE_NAMER, "namer")
    errors: Errors = []
    for files in every_batch(generator_registry.get_ids(), errors):
        for file in files:
            spec = file.spec
            if isinstance(spec, ImageSpec):
                former = [_as_former(each, processors) for each in spec.processors or ()]
                parts = [spec.source.name, former, spec.format, spec.options, spec.autoconvert]
                renamed = _Renamed(spec.source, spec.format, hashed(parts))
                yield Former(file, namer(renamed), file.storage)
    notes += [str(error) for _, error in errors if isinstance(error, GenerationError)]


def _as_former(processor: object, library: object) -> Any:
    """Return a processor of ours as that of pilkit; one of the project as it is."""
    cls = type(processor)
    former = getattr(library, cls.__name__, None)
    if former is None or not cls.__module__.startswith(_OURS):
        return processor
    names = inspect.signature(former).parameters
    return former(**{name: getattr(processor, name) for name in names if hasattr(processor, name)})
