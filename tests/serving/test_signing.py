"""Signatures and tokens of on-demand URLs."""

from __future__ import annotations

import random
import string
from typing import Any
from urllib.parse import quote

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.test import Client

from imagekit_registry import ImageSpec, get_image, register
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.generatorlibrary import Rendition
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.serving.signing import Demand, is_signed, sign
from imagekit_registry.specs import StoredFile
from tests.serving.conftest import SPEC, Small
from tests.testapp.models import Photo

PARTS = ("shop:small", "eyJzIjoiYS5qcGcifQ", "a.webp")


class TestSignatures:
    """What we have said, and nobody else."""

    def test_a_signature_is_of_all_parts_of_the_url(self) -> None:
        """Whoever changes one of them has no signature for it."""
        signature = sign(*PARTS)
        assert is_signed(signature, *PARTS)
        for at in range(3):
            changed = list(PARTS)
            changed[at] += "x"
            assert not is_signed(signature, *changed)

    def test_a_signature_has_96_bits_or_more(self) -> None:
        """Each hexadecimal digit has four."""
        signature = sign(*PARTS)
        assert set(signature) <= set(string.hexdigits)
        assert len(signature) * 4 >= 96

    def test_a_part_of_a_url_cannot_give_letters_to_the_next(self) -> None:
        """What one part ends with does not count as the beginning of another."""
        assert not is_signed(sign("shop:small", "ab", "c"), "shop:small", "a", "bc")

    @pytest.mark.parametrize("signature", ["", "é", "\udcff", "0" * 10_000])
    def test_what_is_no_signature_at_all_is_a_wrong_one(self, signature: str) -> None:
        """Also where it cannot be compared as it is."""
        assert not is_signed(signature, *PARTS)

    def test_signatures_by_an_earlier_secret_key_are_good(self, settings: Any) -> None:
        """As long as it is among the fallbacks."""
        signature = sign(*PARTS)
        settings.SECRET_KEY = "another"
        assert sign(*PARTS) != signature
        assert not is_signed(signature, *PARTS)
        settings.SECRET_KEY_FALLBACKS = ["a third", "tests only"]
        assert is_signed(signature, *PARTS)


class TestTokens:
    """What says which image is meant."""

    def test_a_token_is_the_same_for_the_same_image(self) -> None:
        """Whatever the order in which its arguments were given."""
        one = Demand("a:b", "photos/a.jpg", {"width": 1, "crop": True})
        other = Demand("a:b", "photos/a.jpg", {"crop": True, "width": 1})
        assert one.encode() == other.encode()
        assert Demand.decode("a:b", one.encode()) == one

    def test_a_token_leads_to_the_image_that_it_was_made_of(self, name: str) -> None:
        """Also where that is another one's in another format and width."""
        thumbnail = get_image("imagekit:thumbnail", source=name, width=50, height=40, anchor="tr")
        narrow = ImageCacheFile(Rendition(thumbnail.generator, width=30))
        webp = ImageCacheFile(Rendition(narrow.generator, format="WEBP"))
        large = ImageCacheFile(Rendition(thumbnail.generator, times=1.7, quality=50))
        for file in (thumbnail, narrow, webp, large):
            demand = Demand.of(file)
            assert Demand.decode(demand.spec_id, demand.encode()).find_file() == file

    def test_a_source_in_another_storage_is_found_there(self, settings: Any, tmp_path: Any) -> None:
        """By the alias that all processes know."""
        backend = "django.core.files.storage.FileSystemStorage"
        other = {"BACKEND": backend, "OPTIONS": {"location": str(tmp_path)}}
        settings.STORAGES = {**settings.STORAGES, "other": other}
        storages["other"].save("a.jpg", ContentFile(b"x"))
        file = get_image(SPEC, source=StoredFile("a.jpg", storages["other"]))
        assert Demand.of(file).find_file().source.storage is storages["other"]

    @pytest.mark.parametrize(
        "kind", ["unregistered", "changed", "elsewhere", "content", "image", "row"]
    )
    def test_an_image_that_nobody_could_find_again_has_no_token(
        self, kind: str, name: str, tmp_path: Any
    ) -> None:
        """The error says which spec, why, and what to do."""
        register.generator("tests:row", ByRow)
        file = {
            "unregistered": lambda: ImageCacheFile(Small(name)),
            "changed": lambda: _changed(name),
            "elsewhere": lambda: get_image(
                SPEC, source=StoredFile("a.jpg", FileSystemStorage(tmp_path))
            ),
            "content": lambda: get_image(SPEC, source=ContentFile(b"x")),
            "image": lambda: get_image(SPEC, source=get_image(SPEC, source=name)),
            "row": lambda: get_image("tests:row", source=Photo(original_image=name).original_image),
        }[kind]()
        with pytest.raises(InvalidArgument, match=r"has no on-demand URL: .+ Register its spec"):
            Demand.of(file)

    def test_a_generator_without_a_source_has_a_token(self) -> None:
        """Its arguments say all of it."""

        class Swatch:
            format = "PNG"

            def __init__(self, color: str) -> None:
                self.color = color

            def get_hash(self) -> str:
                return f"{self.color:x<32}"

        register.generator("tests:swatch", Swatch)
        file = get_image("tests:swatch", color="teal")
        assert Demand.of(file).find_file().name == file.name


class ByRow(ImageSpec):
    """A recipe that depends on the row that has the source."""

    format = "PNG"

    @property
    def processors(self) -> Any:
        return [ResizeToFit(10 + len(self.source.instance.title))]


def _changed(name: str) -> ImageCacheFile:
    file = get_image(SPEC, source=name)
    file.generator.format = "PNG"
    return ImageCacheFile(file.generator)


class TestMutations:
    """Urls that somebody has changed."""

    @pytest.mark.parametrize("seed", range(4))
    def test_a_url_that_was_changed_is_forbidden(
        self, seed: int, small: Any, client: Client
    ) -> None:
        """Whatever was changed, nothing is looked up and nothing fails."""
        chance = random.Random(seed)
        url = small().demand_url()
        _, start, *parts = url.split("/")
        letters = [*string.ascii_letters, *string.digits, *"-_.~:=+%&\x00\n é\U0001f600\\"]
        for _ in range(250):
            changed = list(parts)
            at = chance.randrange(len(parts))
            text = list(changed[at])
            for _ in range(chance.choice([1, 1, 1, 2, 5])):
                _mutate(text, chance, letters)
            changed[at] = "".join(text) or "x"
            if changed == parts:
                continue
            response = client.get("/".join(["", start, *map(quote, changed)]))
            assert response.status_code == 403, changed
        assert client.get(url).status_code == 200


def _mutate(text: list[str], chance: random.Random, letters: list[str]) -> None:
    at = chance.randrange(len(text) + 1)
    kind = chance.choice(["change", "insert", "delete", "cut", "swap"])
    if kind == "insert" or at == len(text):
        text.insert(at, chance.choice(letters))
    elif kind == "change":
        text[at] = chance.choice([letter for letter in letters if letter != text[at]])
    elif kind == "delete":
        del text[at]
    elif kind == "cut":
        del text[at:]
    else:
        text[at] = text[at].swapcase()
