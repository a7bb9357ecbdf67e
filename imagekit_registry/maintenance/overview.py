"""How a site's images are, at a glance: how many there are, what waits, and what they depend on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
from django.db.models import Count, QuerySet, Sum

from imagekit_registry._breaker import Breaker
from imagekit_registry._loading import get_cache
from imagekit_registry.cachefiles.backends import (
    AbstractCacheFileBackend,
    QueueBackend,
    backends_in_use,
)
from imagekit_registry.cachefiles.locks import PROCESS_CACHES
from imagekit_registry.conf import conf
from imagekit_registry.state import CacheStateStore, DatabaseStateStore, Status, get_state_store

__all__ = ["Part", "Pending", "SpecCount", "count_records", "describe_parts", "oldest_pending"]

T = TypeVar("T")


@attrs.frozen
class SpecCount:
    """How many records there are of one spec.

    Args:
        spec_id: The id of the spec.
        numbers: The number of records by status, of each status.
        size: The bytes of its files, as far as they are known.
    """

    spec_id: str
    numbers: dict[str, int]
    size: int


@attrs.frozen
class Pending:
    """An image that a worker was told to make, and that is not there.

    Args:
        spec_id: The id of its spec.
        source: What it is made of.
        seconds: How long ago the worker was told, in seconds.
    """

    spec_id: str
    source: str
    seconds: float


@attrs.frozen
class Part:
    """Something that images depend on.

    Args:
        kind: ``"store"``, ``"backend"`` or ``"lock"``.
        name: The name of its class.
        place: The alias of a cache or database, or a queue; empty if there is nothing to tell.
        waiting: The number of messages that wait in the queue; None if nobody can tell.
        keeps_hosts_apart: Of a lock: whether it does so, or keeps apart the processes of one host.
        problem: What it raised when it was asked just now; empty if it has answered.
    """

    kind: str
    name: str
    place: str = ""
    waiting: int | None = None
    keeps_hosts_apart: bool = True
    problem: str = ""


def count_records(rows: QuerySet[Any]) -> list[SpecCount]:
    """Return how many records there are of each spec, by one query.

    Args:
        rows: Rows of the table of records.
    """
    counted = rows.order_by("spec_id").values_list("spec_id", "status")
    found: dict[str, SpecCount] = {}
    for spec_id, status, number, size in counted.annotate(Count("pk"), Sum("size")):
        known = found.get(spec_id) or SpecCount(spec_id, dict.fromkeys(map(str, Status), 0), 0)
        # What failed may have the size of the image that it was.
        held = int(size or 0) if status == Status.EXISTS else 0
        numbers = {**known.numbers, status: number}
        found[spec_id] = SpecCount(spec_id, numbers, known.size + held)
    return list(found.values())


def oldest_pending(rows: QuerySet[Any]) -> Pending | None:
    """Return the image for which a worker was told first, of all that are not there yet."""
    waiting = rows.filter(status=Status.GENERATING, retry_at__isnull=False).order_by("retry_at")
    for spec_id, source, ends_at in waiting.values_list("spec_id", "source", "retry_at")[:1]:
        return Pending(spec_id, source, max(0.0, time.time() - (ends_at - conf.LOCK_TIMEOUT)))
    return None


def describe_parts() -> list[Part]:
    """Return the state store, the backends and the lock, each with what it answers now."""
    return [_describe_store(), *map(_describe_backend, backends_in_use()), _describe_lock()]


def _describe_store() -> Part:
    store, place = get_state_store(), ""
    if isinstance(store, DatabaseStateStore):
        place = store.rows().db
    elif isinstance(store, CacheStateStore):
        place = conf.CACHE_BACKEND
    _, problem = _ask(lambda: store.get_many(["imagekit"]))
    return Part("store", type(store).__name__, place, problem=problem)


def _describe_backend(backend: AbstractCacheFileBackend) -> Part:
    name = type(backend).__name__
    if not isinstance(backend, QueueBackend):
        return Part("backend", name)
    waiting, problem = _ask(backend.waiting)
    return Part("backend", name, backend.queue or "", waiting, problem=problem)


def _describe_lock() -> Part:
    cache = get_cache()
    _, problem = _ask(lambda: cache.get("imagekit"))
    place = conf.CACHE_BACKEND
    hosts = not isinstance(cache, PROCESS_CACHES)
    return Part("lock", type(cache).__name__, place, keeps_hosts_apart=hosts, problem=problem)


def _ask(question: Callable[[], T]) -> tuple[T | None, str]:
    """Return what a server answers, and what is raised instead."""
    breaker = Breaker("What the overview asks", meanwhile="it says so")
    answer = breaker.call(question, None)
    error = breaker.error
    return answer, f"{type(error).__name__}: {error}" if error is not None else ""
