"""Thumbnailers, the images that they give, and what becomes of these."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage, storages
from PIL import Image

from imagekit_registry.contrib.easy.alias import aliases
from imagekit_registry.contrib.easy.engine import NoSourceGenerator
from imagekit_registry.contrib.easy.exceptions import EasyThumbnailsError, InvalidImageFormatError
from imagekit_registry.contrib.easy.files import (
    Thumbnailer,
    generate_all_aliases,
    get_thumbnailer,
)
from imagekit_registry.contrib.easy.options import ThumbnailOptions
from imagekit_registry.contrib.easy.signals import thumbnail_missed
from imagekit_registry.contrib.easy.source_generators import pil_image
from imagekit_registry.specs import StoredFile
from imagekit_registry.testing import forget_state, make_image
from tests.storages import CountingStorage
from tests.testapp.models import Photo

OPTIONS = {"size": (60, 60), "crop": True}


class TestSources:
    """What a thumbnailer is made of."""

    def test_a_name_a_storage_and_a_field_give_one_image(self, name: str) -> None:
        """As the source is the same."""
        photo: Any = Photo(original_image=name)
        stored = StoredFile(name)
        thumbnailers = [
            get_thumbnailer(name),
            get_thumbnailer(default_storage, name),
            get_thumbnailer(storages["default"], name),
            get_thumbnailer(photo.original_image),
            get_thumbnailer(stored),
        ]
        assert len({each.get_thumbnail(OPTIONS).url for each in thumbnailers}) == 1
        assert get_thumbnailer(thumbnailers[3]) is thumbnailers[3]
        photo.easy_thumbnails_thumbnailer = thumbnailers[0]
        assert get_thumbnailer(photo) is thumbnailers[0]

    def test_an_open_file_is_a_source_by_its_content(self, photos: Path) -> None:
        """Two of one name give two images, and each is there after it was closed."""
        thumbs = []
        for photo in ("rocket.jpg", "coffee.png"):
            with (photos / photo).open("rb") as file:
                thumbs.append(get_thumbnailer(File(file), "a.jpg").get_thumbnail(OPTIONS))
        assert thumbs[0].url != thumbs[1].url
        assert [thumb.width for thumb in thumbs] == [60, 60]

    def test_an_image_is_a_source(self, name: str) -> None:
        """An image of an image."""
        first = get_thumbnailer(name).get_thumbnail({"size": (90, 90)})
        assert get_thumbnailer(first).get_thumbnail({"size": (30, 30)}).width == 30

    def test_a_thumbnailer_can_be_read(self, name: str, photos: Path) -> None:
        """It is a file; it makes the same image afterwards."""
        thumbnailer = get_thumbnailer(name)
        before = thumbnailer.get_thumbnail_name(OPTIONS)
        assert thumbnailer.open().read() == (photos / "rocket.jpg").read_bytes()
        assert len(thumbnailer.open().read(10)) == 10
        assert thumbnailer.get_thumbnail_name(OPTIONS) == before
        thumbnailer.close()

    def test_without_a_name_there_is_no_thumbnailer(self) -> None:
        """The message says what is missing."""
        with pytest.raises(EasyThumbnailsError, match="There is no name"):
            get_thumbnailer(BytesIO(b""))


class TestImages:
    """What a thumbnailer gives."""

    def test_an_image_is_made_once_and_then_known(self, photos: Path, settings: Any) -> None:
        """A warm page asks no storage for anything but the URL."""
        storage = {"BACKEND": "tests.storages.CountingStorage"}
        settings.STORAGES = {**settings.STORAGES, "default": storage}
        counting: Any = storages["default"]
        name = counting.save("a.jpg", ContentFile((photos / "rocket.jpg").read_bytes()))
        thumb = get_thumbnailer(name).get_thumbnail(OPTIONS)
        assert (thumb.width, thumb.height) == (60, 60)
        expected = thumb.tag()
        counting.calls.clear()
        assert get_thumbnailer(name).get_thumbnail(OPTIONS).tag() == expected
        assert set(counting.calls) <= {"url"}

    def test_a_tag_has_sorted_and_escaped_attributes(self, name: str) -> None:
        """Width and height as well, unless they are not wanted."""
        thumb = get_thumbnailer(name).get_thumbnail(OPTIONS)
        assert thumb.tag(alt="A & B", **{"class": '"x"'}) == (
            f'<img alt="A &amp; B" class="&quot;x&quot;" height="60" src="{thumb.url}" width="60" />'
        )
        assert thumb.tag(use_size=False) == f'<img alt="" src="{thumb.url}" />'

    def test_an_image_tells_its_options_and_pixels(self, name: str) -> None:
        """With the defaults among the options."""
        thumb = get_thumbnailer(name).get_thumbnail({**OPTIONS, "ALIAS": "x"})
        assert thumb.thumbnail_options == ThumbnailOptions(OPTIONS)
        assert thumb.thumbnail_options["quality"] == 85
        assert thumb.image.size == (60, 60)

    def test_an_image_can_be_made_and_stored_later(self, name: str) -> None:
        """Or never."""
        thumbnailer = get_thumbnailer(name)
        thumb: Any = thumbnailer.generate_thumbnail(OPTIONS)
        assert (thumb.width, thumb.height, Image.open(thumb).size) == (60, 60, (60, 60))
        assert not storages["default"].exists(thumb.name)
        assert thumbnailer.get_thumbnail(OPTIONS, save=False).width == 60
        assert thumbnailer.get_existing_thumbnail(OPTIONS) is None
        thumbnailer.save_thumbnail(thumb)
        assert thumbnailer.get_existing_thumbnail(OPTIONS).url == thumb.url

    def test_a_passive_thumbnailer_makes_nothing(self, name: str) -> None:
        """It gives what is there, and tells of what is not."""
        missed: list[Any] = []

        def note(sender: Any, options: Any, **kwargs: Any) -> None:
            missed.append((sender, options["size"]))

        thumbnail_missed.connect(note)
        thumbnailer = get_thumbnailer(name)
        thumbnailer.generate = False
        assert thumbnailer.get_thumbnail(OPTIONS) is None
        assert get_thumbnailer(name).get_thumbnail(OPTIONS, generate=False) is None
        assert thumbnailer.get_thumbnail(OPTIONS, generate=True) is not None
        assert thumbnailer.get_thumbnail(OPTIONS).width == 60
        assert missed[0] == (thumbnailer, (60, 60))
        assert len(missed) == 2

    def test_an_alias_is_looked_up_for_the_field(self, name: str) -> None:
        """A name has those for all the project; what a thumbnailer has of its own counts, too."""
        aliases.set("small", {"size": (50, 50), "crop": True})
        aliases.set("small", {"size": (20, 20), "crop": True}, "testapp.Photo")
        assert get_thumbnailer(name)["small"].width == 50
        thumbnailer = get_thumbnailer(Photo(original_image=name).original_image)
        assert thumbnailer["small"].width == 20
        thumbnailer.thumbnail_extension, thumbnailer.thumbnail_quality = "webp", 50
        assert thumbnailer["small"].name.endswith(".webp")
        assert thumbnailer["small"].thumbnail_options["quality"] == 50
        assert thumbnailer.get_options({"size": 1})["quality"] == 50
        with pytest.raises(KeyError, match="large"):
            thumbnailer["large"]

    def test_all_aliases_are_made_at_once(self, name: str) -> None:
        """Those of the field, and on demand those of the project."""
        aliases.set("small", {"size": (50, 50)})
        aliases.set("side", {"size": (20, 20)}, "testapp")
        photo = Photo(original_image=name)
        thumbnailer = get_thumbnailer(photo.original_image)
        generate_all_aliases(photo.original_image, include_global=False)
        assert len(list(thumbnailer.get_thumbnails())) == 1
        generate_all_aliases(photo.original_image, include_global=True)
        assert len(list(thumbnailer.get_thumbnails())) == 2

    def test_the_file_of_a_field_survives_pickling(self, name: str) -> None:
        """As rows do in Django's cache."""
        file = get_thumbnailer(Photo(original_image=name).original_image)
        again: Any = pickle.loads(pickle.dumps(file))
        assert type(again).__name__ == "ThumbnailerFieldFile"
        thumb = file.get_thumbnail(OPTIONS)
        assert again.get_thumbnail(OPTIONS).url == thumb.url
        assert pickle.loads(pickle.dumps(thumb)).tag() == thumb.tag()

    @pytest.mark.parametrize("storage", [None, default_storage])
    def test_a_thumbnailer_of_a_name_survives_pickling(self, name: str, storage: Any) -> None:
        """Its images keep their names."""
        thumbnailer = Thumbnailer(name=name, source_storage=storage)
        again = pickle.loads(pickle.dumps(thumbnailer))
        assert again.image_for(OPTIONS).name == thumbnailer.image_for(OPTIONS).name


class TestFailures:
    """What is no image, or is not there."""

    @pytest.mark.parametrize("on_error", ["raise", "placeholder"])
    def test_a_broken_source_is_told(self, on_error: str, settings: Any) -> None:
        """Whatever pages show of it, by an error that Django's templates keep silent about."""
        settings.IMAGEKIT_ON_ERROR = on_error
        broken = storages["default"].save("broken.jpg", ContentFile(b"Lorem ipsum"))
        aliases.set("small", {"size": (50, 50)})
        makers: list[Callable[[], Any]] = [
            lambda: get_thumbnailer(broken).get_thumbnail(OPTIONS),
            lambda: get_thumbnailer(broken)["small"],
            lambda: get_thumbnailer(broken).generate_thumbnail(OPTIONS),
            lambda: get_thumbnailer("missing.jpg").get_thumbnail(OPTIONS),
        ]
        for make in makers:
            with pytest.raises(InvalidImageFormatError, match=r"image|exist") as raised:
                make()
            assert isinstance(raised.value, NoSourceGenerator)
            assert raised.value.silent_variable_failure

    def test_a_field_without_a_file_has_no_image(self) -> None:
        """It is an error of the same kind."""
        with pytest.raises(InvalidImageFormatError, match="no source"):
            get_thumbnailer(Photo().original_image).get_thumbnail(OPTIONS)


class TestDeleting:
    """Images go with what they were made of."""

    @pytest.mark.parametrize("store", ["cache", "database"])
    @pytest.mark.django_db(transaction=True)
    def test_images_are_told_of_and_deleted(self, store: str, name: str, settings: Any) -> None:
        """Of options that no spec has, too; the source stays."""
        settings.IMAGEKIT_STATE_STORE = store
        forget_state()
        thumbnailer = get_thumbnailer(Photo(original_image=name).original_image)
        sizes = [(30, 30), (20, 20)]
        thumbs = {thumbnailer.get_thumbnail({"size": size}).name for size in sizes}
        assert {thumb.name for thumb in thumbnailer.get_thumbnails()} == thumbs
        assert thumbnailer.delete_thumbnails() == 2
        assert not any(map(storages["default"].exists, thumbs))
        assert storages["default"].exists(name)
        thumb = thumbnailer.get_thumbnail({"size": (30, 30)})
        assert storages["default"].exists(thumb.name)
        thumbnailer.delete(save=False)
        assert not any(map(storages["default"].exists, (name, thumb.name)))

    @pytest.mark.django_db(transaction=True)
    def test_images_in_a_storage_without_an_alias_are_deleted(
        self, name: str, settings: Any, tmp_path: Path
    ) -> None:
        """Where a table of records says what there is."""
        settings.IMAGEKIT_STATE_STORE = "database"
        forget_state()
        thumbnailer = get_thumbnailer(name)
        thumbnailer.thumbnail_storage = CountingStorage(location=tmp_path)
        thumb = thumbnailer.get_thumbnail(OPTIONS)
        assert (tmp_path / thumb.name).exists()
        assert thumbnailer.delete_thumbnails() == 1
        assert not (tmp_path / thumb.name).exists()


def test_apps_of_others_open_images_as_they_are_shown() -> None:
    """Such as one that asks how large a picture is, for its widget."""
    turned = make_image(format="JPEG", size=(40, 30), exif={0x0112: 6})
    image, as_stored = pil_image(turned), pil_image(turned, exif_orientation=False)
    assert image is not None
    assert as_stored is not None
    assert (image.size, as_stored.size) == ((30, 40), (40, 30))
    assert pil_image(None) is None
