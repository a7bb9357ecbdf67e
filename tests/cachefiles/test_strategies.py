"""Strategies: when a cache file must exist, in each form in which one may be given."""

from __future__ import annotations

from typing import Any

import pytest

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles import ImageCacheFile, namers
from imagekit_registry.cachefiles.backends import Simple
from imagekit_registry.cachefiles.strategies import (
    EagerThenJustInTime,
    Frozen,
    JustInTime,
    OnDemand,
    Optimistic,
    PreCache,
    load_strategy,
    makes_when_required,
    makes_when_saved,
    reacts_to,
)
from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.processors import ResizeToFit

EVENTS = [
    "on_existence_required",
    "on_content_required",
    "on_source_saved",
    "on_source_deleted",
]


class File:
    """Notes what a strategy does to it."""

    cachefile_backend = Simple()

    def __init__(self) -> None:
        self.done: list[str] = []

    def generate(self, force: bool = False) -> None:
        self.done.append("made anew" if force else "made")

    def delete(self) -> None:
        self.done.append("deleted")


class Own:
    """A strategy of a project, which has one method."""

    def on_source_saved(self, file: Any) -> None:
        file.generate()


class TestShipped:
    """The strategies that come with the library."""

    @pytest.mark.parametrize(
        ("strategy", "done"),
        [
            (JustInTime, ["made", "made", "deleted", "deleted"]),
            (OnDemand, ["made", "deleted", "deleted"]),
            (Optimistic, ["made anew", "deleted"]),
            (EagerThenJustInTime, ["made", "made", "made anew", "deleted"]),
            (Frozen, ["deleted", "deleted"]),
        ],
    )
    def test_a_strategy_makes_and_deletes_files_when_it_says(
        self, strategy: Any, done: list[str]
    ) -> None:
        """When a file is asked for, read, of a new source, and of none any more."""
        file = File()
        for event in EVENTS:
            getattr(strategy(), event)(file)
        assert file.done == done

    @pytest.mark.parametrize(
        ("strategy", "required", "saved"),
        [
            (JustInTime, True, False),
            (OnDemand, False, False),
            (Optimistic, False, True),
            (EagerThenJustInTime, True, True),
            (Frozen, False, False),
        ],
    )
    def test_a_strategy_that_only_makes_files_is_known_as_one(
        self, strategy: Any, required: bool, saved: bool
    ) -> None:
        """What it would do one by one may be done for many files together."""
        assert makes_when_required(strategy()) is required
        assert makes_when_saved(strategy()) is saved


class Large(ImageSpec):
    """An image that pages of this host never make."""

    processors = [ResizeToFit(100, 100)]
    format = "JPEG"
    cachefile_strategy = Frozen


class TestFrozen:
    """A host that must make nothing."""

    @pytest.mark.parametrize(
        "namer", [None, namers.source_name_and_field], ids=["by digest", "by field"]
    )
    def test_a_frozen_page_shows_what_stands_in_until_others_have_made_the_image(
        self, name: str, namer: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of the size of the image to come; nothing is made, whatever is asked of it."""
        monkeypatch.setattr(Large, "namer", namer)
        file = ImageCacheFile(Large(name))
        assert file.url.startswith("data:image/svg+xml,")
        assert (file.width, file.height) == (100, 67)
        with pytest.raises(FileNotFoundError):
            file.read()
        assert not file.storage.exists(str(file.name))
        ImageCacheFile(Large(name), cachefile_strategy=JustInTime).generate()
        assert ImageCacheFile(Large(name)).url == file.storage.url(file.name)
        with ImageCacheFile(Large(name)).open() as content:
            assert content.read()

    def test_a_frozen_page_shows_nothing_in_place_of_an_error_under_debug(
        self, name: str, settings: Any
    ) -> None:
        """That an image is not made yet is none."""
        settings.DEBUG = True
        assert ImageCacheFile(Large(name)).url.startswith("data:image/svg+xml,")

    def test_a_frozen_image_is_true_if_it_or_what_stands_in_can_be_shown(self, name: str) -> None:
        """As templates ask."""
        assert ImageCacheFile(Large(name))
        empty = Large(name)
        empty.fallback = "empty"
        assert not ImageCacheFile(empty)


class TestLoading:
    """What users give."""

    @pytest.mark.parametrize(
        "given",
        [
            pytest.param(f"{__name__}.Own", id="path"),
            pytest.param(Own, id="class"),
            pytest.param(Own(), id="instance"),
            pytest.param({"on_source_saved": Own().on_source_saved}, id="dict"),
        ],
    )
    def test_what_a_strategy_lacks_is_supplied(self, given: Any) -> None:
        """It does nothing, and nobody has to ask whether it is there."""
        strategy = load_strategy(given)
        file = File()
        for event in EVENTS:
            getattr(strategy, event)(file)
        assert file.done == ["made"]
        assert [event for event in EVENTS if reacts_to(strategy, event)] == ["on_source_saved"]

    def test_our_own_strategies_are_what_they_were(self) -> None:
        """Nothing is put around them."""
        strategy = EagerThenJustInTime()
        assert load_strategy(strategy) is strategy
        assert type(load_strategy(EagerThenJustInTime)) is EagerThenJustInTime
        assert PreCache is EagerThenJustInTime

    @pytest.mark.parametrize(
        ("given", "text"),
        [
            pytest.param({"on_source_saved": 1}, "1 as 'on_source_saved'", id="no callable"),
            pytest.param(object(), "none of the methods on_existence_required", id="no methods"),
            pytest.param("no.such.Strategy", "no.such", id="no path"),
        ],
    )
    def test_what_is_no_strategy_is_refused(self, given: Any, text: str) -> None:
        """The message names the value, and what is wrong with it."""
        with pytest.raises(InvalidConfiguration, match=text):
            load_strategy(given)
