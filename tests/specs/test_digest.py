"""Digests: one name for one recipe, everywhere."""

from __future__ import annotations

import decimal
import enum
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from django.utils.safestring import SafeString

from imagekit_registry.exceptions import NotCanonical
from imagekit_registry.processors import Adjust, ProcessorPipeline, ResizeToFill, ResizeToFit
from imagekit_registry.specs import canonical_text, digest

ROOT = Path(__file__).resolve().parents[2]


class Watermark:
    """A processor without state."""

    def process(self, image: Any) -> Any:
        return image


class Border:
    """A processor as written for pilkit."""

    def __init__(self, width: int) -> None:
        self.width = width

    def process(self, image: Any) -> Any:
        return image


class Slotted:
    """A processor with slots."""

    __slots__ = ("width",)

    def __init__(self, width: int) -> None:
        self.width = width


class Told(Border):
    """A processor that says itself what its digest is made of."""

    def __init__(self, font: Any, text: str) -> None:
        self.font = font
        self.text = text

    def digest_state(self) -> Any:
        return [self.text]


@attrs.frozen
class Early:
    """A processor before it got a new argument ..."""

    width: int = 1


@attrs.frozen
class Later:
    """... and the same one afterwards."""

    width: int = 1
    sharpen: bool = False


class Colour(enum.Enum):
    """Choices."""

    RED = 1


class TestSameRecipe:
    """What is the same recipe has the same digest."""

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            pytest.param([1, 2], (1, 2), id="list and tuple"),
            pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, id="order of options"),
            pytest.param({1, 2, 3}, {3, 1, 2}, id="order of a set"),
            pytest.param("tl", SafeString("tl"), id="text from a template"),
            pytest.param(ResizeToFill(50, 50), ResizeToFill(width=50, height=50), id="keywords"),
            pytest.param(ResizeToFit(50), ResizeToFit(50, None, True), id="default written out"),
            pytest.param(
                [Adjust(contrast=2)], ProcessorPipeline([Adjust(contrast=2.0)]), id="pipeline"
            ),
            pytest.param(Border(3), Border(3), id="object by its attributes"),
            pytest.param(Slotted(3), Slotted(3), id="object by its slots"),
            pytest.param(Told(object(), "a"), Told(object(), "a"), id="object by its own word"),
            pytest.param({"quality": 80}, {"quality": 80.0}, id="whole numbers"),
            pytest.param(decimal.Decimal("1.0"), decimal.Decimal("1.00"), id="decimals"),
        ],
    )
    def test_the_same_recipe_has_the_same_digest(self, one: Any, other: Any) -> None:
        """However it is written down."""
        assert digest(one) == digest(other)

    def test_a_recipe_has_the_same_digest_in_every_process(self) -> None:
        """Two interpreters with different hash seeds agree, and agree with this one."""
        code = (
            "from imagekit_registry.specs import digest;"
            "from imagekit_registry.processors import Adjust, ResizeToFill;"
            "print(digest([[ResizeToFill(50, 60), Adjust(contrast=1.2)], 'JPEG',"
            " {'quality': 90, 'progressive': True}, {'a', 'b', 'c'}]))"
        )
        seen = {
            subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for seed in ("1", "2")
        }
        here = digest(
            [
                [ResizeToFill(50, 60), Adjust(contrast=1.2)],
                "JPEG",
                {"quality": 90, "progressive": True},
                {"a", "b", "c"},
            ]
        )
        assert seen == {here}

    def test_a_recipe_keeps_its_digest_from_release_to_release(self) -> None:
        """A digest that is different here renames every file of every site."""
        assert digest([[ResizeToFill(50, 60)], "JPEG", {"quality": 90}]) == PINNED

    def test_a_recipe_is_not_renamed_by_a_new_argument_with_a_default(self) -> None:
        """What equals its default is left out."""
        early = canonical_text(Early(5)).replace("Early", "Later")
        assert early == canonical_text(Later(5))


PINNED = "cf2353b6d1c14e314d69afb88e113d03"


class TestOtherRecipe:
    """What is another recipe has another digest."""

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            pytest.param(ResizeToFill(50, 50), ResizeToFill(50, 51), id="an argument"),
            pytest.param(ResizeToFill(50, 50), ResizeToFit(50, 50), id="a processor"),
            pytest.param(Watermark(), Border(1), id="a class"),
            pytest.param(Border(1), Border(2), id="an attribute"),
            pytest.param(Slotted(1), Slotted(2), id="a slot"),
            pytest.param(Told(1, "a"), Told(1, "b"), id="its own word"),
            pytest.param(1, True, id="number and truth"),
            pytest.param("1", 1, id="text and number"),
            pytest.param(b"1", "1", id="bytes and text"),
            pytest.param(["bytes", "x"], b"x", id="a list that looks like a tag"),
            pytest.param(None, "None", id="nothing and its name"),
            pytest.param([[1], 2], [1, [2]], id="nesting"),
            pytest.param({"a": None}, {}, id="an option set to None"),
            pytest.param(Colour.RED, 1, id="a choice and its value"),
            pytest.param(float("nan"), float("inf"), id="odd numbers"),
        ],
    )
    def test_another_recipe_has_another_digest(self, one: Any, other: Any) -> None:
        """Any change of a recipe gives another name."""
        assert digest(one) != digest(other)


def _circle() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


class TestRefused:
    """What cannot be written down the same way everywhere is refused, with a remedy."""

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param(lambda image: image, id="lambda"),
            pytest.param(_circle(), id="circle"),
            pytest.param(
                type("Local", (), {"__qualname__": "f.<locals>.Local"})(), id="class in a function"
            ),
            pytest.param(iter([1]), id="iterator"),
        ],
    )
    def test_what_cannot_be_written_down_is_refused_by_name(self, value: Any) -> None:
        """The error is ours and says what to do."""
        with pytest.raises(NotCanonical, match=r"digest_state|top of a module|itself"):
            digest(value)
