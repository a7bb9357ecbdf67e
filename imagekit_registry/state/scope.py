"""What one request, or one block, remembers of the state that it has read and written."""

from __future__ import annotations

import math
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import attrs
from asgiref.sync import SyncToAsync, ThreadSensitiveContext

from imagekit_registry.conf import conf
from imagekit_registry.state.record import CacheFileRecord

__all__ = [
    "Scope",
    "close_request_scope",
    "current_scope",
    "images_left",
    "open_request_scope",
    "spend",
    "state_scope",
    "table_of",
]

#: Records by key; None for what is known to be absent from the store.
Table = dict[str, CacheFileRecord | None]
#: Records that a request or a block remembers; an export of all rows reads any number.
MOST_REMEMBERED = 10_000


class BoundedTable(OrderedDict[str, CacheFileRecord | None]):
    """What a scope knows of one store; of more than it holds it forgets what it read first."""

    def remember(self, records: Mapping[str, CacheFileRecord | None]) -> None:
        """Add *records*."""
        self.update(records)
        while len(self) > MOST_REMEMBERED:
            self.popitem(last=False)


@attrs.define(eq=False)
class Scope:
    """What one request, or one `state_scope` block, has read and written, and what it has logged.

    It outlives its context in tasks and threads that were started meanwhile; `is_open` tells them
    that it has ended.
    """

    outer: Scope | None = None
    of_request: bool = False
    is_open: bool = True
    #: By the access that reads through them, and its tenant.
    tables: defaultdict[object, BoundedTable] = attrs.field(
        factory=lambda: defaultdict(BoundedTable)
    )
    logged: set[Hashable] = attrs.field(factory=set)
    #: How many images it has made, and the seconds that this has taken.
    images: int = 0
    seconds: float = 0.0
    #: Until when images of others are waited for, by `time.monotonic`; None: nothing was, yet.
    waits_until: float | None = None
    #: What is called when the request has been answered, and with what.
    at_end: defaultdict[Callable[[list[Any]], None], list[Any]] = attrs.field(
        factory=lambda: defaultdict(list)
    )

    def close(self) -> None:
        """End the scope, and free what it holds."""
        self.is_open = False
        self.tables.clear()
        self.logged.clear()
        if _scope.get() is self:
            _scope.set(self.outer)


# Set and never reset by token: under ASGI a request's end runs in another context than its start.
_scope: ContextVar[Scope | None] = ContextVar("imagekit_registry_scope", default=None)
#: The same for requests under ASGI. Before Django 6.1 their start is announced in a task of its own,
#: whose context variables are lost; what Django's handler has opened for their threads is kept.
_asgi_scopes: WeakKeyDictionary[ThreadSensitiveContext, Scope] = WeakKeyDictionary()


def current_scope() -> Scope | None:
    """Return the scope of this request or block, or None outside of any."""
    scope = _scope.get()
    if scope is not None and scope.is_open:
        return scope
    asgi_request = SyncToAsync.thread_sensitive_context.get(None)
    scope = _asgi_scopes.get(asgi_request) if asgi_request is not None else None
    if scope is None or not scope.is_open:
        return None
    _scope.set(scope)
    return scope


def table_of(access: object, space: str) -> BoundedTable:
    """Return what the request knows by an access of one tenant; outside of one, what nobody keeps."""
    scope = current_scope()
    return BoundedTable() if scope is None else scope.tables[(access, space) if space else access]


def images_left() -> float:
    """Return how many more images this request may make; infinity outside of requests."""
    budget, scope = conf.REQUEST_BUDGET, current_scope()
    if not budget or scope is None or not scope.of_request:
        return math.inf
    images, seconds = budget.get("images"), budget.get("seconds")
    if seconds is not None and scope.seconds >= seconds:
        return 0
    return math.inf if images is None else max(0, images - scope.images)


def spend(images: int, seconds: float) -> None:
    """Take from the budget of this request what the making of *images* has taken."""
    scope = current_scope()
    if scope is not None:
        scope.images += images
        scope.seconds += seconds


@contextmanager
def state_scope() -> Iterator[Scope]:
    """Remember every state that is read in the block until its end.

    Inside a request, or another such block, this is the scope that is there already.

    Example:
        >>> with state_scope() as outer, state_scope() as inner:
        ...     inner is outer
        True
    """
    outer = current_scope()
    if outer is not None:
        yield outer
        return
    scope = Scope()
    _scope.set(scope)
    try:
        yield scope
    finally:
        scope.close()


def open_request_scope(**_: object) -> None:
    """Begin the scope of a request; a receiver of ``request_started``.

    `AppConfig.ready` connects it, and `close_request_scope`, so that no middleware is needed.
    """
    outer = current_scope()
    if outer is not None and outer.of_request:
        # The end of the request before was not announced on this thread; its scope is not kept.
        outer = outer.outer
    scope = Scope(outer, of_request=True)
    _scope.set(scope)
    asgi_request = SyncToAsync.thread_sensitive_context.get(None)
    if asgi_request is not None:
        _asgi_scopes[asgi_request] = scope


def close_request_scope(**_: object) -> None:
    """End the scope of a request; a receiver of ``request_finished``: the answer has been sent."""
    scope = current_scope()
    if scope is not None and scope.of_request:
        scope.close()
        while scope.at_end:
            call, items = scope.at_end.popitem()
            call(items)
