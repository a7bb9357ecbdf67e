"""Specs with sources, and a way to call a command and read its report."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from django.core.files.storage import storages
from django.core.management import CommandError, call_command

from imagekit_registry import ImageSpec, register, unregister
from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.cachefiles.backends import BaseAsync
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.specs import StoredFile
from imagekit_registry.testing import forget_state

#: How JSON calls each thing that is found, and what the summary has the number under.
LISTS = {
    "failure": "failures",
    "foreign": "foreign",
    "forgotten": "forgotten",
    "left": "left",
    "outside": "outside",
    "problem": "problems",
    "removed": "removed",
    "wanted": "wanted",
}


class Group:
    """Sources by name, that can be taken away."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.storage: Any = None
        self.asked = 0

    def files(self) -> Iterator[Any]:
        """Yield the sources."""
        self.asked += 1
        for name in self.names:
            yield StoredFile(name, self.storage)

    def count(self) -> int:
        """Return how many there are."""
        return len(self.names)


class Later(BaseAsync):
    """A backend that writes down what a worker is to make."""

    def __init__(self) -> None:
        self.scheduled: list[str] = []

    def schedule_generation(self, file: Any, force: bool = False) -> None:
        """Take note of the file."""
        self.scheduled.append(file.name)


class Small(ImageSpec):
    """The first of two specs of the same sources."""

    processors = [ResizeToFit(60)]
    format = "JPEG"


class Large(ImageSpec):
    """The second one."""

    processors = [ResizeToFit(120)]
    format = "JPEG"


@attrs.define
class Result:
    """What a command wrote, and how it ended."""

    out: str
    err: str
    error: CommandError | None

    @property
    def status(self) -> int:
        """Its exit status."""
        return self.error.returncode if self.error else 0

    @property
    def document(self) -> dict[str, Any]:
        """Its summary, with a list of each kind of finding in the place of its number.

        They are all that stands on the standard output.
        """
        *findings, document = map(json.loads, self.out.splitlines())
        assert document.pop("event") == "summary"
        lists: dict[str, list[Any]] = {name: [] for name in LISTS.values()}
        for each in findings:
            event = each.pop("event")
            lists[LISTS[event]].append(each["file"] if [*each] == ["file"] else each)
        for name, found in lists.items():
            number = document.get(name, len(found))
            if isinstance(number, int):
                assert number == len(found)
                document[name] = found
        return dict(document)


@pytest.fixture
def run(db: None) -> Callable[..., Result]:
    """Return a function that calls a command as a process of its own would, with no memory."""

    def call(name: str, *args: str, **options: Any) -> Result:
        forget_state()
        out, err = io.StringIO(), io.StringIO()
        error = None
        try:
            call_command(name, *args, stdout=out, stderr=err, **options)
        except CommandError as caught:
            error = caught
        forget_state()
        return Result(out.getvalue(), err.getvalue(), error)

    return call


@pytest.fixture
def group(stored_photo: Any) -> Iterator[Group]:
    """Return a group of two sources that feed two specs."""
    group = Group([stored_photo("rocket.jpg"), stored_photo("coffee.png")])
    for id, spec in (("shop:photo:small", Small), ("shop:photo:large", Large)):
        register.generator(id, spec)
        register.source_group(id, group)
    yield group
    for id in ("shop:photo:small", "shop:photo:large"):
        unregister.source_group(id, group)
        unregister.generator(id)


@pytest.fixture
def files(group: Group) -> list[ImageCacheFile]:
    """Return the four cache files of the group."""
    return files_of(group)


def files_of(group: Group) -> list[ImageCacheFile]:
    """Return the cache files of a group as it is now."""
    return [
        get_image(id, source=source)
        for source in group.files()
        for id in ("shop:photo:small", "shop:photo:large")
    ]


def cached() -> set[str]:
    """Return the names of all files under the cache directory."""
    storage = storages["default"]

    def below(folder: str) -> Iterator[str]:
        folders, names = storage.listdir(folder)
        yield from (f"{folder}/{name}" for name in names)
        for name in folders:
            yield from below(f"{folder}/{name}")

    return set(below("CACHE")) if storage.exists("CACHE") else set()
