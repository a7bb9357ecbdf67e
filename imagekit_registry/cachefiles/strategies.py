"""Strategies: when a cache file must exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from imagekit_registry._loading import build, get_singleton
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.threads import is_in_event_loop
from imagekit_registry.exceptions import InvalidConfiguration

__all__ = [
    "DictStrategy",
    "EagerThenJustInTime",
    "Frozen",
    "JustInTime",
    "OnDemand",
    "Optimistic",
    "PreCache",
    "Strategy",
    "deletes_when",
    "load_strategy",
    "makes_when_required",
    "makes_when_saved",
    "reacts_to",
]


class Strategy:
    """A strategy that does nothing: what a project's own lacks is supplied by it.

    Attributes:
        pending: What a page shows for a file that is not known to exist, if the strategy has not made
            it: ``"demand"`` for its on-demand URL; None for what its spec's ``fallback`` says.
        may_make: Whether a page that needs a file may have it made.
    """

    pending: str | None = None
    may_make: bool = True

    def on_existence_required(self, file: Any) -> None:
        """URL, width or height of *file* are asked for."""

    def on_content_required(self, file: Any) -> None:
        """The content of *file* is about to be read."""

    def on_source_saved(self, file: Any) -> None:
        """A new image was saved to the source of *file*."""

    def on_source_deleted(self, file: Any) -> None:
        """The row that held the source of *file* is gone, or holds another image now."""

    def should_verify_existence(self, file: CacheFile) -> bool:
        """Return whether *file* has to be looked up to say that it exists.

        A backend that makes files at once has made it by now, if the strategy wanted it.
        """
        return file.cachefile_backend.is_async or is_in_event_loop()


class JustInTime(Strategy):
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


class Optimistic(Strategy):
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


class EagerThenJustInTime(JustInTime):
    """Make a file as soon as its source is saved, and again whenever it is missing."""

    def on_source_saved(self, file: Any) -> None:
        """Make *file* anew: an earlier image may have had the same name."""
        file.generate(force=True)


#: What ``pre_cache=True`` of the old ImageKit chooses.
PreCache = EagerThenJustInTime


class Frozen(JustInTime):
    """Never make a file: for a host that must not. Forget it when its source changes or goes.

    Pages show what others have made (workers, ``generateimages``, another host), and until then what
    the spec's ``fallback`` says. Who reads a file that is not there gets a ``FileNotFoundError``.
    """

    may_make = False

    def on_existence_required(self, file: Any) -> None:
        """Do nothing."""

    def on_content_required(self, file: Any) -> None:
        """Do nothing."""

    def should_verify_existence(self, file: CacheFile) -> bool:
        """Return True: nobody has made it for this page."""
        return True


class OnDemand(JustInTime):
    """Make a file when somebody asks for its URL, which is an on-demand URL until then.

    The page that shows it makes nothing, unless no URL can say what is to be made: then it makes the
    file. ``imagekit_registry.serving.urls`` must be among the project's URLs.
    """

    pending = "demand"

    def on_existence_required(self, file: Any) -> None:
        """Do nothing: who asks for the URL has the file made."""

    def should_verify_existence(self, file: Any) -> bool:
        """Return False: there is a URL in any case."""
        return False


class DictStrategy(Strategy):
    """A strategy from a dict of callables, such as ``{"on_source_saved": make}``.

    Args:
        callbacks: Names of strategy methods, and what is called with the file for each.
    """

    def __init__(self, callbacks: Mapping[str, Callable[[Any], object]]) -> None:
        self.__dict__.update(callbacks)


class _AdaptedStrategy(DictStrategy):
    """An object with some methods of a strategy.

    Args:
        strategy: The object.
    """

    def __init__(self, strategy: object) -> None:
        own = {name: value for name, value in vars(Strategy).items() if name[0] != "_"}
        names = [name for name, value in own.items() if callable(value)]
        found = {name: getattr(strategy, name, None) for name in own}
        callbacks = {name: callback for name, callback in found.items() if callback is not None}
        if not callbacks:
            raise InvalidConfiguration(
                f"{strategy!r} is no cache file strategy: it has none of the methods"
                f" {', '.join(names)}."
            )
        super().__init__(callbacks)


def load_strategy(strategy: object) -> Strategy:
    """Return a strategy from a dotted path, a class, an instance or a dict of callables.

    Raises:
        InvalidConfiguration: A dotted path leads nowhere, a class needs arguments, or a dict has a
            value that cannot be called.

    Example:
        >>> load_strategy("imagekit_registry.cachefiles.strategies.Optimistic")
        <imagekit_registry.cachefiles.strategies.Optimistic object at ...>
    """
    if isinstance(strategy, str):
        strategy = get_singleton(strategy, "cache file strategy")
    if isinstance(strategy, Mapping):
        for name, callback in strategy.items():
            if not callable(callback):
                raise InvalidConfiguration(
                    f"A cache file strategy has {callback!r} as {name!r}, which cannot be called."
                )
        return DictStrategy(strategy)
    if isinstance(strategy, type):
        strategy = build(strategy, "cache file strategy")
    return strategy if isinstance(strategy, Strategy) else _AdaptedStrategy(strategy)


def makes_when_required(strategy: Strategy) -> bool:
    """Return whether a strategy does no more than make a file when it is asked for."""
    return type(strategy).on_existence_required is JustInTime.on_existence_required


def makes_when_saved(strategy: Strategy) -> bool:
    """Return whether a strategy does no more than make a file when its source is saved."""
    makers = (Optimistic.on_source_saved, EagerThenJustInTime.on_source_saved)
    return type(strategy).on_source_saved in makers


def deletes_when(strategy: Strategy, event: str) -> bool:
    """Return whether a strategy does no more than delete a file when *event* happens."""
    deleting = (
        JustInTime.on_source_saved,
        JustInTime.on_source_deleted,
        Optimistic.on_source_deleted,
    )
    return event not in vars(strategy) and getattr(type(strategy), event) in deleting


def reacts_to(strategy: Strategy, event: str) -> bool:
    """Return whether a strategy does anything when *event*, the name of a method, happens."""
    return event in vars(strategy) or getattr(type(strategy), event) is not vars(Strategy)[event]
