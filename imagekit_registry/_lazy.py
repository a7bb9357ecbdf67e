"""Names that are imported where they are used first, so that a start pays for nothing it does not need.

A package's public names are one thing, and what a process needs before its first image another.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for *package*: it imports its modules one by one.

    Args:
        package: The package's ``__name__``.
        modules: The public names of its modules, by the module's name in the package.
    """
    homes = {name: module for module, names in modules.items() for name in names}
    namespace = vars(sys.modules[package])

    def get(name: str) -> Any:
        if name not in homes and name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(f"{package}.{homes.get(name, name)}")
        return namespace.setdefault(name, getattr(module, name) if name in homes else module)

    return get, lambda: sorted({*namespace, *homes, *modules})


@cache
def later(module: str, name: str) -> Callable[..., Any]:
    """Return a function that imports the one called *name* in *module* when it is called.

    It is the same function each time: what registers it, as apps do that are made ready again in a
    test, has it once.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(import_module(module), name)(*args, **kwargs)

    return call
