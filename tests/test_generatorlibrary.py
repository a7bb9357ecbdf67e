"""Generators that every project has."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.generatorlibrary import (
    ADMIN_PREVIEW_ID,
    THUMBNAIL_ID,
    Rendition,
    Thumbnail,
)
from imagekit_registry.html import plan_picture, show
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.registry import generator_registry
from tests.pages import Banner, elements, registered, render


class Odd(ImageSpec):
    """A spec with everything that may differ."""

    format = "JPEG"
    options = {"quality": 33}
    animated = False
    background = "#123456"
    metadata = "copyright"
    fallback = "empty"

    @property
    def processors(self) -> Any:
        return [ResizeToFill(60, 40)]

    @processors.setter
    def processors(self, value: Any) -> None:
        raise AssertionError("a rendition changed the spec it is made of")

    def namer(generator: Any) -> str:  # noqa: N805
        return f"odd/{generator.get_hash()}"


class OwnWay(Banner):
    """A spec that makes its images in a way of its own."""

    def generate(self) -> Any:
        raise AssertionError("not asked for")


class TestRendition:
    """What a spec makes, in another format or width."""

    def test_a_rendition_keeps_all_that_is_not_changed(self) -> None:
        """Same recipe, same name: nothing is made twice."""
        spec = Odd("a.jpg")
        same = Rendition(spec)
        assert same.get_hash() == spec.get_hash()
        assert ImageCacheFile(same).name == ImageCacheFile(spec).name
        assert same.fallback == "empty"

    def test_a_rendition_leaves_options_to_the_format_that_they_are_for(self) -> None:
        """The quality of a JPEG says nothing of an AVIF."""
        spec = Odd("a.jpg")
        assert Rendition(spec, width=9).options == {"quality": 33}
        assert Rendition(spec, format="WEBP").options is None
        assert Rendition(spec, format="JPEG").get_hash() == spec.get_hash()
        assert Rendition(spec, format="WEBP", width=9).recipe.background == "#123456"

    def test_the_record_of_a_rendition_says_of_which_image_it_is_one(
        self, stored_photo: Any
    ) -> None:
        """Also that of a rendition of a rendition: ``cleanimages`` asks the spec's own recipe."""
        spec = Odd(stored_photo())
        file = ImageCacheFile(Rendition(Rendition(spec, width=9), format="WEBP"))
        file.generate()
        assert file.state.digest == f"{file.digest}/{spec.get_hash()}"
        assert file.exists()

    def test_a_rendition_refuses_a_generator_with_a_way_of_its_own(self) -> None:
        """It names the generator, and what to leave out."""
        for generator in (OwnWay("a.jpg"), object()):
            with pytest.raises(InvalidArgument, match="Leave out 'formats' and 'widths'"):
                Rendition(generator, width=5)

    def test_a_plain_picture_needs_no_rendition(self, stored_photo: Any) -> None:
        """A generator of any kind can be shown in a picture without formats and widths."""

        class Mirrored(Banner):
            def generate(self) -> Any:
                return Banner.generate(self)

        with registered(plain=Mirrored, own=OwnWay):
            html = show(lambda: plan_picture(["tests:plain"], {"source": stored_photo()}))
            assert html.startswith("<picture><img ")
            assert "srcset" not in html
            with pytest.raises(InvalidArgument, match="'tests:own'"):
                plan_picture(["tests:own"], {"source": "a.jpg", "widths": "5"})


class TestThumbnail:
    """The generator behind the tag."""

    @pytest.mark.parametrize("anchor", [[0.25, 0.5], (0.25, 0.5)], ids=repr)
    def test_an_anchor_is_the_same_in_a_list_and_in_a_tuple(self, anchor: Any) -> None:
        """A list cannot be hashed, and templates have lists."""
        thumbnail = Thumbnail("a.jpg", 90, 70, anchor=anchor)
        assert thumbnail.get_hash() == Thumbnail("a.jpg", 90, 70, anchor=(0.25, 0.5)).get_hash()

    def test_thumbnails_of_one_size_share_their_processor_and_not_their_list(self) -> None:
        """A page makes it once; who appends to one list changes no other thumbnail."""
        one, two = Thumbnail("a.jpg", 90, 70), Thumbnail("b.jpg", 90, 70)
        assert one.processors[0] is two.processors[0]
        one.processors.append(ResizeToFill(5, 5))
        assert len(two.processors) == 1

    def test_an_anchor_of_any_type_breaks_no_page(self, stored_photo: Any) -> None:
        """It is refused as an argument, whether it can be hashed or not."""
        for anchor in ({"x": 1}, {1}, [[]], object(), 5, "middle"):
            html = render("{% thumbnail '9x9' n anchor=a %}", n=stored_photo(), a=anchor)
            assert elements(html) == []


@pytest.mark.parametrize("has_admin", [True, False])
def test_the_admins_preview_is_registered_where_there_is_an_admin(
    has_admin: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project without one finds the ids in its registry that it has put there."""
    monkeypatch.setattr(generator_registry, "_generators", {})
    monkeypatch.setattr(generator_registry, "_offers", {})
    monkeypatch.setattr("django.apps.apps.is_installed", lambda name: has_admin)
    apps.get_app_config("imagekit_registry").ready()
    expected = [THUMBNAIL_ID, ADMIN_PREVIEW_ID] if has_admin else [THUMBNAIL_ID]
    assert generator_registry.get_ids() == expected
