"""Counts and histograms of images for Prometheus; needs the extra ``prometheus``."""

from __future__ import annotations

from functools import cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

from imagekit_registry.signals import generated, generation_failed, looked_up

__all__ = ["connect"]

_UID = "imagekit_registry.prometheus"
#: Bounds, in bytes, from a thumbnail to what a page should not show.
_BYTES = [2**power for power in range(10, 25, 2)]


class _Metrics:
    """The metrics of one registry, and what counts for them.

    Specs and causes are the only labels: no file has a name here, and their number is small.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.made = Counter(
            "imagekit_images_made", "Images that were made.", ["spec"], registry=registry
        )
        self.seconds = Histogram(
            "imagekit_making_seconds",
            "Seconds from the first look at a source until an image of it was published.",
            ["spec"],
            registry=registry,
        )
        self.bytes = Histogram(
            "imagekit_image_bytes",
            "Sizes of the images that were made.",
            ["spec"],
            registry=registry,
            buckets=_BYTES,
        )
        self.failed = Counter(
            "imagekit_images_failed",
            "Tries to make an image that have failed, by the exception.",
            ["spec", "cause"],
            registry=registry,
        )
        self.lookups = Counter(
            "imagekit_lookups",
            "Files about which the state store (record, no_record) or a storage (file, no_file) was"
            " asked.",
            ["outcome"],
            registry=registry,
        )

    def on_generated(self, spec_id: str, seconds: float, bytes: int, **kwargs: object) -> None:
        self.made.labels(spec_id).inc()
        self.seconds.labels(spec_id).observe(seconds)
        self.bytes.labels(spec_id).observe(bytes)

    def on_failed(self, spec_id: str, error: Exception, **kwargs: object) -> None:
        self.failed.labels(spec_id, type(error).__name__).inc()

    def on_looked_up(self, outcome: str, count: int, **kwargs: object) -> None:
        self.lookups.labels(outcome).inc(count)


@cache
def _metrics_of(registry: CollectorRegistry) -> _Metrics:
    return _Metrics(registry)


def connect(registry: CollectorRegistry = REGISTRY) -> None:
    """Count, from now on and in this process, what becomes of images.

    Call it once, such as in ``ready()`` of an app. There are ``imagekit_images_made_total``,
    ``imagekit_making_seconds`` and ``imagekit_image_bytes`` by ``spec``,
    ``imagekit_images_failed_total`` by ``spec`` and ``cause``, and ``imagekit_lookups_total`` by
    ``outcome``, as the signal `looked_up` has them. Until then nothing is counted, at no cost.

    Args:
        registry: Where the metrics are registered.

    Example:
        >>> connect()
    """
    metrics = _metrics_of(registry)
    for signal, receiver in (
        (generated, metrics.on_generated),
        (generation_failed, metrics.on_failed),
        (looked_up, metrics.on_looked_up),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=_UID)
