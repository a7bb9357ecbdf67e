"""The one way in which cache files come to exist: decide, lock, look again, render, publish, record."""

from __future__ import annotations

import time
from collections.abc import Sequence

from imagekit_registry.cachefiles._making import Making, decide, refuse_retry
from imagekit_registry.cachefiles.existence import fetch, remember
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.results import Item, News, Policy, Result, ResultStatus
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import ImageKitError

__all__ = ["Making", "decide", "generate", "refuse_retry"]


def generate(files: Sequence[CacheFile], policy: Policy | None = None) -> list[Result]:
    """Make *files* of one source, of one decode; each once, however many ask for it.

    Files that somebody else is making are waited for, up to ``IMAGEKIT_LOCK_WAIT`` seconds.

    Args:
        files: Cache files of one source, whose backends make them here.
        policy: When they are made; None: those that are missing.

    Returns:
        What became of each; nothing is raised for single files.
    """
    policy = policy or Policy()
    records = fetch(files)
    items = [Item(*pair, [at]) for at, pair in enumerate(zip(files, records, strict=True))]
    results: list[Result] = []
    wanted = []
    news: News = []
    for item in items:
        try:
            if decide(item, policy, news):
                wanted.append(item)
            else:
                results += item.results(ResultStatus.EXISTING)
        except ImageKitError as error:
            results += item.results(ResultStatus.FAILED, error)
    remember(news)
    making = Making(wanted, policy)
    ends_at = time.monotonic() + conf.LOCK_WAIT
    while making.items:
        left = making.lock(max(ends_at - time.monotonic(), 0.001) if making.contended else 0)
        making.make()
        with making.locks:
            results += making.finish()
            remember(making.news)
        making = Making(left, policy, contended=True)
    return sorted(results, key=lambda result: result.position)
