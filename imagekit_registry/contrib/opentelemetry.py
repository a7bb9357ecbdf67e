"""Spans and metrics of images for OpenTelemetry; needs the extra ``opentelemetry``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import attrs
from opentelemetry.metrics import Meter, MeterProvider, get_meter
from opentelemetry.trace import Span, Status, StatusCode, Tracer, TracerProvider, get_tracer

from imagekit_registry.imaging import observe_steps
from imagekit_registry.signals import generated, generation_failed, looked_up

__all__ = ["connect"]

_NAME = "imagekit_registry"
_UID = "imagekit_registry.opentelemetry"


@attrs.frozen(eq=False)
class _Spans:
    """Makes a span of each step.

    Args:
        tracer: What makes them.
        sources: Whether they name the sources, and say what exceptions say, which name them as well.
    """

    tracer: Tracer
    sources: bool

    @contextmanager
    def observe(self, name: str, attributes: Mapping[str, object]) -> Iterator[Any]:
        told: dict[str, Any] = {
            f"imagekit.{key}": value
            for key, value in attributes.items()
            if value is not None and (key != "source" or self.sources)
        }
        with (
            self.tracer.start_as_current_span(
                f"imagekit.{name}",
                attributes=told,
                record_exception=self.sources,
                set_status_on_exception=self.sources,
            ) as span,
            ExitStack() as stack,
        ):
            stack.push(partial(self._on_exit, span))
            yield partial(self._fail, span)

    def _on_exit(self, span: Span, kind: object, error: BaseException | None, _: object) -> None:
        # What somebody ends the process by is no failure of the image.
        if isinstance(error, Exception):
            self._fail(span, error)

    def _fail(self, span: Span, error: Exception) -> None:
        text = str(error) if self.sources else type(error).__name__
        span.set_status(Status(StatusCode.ERROR, text))


class _Metrics:
    """What counts; specs and causes are the only attributes."""

    def __init__(self, meter: Meter) -> None:
        self.made = meter.create_counter("imagekit.images.made", "{image}")
        self.failed = meter.create_counter("imagekit.images.failed", "{image}")
        self.lookups = meter.create_counter("imagekit.lookups", "{file}")
        self.bytes = meter.create_histogram("imagekit.image.size", "By")
        self.seconds = meter.create_histogram("imagekit.making.duration", "s")

    def on_generated(self, spec_id: str, seconds: float, bytes: int, **kwargs: object) -> None:
        self.made.add(1, {"imagekit.spec": spec_id})
        self.seconds.record(seconds, {"imagekit.spec": spec_id})
        self.bytes.record(bytes, {"imagekit.spec": spec_id})

    def on_failed(self, spec_id: str, error: Exception, **kwargs: object) -> None:
        cause = type(error).__name__
        self.failed.add(1, {"imagekit.spec": spec_id, "imagekit.cause": cause})

    def on_looked_up(self, outcome: str, count: int, **kwargs: object) -> None:
        self.lookups.add(count, {"imagekit.outcome": outcome})


def connect(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    *,
    sources: bool = False,
) -> None:
    """Make spans and metrics, from now on and in this process, of what becomes of images.

    Call it once, such as in ``ready()`` of an app. The span ``imagekit.generate`` is of all images
    that are made of one source together, and has the ids of their specs; within it are
    ``imagekit.decode``, ``imagekit.encode`` (with format, width and height) and ``imagekit.save``. The
    metrics are ``imagekit.images.made``, ``.images.failed``, ``.lookups``, ``.image.size`` (bytes) and
    ``.making.duration`` (seconds). Until then nothing is measured, at no cost.

    Args:
        tracer_provider: What gives the tracer; None: the global one.
        meter_provider: What gives the meter; None: the global one.
        sources: Whether spans name the files of your users, and hold the texts of exceptions, which
            name them as well.

    Example:
        >>> connect(sources=True)
    """
    spans = _Spans(get_tracer(_NAME, tracer_provider=tracer_provider), sources)
    observe_steps(spans.observe)
    metrics = _Metrics(get_meter(_NAME, meter_provider=meter_provider))
    for signal, receiver in (
        (generated, metrics.on_generated),
        (generation_failed, metrics.on_failed),
        (looked_up, metrics.on_looked_up),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=_UID)
