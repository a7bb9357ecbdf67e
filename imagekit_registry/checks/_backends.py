"""What cache file backends themselves find wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage

from imagekit_registry.cachefiles.backends import get_default_cachefile_backend, load_backend
from imagekit_registry.checks._messages import guarded
from imagekit_registry.registry import generator_registry

__all__ = ["check_backends"]


def check_backends() -> list[CheckMessage]:
    """Return what the ``check()`` of each backend in use returns; those without one are passed over."""
    found: list[CheckMessage] = []
    checked: set[int] = set()
    for backend in _in_use():
        check = getattr(backend, "check", None)
        if callable(check) and id(backend) not in checked:
            checked.add(id(backend))
            found += guarded(f"The backend {type(backend).__name__}", type(backend), check)
    return found


def _in_use() -> Iterator[Any]:
    """Yield the backends of settings and specs; one that cannot be had is an error found there."""
    ids = generator_registry.get_ids()
    named = [getattr(generator_registry.lookup(id), "cachefile_backend", None) for id in ids]
    for backend in [None, *filter(None, named)]:
        try:
            yield get_default_cachefile_backend() if backend is None else load_backend(backend)
        except Exception:  # noqa: BLE001, S112 -- the project's class is made in here
            continue
