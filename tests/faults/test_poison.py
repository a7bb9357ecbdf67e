"""What an enemy can write into caches, records and names, and what may come of it: nothing."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches

from imagekit_registry.cachefiles import get_image
from imagekit_registry.cachefiles.backends import Message
from imagekit_registry.exceptions import InvalidMessage
from imagekit_registry.models.records import CacheFileRecordRow
from imagekit_registry.state import CacheFileRecord
from imagekit_registry.testing import forget_state
from imagekit_registry.workers import make_images
from tests.pages import Banner, registered, render, served


class Exploit:
    """An object whose pickle leaves a file behind when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Return the file that a poison leaves behind."""
    return tmp_path / "run"


def poisons(mark: Path) -> list[Any]:
    """Return a pickle as the types that a record could be taken for."""
    data = pickle.dumps(Exploit(mark), protocol=0)
    return [data, data.decode("latin-1"), bytearray(data), pickle.dumps(Exploit(mark)), [data]]


def test_the_poison_runs_where_it_is_unpickled(mark: Path) -> None:
    """These tests could fail: what they lay out does run when it is unpickled."""
    pickle.loads(poisons(mark)[0])
    assert mark.exists()


@pytest.mark.parametrize("index", range(5))
def test_a_poisoned_cache_runs_nothing(index: int, mark: Path, stored_photo: Any) -> None:
    """A pickle under the key of a record is no record: the page is right, and nothing has run."""
    name = stored_photo()
    with registered(banner=Banner):
        file = get_image("tests:banner", source=name)
        key = file.cachefile_backend.get_key(file)
        caches["default"].set(key, poisons(mark)[index])
        forget_state()
        html = render("{% generateimage 'tests:banner' source=photo %}", photo=name)
    assert served(html.partition('src="')[2].partition('"')[0]).size == (120, 40)
    assert not mark.exists()


@pytest.mark.parametrize("index", range(5))
def test_a_poisoned_record_is_no_record(index: int, mark: Path) -> None:
    """Reading records knows one format, which is no pickle."""
    assert CacheFileRecord.decode(poisons(mark)[index]) is None
    assert not mark.exists()


@pytest.mark.parametrize("index", range(5))
def test_a_poisoned_queue_runs_nothing(index: int, mark: Path) -> None:
    """What a worker takes out of its queue is a signed message, or nothing to it."""
    with pytest.raises(InvalidMessage):
        make_images(poisons(mark)[index])
    assert not mark.exists()


def test_a_message_is_not_unpickled(mark: Path, stored_photo: Any) -> None:
    """Wherever in it a pickle may lie, signed though it is."""
    for poison in poisons(mark)[:2]:
        text = str(poison)
        parts: dict[str, Any] = {"spec": text, "digest": text, "arguments": {}, "source": None}
        make_images(Message([parts]).encode())
        with registered(banner=Banner):
            source = {"storage": "default", "name": text}
            make_images(Message([{**parts, "spec": "tests:banner", "source": source}]).encode())
    assert not mark.exists()


@pytest.mark.django_db(transaction=True)
def test_a_poisoned_table_runs_nothing(mark: Path, stored_photo: Any, settings: Any) -> None:
    """The same in the database."""
    settings.IMAGEKIT_STATE_STORE = "database"
    name = stored_photo()
    poison = poisons(mark)[1]
    with registered(banner=Banner):
        file = get_image("tests:banner", source=name)
        assert file.url
        assert CacheFileRecordRow.objects.count() == 1
        for field in CacheFileRecordRow._meta.get_fields():
            if getattr(field, "get_internal_type", str)() == "TextField":
                CacheFileRecordRow.objects.update(**{field.name: poison})
        forget_state()
        html = render("{% generateimage 'tests:banner' source=photo %}", photo=name)
    assert "<img" in html
    assert not mark.exists()
