"""What is written: formats, qualities, colours; and how workers and commands find it again."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from PIL import Image, ImageCms

from imagekit_registry import get_image
from imagekit_registry.cachefiles.backends.messages import describe, generator_of
from imagekit_registry.contrib.easy.alias import aliases
from imagekit_registry.contrib.easy.files import get_thumbnailer
from imagekit_registry.contrib.easy.specs import EasyThumbnail
from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.specs import StoredFile


def made(source: str, **options: Any) -> Any:
    """Return an image of a stored source, as Pillow opens it."""
    thumb = get_thumbnailer(source).get_thumbnail({"size": (100, 100), **options})
    with thumb.storage.open(thumb.published_name) as file:
        image = Image.open(BytesIO(file.read()))
    image.load()
    return image


def stored(image: Image.Image, name: str, **options: Any) -> str:
    """Return the name of an image that is put into the default storage."""
    file = BytesIO()
    image.save(file, Image.registered_extensions()[Path(name).suffix], **options)
    return storages["default"].save(name, ContentFile(file.getvalue()))


def tables(quality: int) -> Any:
    """Return the quantization tables that Pillow writes for a quality."""
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
    opened: Any = Image.open(file)
    return opened.quantization


def test_a_jpeg_is_written_as_easy_thumbnails_writes_it(name: str, settings: Any) -> None:
    """With quality 85 unless told otherwise, colours at half the size, progressive from 100 pixels on."""
    image = made(name)
    assert (image.format, image.quantization) == ("JPEG", tables(85))
    assert "progressive" in image.info
    assert "progressive" not in made(name, size=(99, 99)).info
    assert made(name, quality=60).quantization == tables(60)
    layers = {level: made(name, subsampling=level).layer[0][1:3] for level in (0, 1, 2)}
    assert layers == {0: (1, 1), 1: (2, 1), 2: (2, 2)}
    settings.THUMBNAIL_QUALITY, settings.THUMBNAIL_PROGRESSIVE = 40, False
    image = made(name)
    assert image.quantization == tables(40)
    assert "progressive" not in image.info


def test_default_options_are_under_those_of_an_image(name: str, settings: Any) -> None:
    """Every image has them that has no others."""
    settings.THUMBNAIL_DEFAULT_OPTIONS = {"crop": True, "bw": True}
    assert (made(name).size, made(name).mode) == ((100, 100), "L")
    assert made(name, crop=False).size == (100, 67)


def test_transparent_pictures_are_png_and_others_jpeg(settings: Any) -> None:
    """By what is in the picture, not by the extension of its file."""
    opaque = stored(Image.new("RGB", (200, 200), "red"), "opaque.png")
    clear = stored(Image.new("RGBA", (200, 200), (255, 0, 0, 9)), "clear.png")
    assert made(opaque).format == "JPEG"
    assert made(clear).format == "PNG"
    assert made(clear, replace_alpha="#fff").format == "JPEG"
    settings.THUMBNAIL_TRANSPARENCY_EXTENSION = "webp"
    assert made(clear).format == "WEBP"
    settings.THUMBNAIL_EXTENSION = "webp"
    assert made(opaque).format == "WEBP"


def test_the_format_of_some_sources_is_kept(name: str, settings: Any) -> None:
    """Of those with the extensions of the setting, or of all; a thumbnailer may say it, too."""
    png = stored(Image.new("RGB", (200, 200), "red"), "opaque.png")
    settings.THUMBNAIL_PRESERVE_EXTENSIONS = ["png"]
    assert made(png).format == "PNG"
    settings.THUMBNAIL_EXTENSION = "webp"
    assert made(name).format == "WEBP"
    settings.THUMBNAIL_PRESERVE_EXTENSIONS = True
    assert made(name).format == "JPEG"
    thumbnailer = get_thumbnailer(name)
    thumbnailer.thumbnail_preserve_extensions = ("gif",)
    thumbnailer.thumbnail_extension = "png"
    assert thumbnailer.get_thumbnail_name({"size": (9, 9)}).endswith(".png")


def test_animations_move_where_all_frames_are_saved(settings: Any) -> None:
    """A still otherwise, as with easy-thumbnails."""
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "lime", "blue")]
    gif = stored(frames[0], "moving.gif", save_all=True, append_images=frames[1:])
    settings.THUMBNAIL_PRESERVE_EXTENSIONS = ["gif"]
    assert getattr(made(gif), "n_frames", 1) == 1
    settings.THUMBNAIL_IMAGE_SAVE_OPTIONS = {"GIF": {"save_all": True}}
    assert getattr(made(gif), "n_frames", 1) == 3


@pytest.mark.parametrize("options", [{"quality": "high"}, {"subsampling": "x"}], ids=str)
def test_a_number_that_is_none_is_refused(name: str, options: dict[str, Any]) -> None:
    """Once by an error of Python's."""
    with pytest.raises(InvalidArgument, match=r"must be a number, not '(high|x)'"):
        EasyThumbnail(name, size=(9, 9), **options)


def test_save_options_are_given_to_pillow(name: str, settings: Any) -> None:
    """Those of the setting; the quality of an image comes before."""
    settings.THUMBNAIL_IMAGE_SAVE_OPTIONS = {"JPEG": {"quality": 10, "dpi": (300, 300)}}
    assert made(name).info["dpi"] == (300, 300)
    assert made(name).quantization == tables(85)


def test_a_colour_profile_is_kept_if_that_is_asked_for() -> None:
    """Colours become sRGB otherwise, so that none is needed."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = stored(Image.new("RGB", (200, 200), "red"), "profiled.jpg", icc_profile=profile)
    assert "icc_profile" in made(source, keep_icc_profile=True).info
    assert "icc_profile" not in made(source).info


def test_the_orientation_of_the_camera_can_be_left() -> None:
    """It is applied unless the option says not to."""
    exif = Image.Exif()
    exif[0x0112] = 6
    source = stored(Image.new("RGB", (200, 100), "red"), "turned.jpg", exif=exif)
    assert made(source).size == (50, 100)
    assert made(source, exif_orientation=False).size == (100, 50)


def test_a_worker_finds_the_image_by_what_json_holds(name: str, settings: Any) -> None:
    """Options, alias, and the storage of the images; the name is the same there."""
    settings.STORAGES = {
        **settings.STORAGES,
        "thumbs": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    }
    aliases.set("small", {"size": (50, 50), "crop": "smart"})
    thumbnailer = get_thumbnailer(name)
    options = {"size": (70, 0), "crop": ",10", "target": (20, 80), "ALIAS": "x"}
    plain = thumbnailer.get_thumbnail(options)
    small = thumbnailer["small"]
    thumbnailer.thumbnail_storage = storages["thumbs"]
    elsewhere = thumbnailer.get_thumbnail(options)
    for file, spec_id in (
        (plain, "imagekit:easy"),
        (small, "easy:small"),
        (elsewhere, "imagekit:easy"),
    ):
        message = json.loads(json.dumps(describe(file)))
        assert message["spec"] == spec_id
        twin = type(file)(generator_of(message, source=StoredFile(name)))
        assert (twin.name, twin.storage) == (file.name, file.storage)
    assert elsewhere.storage is storages["thumbs"]


def test_an_images_name_hangs_on_its_recipe_alone(name: str) -> None:
    """An alias, the same options and their order give one image."""
    aliases.set("small", {"size": (50, 50), "crop": True})
    thumbnailer = get_thumbnailer(name)
    names = {
        thumbnailer["small"].name,
        get_image("easy:small", source=name).name,
        thumbnailer.get_thumbnail_name({"crop": True, "size": [50, 50]}),
        thumbnailer.get_thumbnail_name({"size": (50, 50), "crop": True, "quality": 85}),
    }
    assert len(names) == 1
    assert thumbnailer.get_thumbnail_name({"size": (50, 50), "crop": False}) not in names


@pytest.mark.django_db(databases="__all__")
def test_cleaning_keeps_images_of_options_and_aliases(name: str, capsys: Any) -> None:
    """As long as their source is there; those of a deleted source go."""
    aliases.set("small", {"size": (50, 50)})
    thumbs = [
        get_thumbnailer(name).get_thumbnail({"size": (60, 60)}),
        get_thumbnailer(name)["small"],
    ]
    call_command("cleanimages")
    assert all(thumb.storage.exists(thumb.name) for thumb in thumbs)
    storages["default"].delete(name)
    call_command("cleanimages")
    assert not any(thumb.storage.exists(thumb.name) for thumb in thumbs)
