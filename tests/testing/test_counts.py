"""Counts of what is asked of storages and of the state store, for the tests of projects."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, storages

from imagekit_registry import get_image
from imagekit_registry.testing import assert_state_trips, assert_storage_calls, forget_state
from tests.pages import Banner, registered, render

PAGE = "{% generateimage 'tests:banner' source=n %}"


@pytest.fixture(autouse=True)
def specs() -> Any:
    """Register the spec of the page."""
    with registered(banner=Banner):
        yield


def test_a_warm_page_asks_no_storage_and_no_store(name: str) -> None:
    """A process that has just started makes one trip to the store."""
    render(PAGE, n=name)
    with assert_storage_calls(0), assert_state_trips(0):
        render(PAGE, n=name)
    forget_state()
    with assert_storage_calls(0), assert_state_trips(1) as trips:
        render(PAGE, n=name)
    assert trips[0].startswith("CacheStateStore.get_many(")


@pytest.mark.django_db
def test_trips_to_the_table_are_counted(name: str, settings: Any) -> None:
    """The store is what the settings say."""
    settings.IMAGEKIT_STATE_STORE = "database"
    get_image("tests:banner", source=name).generate()
    forget_state()
    with assert_state_trips(1) as trips:
        assert get_image("tests:banner", source=name).exists()
    assert trips[0].startswith("DatabaseStateStore.get_many(")


def test_what_a_storage_calls_of_its_own_is_a_part_of_the_call() -> None:
    """Any storage counts, also one that no setting names."""
    memory = InMemoryStorage()
    with assert_storage_calls(3) as calls:
        memory.save("a.txt", ContentFile(b"a"))
        storages["default"].exists("b.txt")
        memory.open("a.txt").close()
    assert calls[0].startswith("InMemoryStorage.save('a.txt', ")
    assert calls[1:] == ["FileSystemStorage.exists('b.txt')", "InMemoryStorage.open('a.txt')"]


@pytest.mark.parametrize("block", [assert_storage_calls, assert_state_trips])
def test_a_wrong_count_lists_what_was_asked(block: Any, name: str) -> None:
    """So that one sees at once what is too much."""
    with pytest.raises(AssertionError, match=r"where 0 are expected\.\n  \w+\.\w+\("), block(0):
        get_image("tests:banner", source=name).generate()
    with pytest.raises(AssertionError, match=r"0 .*, where 2 are expected"), block(2):
        pass


def test_the_error_of_a_block_is_not_replaced_by_its_count() -> None:
    """And nothing is counted after it."""
    with pytest.raises(ZeroDivisionError), assert_storage_calls(5) as calls:
        _ = 1 / 0
    storages["default"].exists("a.txt")
    assert calls == []
