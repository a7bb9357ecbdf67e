"""The inventory: which ids a pattern means, and what all sources of all generators call for."""

from __future__ import annotations

from typing import Any

import pytest

from imagekit_registry import register, unregister
from imagekit_registry.maintenance.inventory import (
    Errors,
    Inventory,
    compile_pattern,
    every_batch,
    expected_count,
    in_chunks,
)
from imagekit_registry.specs import ImageSpec, StoredFile


class Small(ImageSpec):
    """A spec of which nothing is made here."""

    format = "JPEG"


class Group:
    """Sources of these names."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def files(self) -> Any:
        """Yield the sources."""
        return (StoredFile(name, None) for name in self.names)


@pytest.fixture
def fed() -> Any:
    """Return a function that feeds a spec with sources until the end of the test."""
    known: list[tuple[str, Any]] = []

    def feed(spec_id: str, group: Any) -> None:
        register.generator(spec_id, Small)
        register.source_group(spec_id, group)
        known.append((spec_id, group))

    yield feed
    for spec_id, group in known:
        unregister.source_group(spec_id, group)
        unregister.generator(spec_id)


class TestPatterns:
    """Which specs are meant."""

    @pytest.mark.parametrize(
        ("pattern", "matched", "others"),
        [
            pytest.param("a:b", ["a:b", "a:b:c"], ["a", "a:bc", "x:a:b"], id="prefix"),
            pytest.param("a:*:c", ["a:b:c", "a:b:c:d"], ["a:b:x:c", "a:c"], id="star"),
            pytest.param("a:**:c", ["a:b:c", "a:b:x:c"], ["a:c", "b:b:c"], id="two stars"),
            pytest.param("a*:c", ["a:c", "ab:c"], ["a:b:c"], id="star within a segment"),
            pytest.param("*", ["a", "a:b"], [], id="everything"),
            pytest.param("a.b", ["a.b"], ["axb"], id="a point is a point"),
        ],
    )
    def test_patterns_match_as_documented(
        self, pattern: str, matched: list[str], others: list[str]
    ) -> None:
        """`*` stays in its segment, `**` does not, and what lies under a match matches."""
        expression = compile_pattern(pattern)
        assert all(expression.match(id) for id in matched)
        assert not any(expression.match(id) for id in others)


class TestBatches:
    """What is gone through together."""

    def test_files_of_one_source_come_in_one_batch(self, fed: Any) -> None:
        """They are made of one decode; a batch has about a hundred files."""
        group = Group(*(f"photos/{index}.jpg" for index in range(101)))
        fed("tests:a", group)
        fed("tests:b", group)
        errors: Errors = []
        batches = list(every_batch(["tests:a", "tests:b"], errors))
        assert [len(batch) for batch in batches] == [100, 100, 2]
        names = [file.source.name for batch in batches for file in batch]
        assert names == [name for name in group.names for _ in range(2)]
        assert errors == []

    def test_a_group_that_cannot_count_leaves_the_number_open(self, fed: Any) -> None:
        """The bar of progress has no end then."""
        fed("tests:a", Group("photos/a.jpg"))
        assert expected_count(["tests:a"]) is None
        assert expected_count([]) == 0

    def test_a_source_group_counts_its_sources_once_for_all_its_generators(self, fed: Any) -> None:
        """In a large table that takes a while."""
        asked: list[str] = []

        class Counted(Group):
            def count(self) -> int:
                asked.append("count")
                return len(self.names)

        group = Counted("a.jpg", "b.jpg", "c.jpg")
        fed("tests:a", group)
        fed("tests:b", group)

        assert expected_count(["tests:a", "tests:b"]) == 6
        assert asked == ["count"]

    def test_of_many_errors_the_first_are_kept(self, fed: Any, monkeypatch: Any) -> None:
        """Each is a kilobyte; that there are any keeps files."""
        monkeypatch.setattr("imagekit_registry.maintenance.inventory.MOST_ERRORS", 2)

        class Broken(Group):
            def files(self) -> Any:
                raise RuntimeError("no such table")

        for number in range(5):
            fed(f"tests:{number}", Broken())
        inventory = Inventory()
        inventory.take()

        assert len(inventory.errors) == 2

    def test_chunks_have_everything_once_and_in_order(self) -> None:
        """The last one may be shorter."""
        assert list(in_chunks(iter("abcde"), 2)) == [["a", "b"], ["c", "d"], ["e"]]
        assert list(in_chunks("")) == []


class TestInventory:
    """The files that are called for."""

    @pytest.mark.django_db
    def test_sources_are_called_for_as_well_as_files(self, fed: Any) -> None:
        """The image of one spec may be the source of another's."""
        group = Group("photos/a.jpg")
        fed("tests:a", group)
        inventory = Inventory()
        inventory.take()
        (file,) = next(every_batch(["tests:a"], []))
        assert ("", str(file.name)) in inventory
        assert inventory.holds("photos/a.jpg")
        assert not inventory.holds("photos/b.jpg")
        assert "tests:a" in inventory.fed
