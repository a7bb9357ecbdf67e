"""Sizers and filters of a project."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from imagekit_registry.contrib.versatile.datastructures import (
    FilteredImage,
    SizedImage,
    filteredimage,
    sizedimage,
)
from imagekit_registry.contrib.versatile.exceptions import (
    AlreadyRegistered,
    InvalidFilter,
    MalformedSizedImageKey,
)
from imagekit_registry.contrib.versatile.registry import versatileimagefield_registry
from imagekit_registry.contrib.versatile.versatileimagefield import (
    CroppedImage,
    InvertImage,
    ThumbnailImage,
)
from imagekit_registry.exceptions import InvalidArgument, NotRegistered
from tests.contrib.versatile.conftest import opened

pytestmark = pytest.mark.django_db(transaction=True)


class Stretched(SizedImage):
    """A sizer as its documentation has it."""

    filename_key = "stretch"

    def process_image(
        self, image: Any, image_format: Any, save_kwargs: Any, width: Any, height: Any
    ) -> Any:
        made = io.BytesIO()
        image.resize((width, height)).save(made, **save_kwargs)
        return made


class Squared(CroppedImage):
    """A sizer that cuts as the usual one does, to a square."""

    filename_key = "square"

    def process_image(
        self, image: Any, image_format: Any, save_kwargs: Any, width: Any, height: Any
    ) -> Any:
        side = min(width, height)
        return super().process_image(image, image_format, save_kwargs, side, side)


class Grey(FilteredImage):
    """A filter as its documentation has it."""

    def process_image(self, image: Any, image_format: Any, save_kwargs: Any) -> Any:
        made = io.BytesIO()
        image.convert("L").save(made, **save_kwargs)
        return made


class TestOwn:
    """Sizers and filters of a project."""

    def test_a_class_that_processes_nothing_says_what_it_lacks(self) -> None:
        """The method to write is named."""
        image = Image.new("L", (1, 1))
        with pytest.raises(NotImplementedError, match="process_image"):
            SizedImage().process_image(image, "PNG", {}, 9, 9)
        with pytest.raises(NotImplementedError, match="process_image"):
            FilteredImage().process_image(image, "PNG", {})

    def test_sizers_and_filters_that_derive_from_the_usual_ones_do_as_these(
        self, picture: Any
    ) -> None:
        """Around the point of interest."""
        picture.image.ppoi = (0.1, 0.5)
        registry = versatileimagefield_registry
        registry.register_sizer("square", Squared)
        registry.register_sizer("fitted", type("Fitted", (ThumbnailImage,), {}))
        registry.register_filter("negative", type("Negative", (InvertImage,), {}))
        pairs = [
            ("square__120x90", "crop__90x90"),
            ("fitted__120x90", "thumbnail__120x90"),
            ("filters__negative__url", "filters__invert__url"),
        ]
        try:
            for keys in pairs:
                own, usual = (opened(picture.image.made(key)) for key in keys)
                assert own.size == usual.size
                assert max(ImageStat.Stat(ImageChops.difference(own, usual)).mean) < 2
        finally:
            registry.unregister_sizer("square")
            registry.unregister_sizer("fitted")
            registry.unregister_filter("negative")

    def test_classes_and_their_errors_are_where_they_were(self) -> None:
        """In a module for sizers and one for filters, and in the package of both."""
        assert sizedimage.SizedImage is SizedImage
        assert filteredimage.FilteredImage is FilteredImage
        assert sizedimage.MalformedSizedImageKey is MalformedSizedImageKey
        assert filteredimage.InvalidFilter is InvalidFilter

    def test_sizers_and_filters_of_a_project_are_used(self, picture: Any) -> None:
        """By their names, alone and together; once they are removed they are unknown."""
        registry = versatileimagefield_registry
        registry.register_sizer("stretch", Stretched)
        registry.register_filter("grey", Grey)
        try:
            assert opened(picture.image.stretch["50x90"]).size == (50, 90)
            both = opened(picture.image.filters.grey.stretch["50x90"])
            assert (both.size, both.mode) == ((50, 90), "L")
            with pytest.raises(AlreadyRegistered):
                registry.register_filter("grey", type("Other", (Grey,), {}))
            with pytest.raises(InvalidFilter):
                registry.register_filter("_grey", Grey)
        finally:
            registry.unregister_sizer("stretch")
            registry.unregister_filter("grey")
        with pytest.raises(NotRegistered):
            registry.unregister_filter("grey")
        with pytest.raises(InvalidArgument, match="'chunks'"):
            registry.register_sizer("chunks", Stretched)
        with pytest.raises(InvalidArgument, match="SizedImage"):
            registry.register_sizer("stretch", Grey)
        with pytest.raises(InvalidArgument, match="FilteredImage"):
            registry.register_filter("grey", Stretched)
        assert (sorted(registry.sizers), sorted(registry.filters)) == (
            ["crop", "thumbnail"],
            ["invert"],
        )
        with pytest.raises(AttributeError):
            picture.image.stretch  # noqa: B018 -- that it is asked for is the point
