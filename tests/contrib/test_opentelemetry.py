"""Spans and metrics of images, as an exporter of OpenTelemetry gets them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from imagekit_registry import get_image
from imagekit_registry.cachefiles import ImageCacheFile, generate_many
from imagekit_registry.exceptions import GenerationError
from imagekit_registry.imaging import observe_steps
from imagekit_registry.signals import generated, generation_failed, looked_up
from tests.pages import Banner, Wide, registered
from tests.storages import BrokenStorage

pytest.importorskip("opentelemetry.sdk")
pytest.importorskip("opentelemetry.trace")


class Site:
    """A site whose spans and metrics are kept."""

    def __init__(self, **options: Any) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        from imagekit_registry.contrib import opentelemetry

        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        meters = MeterProvider(metric_readers=[self.reader])
        opentelemetry.connect(self.tracers, meters, **options)

    @property
    def spans(self) -> list[Any]:
        """The spans that have ended, in the order of their beginning."""
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time)

    def metrics(self) -> dict[str, Any]:
        """Return the points of every metric, by its name."""
        data = self.reader.get_metrics_data()
        assert data is not None
        (resource,) = data.resource_metrics
        return {
            metric.name: [
                (dict(point.attributes or {}), point) for point in metric.data.data_points
            ]
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture(autouse=True)
def specs() -> Iterator[None]:
    """Register two specs, and disconnect in the end."""
    with registered(banner=Banner, wide=Wide):
        yield
    observe_steps(None)
    for signal in (generated, generation_failed, looked_up):
        signal.disconnect(dispatch_uid="imagekit_registry.opentelemetry")


def test_each_step_is_a_span_within_that_of_the_source(name: str) -> None:
    """Two images of one source: one decode, and an encode and a save for each, in the request's trace."""
    site = Site()
    files = [get_image(f"tests:{spec}", source=name) for spec in ("banner", "wide")]
    with site.tracers.get_tracer("a page").start_as_current_span("request"):
        generate_many(files)
    request, generate, *steps = site.spans
    assert generate.parent.span_id == request.context.span_id
    assert generate.name == "imagekit.generate"
    assert set(generate.attributes["imagekit.specs"]) == {"tests:banner", "tests:wide"}
    assert [span.name.partition(".")[2] for span in steps] == [
        *("decode", "encode", "encode"),
        *("save", "save"),
    ]
    assert {span.parent.span_id for span in steps} == {generate.context.span_id}
    sizes = {(s.attributes["imagekit.width"], s.attributes["imagekit.height"]) for s in steps[1:3]}
    assert sizes == {(120, 40), (600, 400)}
    assert {span.attributes["imagekit.format"] for span in steps[1:3]} == {"JPEG"}
    assert all(span.status.is_unset for span in site.spans)


@pytest.mark.parametrize("sources", [False, True])
def test_a_failure_ends_its_span_as_an_error(sources: bool) -> None:
    """With the kind of the exception; with its text, which names the file, if that is wanted."""
    site = Site(sources=sources)
    bad = storages["default"].save("photos/secret.jpg", ContentFile(b"no image"))
    with pytest.raises(GenerationError):
        get_image("tests:banner", source=bad).generate()
    (generate,) = site.spans
    assert not generate.status.is_ok
    assert (generate.status.description == "UnreadableImage") is not sources
    assert ("secret" in generate.to_json()) is sources
    assert generate.attributes.get("imagekit.source") == (bad if sources else None)


def test_a_storage_that_fails_is_the_error_of_the_save(name: str) -> None:
    """The step that was at fault says so, and the source's span as well."""
    site = Site()
    storage = BrokenStorage()
    storage.failures["save"] = PermissionError("no")
    with pytest.raises(GenerationError):
        ImageCacheFile(Banner(name), storage=storage).generate()
    failed = {span.name for span in site.spans if span.status.description}
    assert failed == {"imagekit.generate", "imagekit.save"}
    assert not any(span.events for span in site.spans)


def test_metrics_count_what_was_made_failed_and_looked_up(name: str) -> None:
    """With bytes and seconds; specs, causes and outcomes are all that they are told by."""
    site = Site()
    file = get_image("tests:banner", source=name)
    file.generate()
    bad = storages["default"].save("photos/secret.jpg", ContentFile(b"no image"))
    with pytest.raises(GenerationError):
        get_image("tests:banner", source=bad).generate()
    metrics = site.metrics()
    ((attributes, made),) = metrics["imagekit.images.made"]
    assert (attributes, made.value) == ({"imagekit.spec": "tests:banner"}, 1)
    ((attributes, failed),) = metrics["imagekit.images.failed"]
    assert attributes == {"imagekit.spec": "tests:banner", "imagekit.cause": "UnreadableImage"}
    assert failed.value == 1
    ((_, size),) = metrics["imagekit.image.size"]
    assert size.sum == file.size
    ((_, seconds),) = metrics["imagekit.making.duration"]
    assert 0 < seconds.sum < 10
    outcomes = {point[0]["imagekit.outcome"] for point in metrics["imagekit.lookups"]}
    assert outcomes == {"no_record", "no_file"}
