"""Specs and sources of which several test modules make files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from PIL import Image

from imagekit_registry import ImageSpec, register, unregister
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.imaging import PillowDecoder
from imagekit_registry.processors import ResizeToFill, ResizeToFit
from tests.storages import CountingStorage

WIDTHS = (320, 160, 80, 40)


class Thumbnail(ImageSpec):
    """A spec as in the documentation."""

    processors = [ResizeToFill(100, 60)]
    format = "JPEG"
    options = {"quality": 60}


class Small(ImageSpec):
    """One of several specs of the same source."""

    processors = [ResizeToFill(64, 48)]
    format = "JPEG"


def wide(width: int) -> type[ImageSpec]:
    """Return a spec of the given width."""
    return type(f"Wide{width}", (ImageSpec,), {"processors": [ResizeToFit(width)]})


class Explosive:
    """A processor that fails."""

    def process(self, image: Any) -> Any:
        raise RuntimeError("no ink")


class Own(ImageSpec):
    """A spec with a way of its own to make images."""

    format = "PNG"

    def generate(self) -> Any:
        content = ContentFile(b"", "own.png")
        Image.new("RGB", (5, 4)).save(content, "PNG")
        content.seek(0)
        return content


@pytest.fixture
def spec_id() -> Iterator[str]:
    """Register the spec while the test runs."""
    register.generator("tests:file", Thumbnail)
    yield "tests:file"
    unregister.generator("tests:file")


@pytest.fixture
def counting(tmp_path: Path, photos: Path) -> CountingStorage:
    """Return a storage with a photograph called a.jpg that counts what is asked of it."""
    storage = CountingStorage(location=str(tmp_path / "counting"))
    storage.save("a.jpg", ContentFile((photos / "rocket.jpg").read_bytes()))
    storage.calls.clear()
    return storage


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that grows by one with each source that the decoder opens."""
    opened: list[Any] = []
    original = PillowDecoder.open

    def count(self: Any, file: Any, *args: Any, **kwargs: Any) -> Any:
        opened.append(file)
        return original(self, file, *args, **kwargs)

    monkeypatch.setattr(PillowDecoder, "open", count)
    return opened


def files_of(name: Any, widths: tuple[int, ...] = WIDTHS, **kwargs: Any) -> list[ImageCacheFile]:
    return [ImageCacheFile(wide(width)(name), **kwargs) for width in widths]


class Gate:
    """A processor that lets nobody through until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def digest_state(self) -> str:
        """Return what tells it from others."""
        return ""

    def output_size(self, size: Any) -> Any:
        """Return the size of the image that it is given."""
        return size

    def process(self, image: Any) -> Any:
        """Wait."""
        self.opened.wait(20)
        return image


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Return a gate that is open in the end."""
    gate = Gate()
    yield gate
    gate.opened.set()
