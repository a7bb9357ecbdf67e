"""Strategies: when a cache file must exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from imagekit_registry._loading import get_by_qname, get_singleton
from imagekit_registry.exceptions import InvalidConfiguration

__all__ = ["DictStrategy", "JustInTime", "Optimistic", "PreCache", "load_strategy"]


class JustInTime:
    """Make a file right before it is needed; forget it when its source changes or goes."""

    def on_existence_required(self, file: Any) -> None:
        """Make *file*, unless it exists."""
        file.generate()

    def on_content_required(self, file: Any) -> None:
        """Make *file*, unless it exists."""
        file.generate()

    def on_source_saved(self, file: Any) -> None:
        """Remove what was made of an earlier image of the same name."""
        file.delete()

    def on_source_deleted(self, file: Any) -> None:
        """Remove *file*: nothing will ask for it any more."""
        file.delete()


class Optimistic:
    """Make a file as soon as its source is saved, and rely on its existence from then on."""

    def on_source_saved(self, file: Any) -> None:
        """Make *file* anew: an earlier image may have had the same name."""
        file.generate(force=True)

    def on_source_deleted(self, file: Any) -> None:
        """Remove *file*: nothing will ask for it any more."""
        file.delete()

    def should_verify_existence(self, file: Any) -> bool:
        """Return False: the storage need not be asked."""
        return False


class PreCache(JustInTime):
    """Make a file as soon as its source is saved, and again whenever it is missing."""

    def on_source_saved(self, file: Any) -> None:
        """Make *file* anew: an earlier image may have had the same name."""
        file.generate(force=True)


class DictStrategy:
    """A strategy from a dict of callables, such as ``{"on_source_saved": make}``.

    Args:
        callbacks: Names of strategy methods, and what is called with the file for each.
    """

    def __init__(self, callbacks: Mapping[str, Callable[[Any], Any]]) -> None:
        for name, callback in callbacks.items():
            setattr(self, name, callback)


def load_strategy(strategy: Any) -> Any:
    """Return a strategy from a dotted path, a class, an instance or a dict of callables.

    Raises:
        InvalidConfiguration: A dotted path leads nowhere, or a dict has a value that cannot be
            called.

    Example:
        >>> load_strategy("imagekit_registry.cachefiles.strategies.Optimistic")
        <imagekit_registry.cachefiles.strategies.Optimistic object at ...>
    """
    if isinstance(strategy, str):
        target = get_by_qname(strategy, "cache file strategy")
        if isinstance(target, type):
            return get_singleton(strategy, "cache file strategy")
        strategy = target
    if isinstance(strategy, Mapping):
        for name, callback in strategy.items():
            if not callable(callback):
                raise InvalidConfiguration(
                    f"A cache file strategy has {callback!r} as {name!r}, which cannot be called."
                )
        return DictStrategy(strategy)
    if isinstance(strategy, type):
        return strategy()
    return strategy
