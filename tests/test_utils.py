"""Helpers under the names that code written for django-imagekit imports."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import IO

from django.core.files.base import ContentFile

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.utils import call_strategy_method, generate, get_logger
from tests.testapp.models import Thumbnail


def test_the_logger_has_a_handler_that_writes_nothing() -> None:
    """Unless it is not wanted."""
    handlers = get_logger("tests.with").handlers
    assert [type(handler) for handler in handlers] == [logging.NullHandler]
    assert get_logger("tests.without", add_null_handler=False).handlers == []
    assert get_logger().name == "imagekit_registry"


def test_a_method_of_a_strategy_is_called_if_there_is_one() -> None:
    """A strategy of one's own may lack any of them."""
    told: list[ImageCacheFile] = []
    file = ImageCacheFile(
        Thumbnail("photos/a.jpg"), cachefile_strategy={"on_source_saved": told.append}
    )
    call_strategy_method(file, "on_source_saved")
    call_strategy_method(file, "on_something_else")
    assert told == [file]


def test_what_a_generator_makes_is_a_file_that_knows_its_size(photos: Path) -> None:
    """At its start, for a storage to save; also where it is made on the disk."""

    class Copied:
        def generate(self) -> IO[bytes]:
            return (photos / "rocket.jpg").open("rb")

    for generator in (
        Thumbnail(ContentFile((photos / "rocket.jpg").read_bytes(), "a.jpg")),
        Copied(),
    ):
        with generate(generator) as file:
            assert file.tell() == 0
            assert file.size == len(file.read()) > 0
