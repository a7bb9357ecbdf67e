"""sorl-thumbnail's options and settings: each is a recipe, which workers and cleaning know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.core.management import call_command
from PIL import Image

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.backends.messages import describe, generator_of
from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.processors import (
    Crop,
    GaussianBlur,
    Grayscale,
    ResizeToCover,
    ResizeToFill,
    ResizeToFit,
    RoundedCorners,
    SmartResize,
    TrimBorderColor,
)
from tests.contrib.sorl.conftest import shown, store, thumb

pytestmark = [pytest.mark.usefixtures("sorl"), pytest.mark.django_db]


class TestOptions:
    """Options of the tag and of ``get_thumbnail``: each is the recipe that the guide names."""

    @pytest.mark.parametrize(
        ("geometry", "options", "processors"),
        [
            ("300x200", {}, [ResizeToFit(300, 200)]),
            ("300", {}, [ResizeToFit(300)]),
            ("x150", {}, [ResizeToFit(height=150)]),
            ("900x700", {"upscale": False}, [ResizeToFit(900, 700, upscale=False)]),
            ("900x700", {"upscale": "False"}, [ResizeToFit(900, 700, upscale=False)]),
            ("900x700", {"upscale": "True"}, [ResizeToFit(900, 700)]),
            ("100x100", {"crop": "center"}, [ResizeToFill(100, 100, "center")]),
            ("100x100", {"crop": "top"}, [ResizeToFill(100, 100, "t")]),
            ("100x100", {"crop": "bottom"}, [ResizeToFill(100, 100, "b")]),
            ("100x100", {"crop": "left"}, [ResizeToFill(100, 100, "l")]),
            ("100x100", {"crop": "right"}, [ResizeToFill(100, 100, "r")]),
            ("100x100", {"crop": "left top"}, [ResizeToFill(100, 100, "tl")]),
            ("100x100", {"crop": "20% 80%"}, [ResizeToFill(100, 100, (0.2, 0.8))]),
            ("100x100", {"crop": "20%"}, [ResizeToFill(100, 100, (0.2, 0.2))]),
            ("100x100", {"crop": "50% 200%"}, [ResizeToFill(100, 100, (0.5, 1))]),
            ("100x100", {"crop": "right 20%"}, [ResizeToFill(100, 100, (1, 0.2))]),
            (
                "100x60",
                {"crop": "10px 20px"},
                [ResizeToCover(100, 60), Crop(100, 60, x=10, y=20)],
            ),
            ("100x60", {"crop": "50px"}, [ResizeToCover(100, 60), Crop(100, 60, x=50, y=50)]),
            (
                "60x60",
                {"crop": "10px bottom"},
                [ResizeToCover(60, 60), Crop(60, 60, x=10, y=9999)],
            ),
            ("60x60", {"crop": "80% 700px"}, [ResizeToFill(60, 60, (0.8, 1))]),
            ("100x100", {"crop": "smart"}, [SmartResize(100, 100)]),
            ("300x200", {"crop": "noop"}, [ResizeToFit(300, 200)]),
            ("300", {"crop": "center"}, [ResizeToFit(300)]),
            (
                "300x300",
                {"padding": True, "padding_color": "#f00"},
                [ResizeToFit(300, 300, mat_color="#f00")],
            ),
            (
                "100x100",
                {"cropbox": "10,20,210,120"},
                [Crop(200, 100, x=10, y=20), ResizeToFit(100, 100)],
            ),
            (
                "100x100",
                {"cropbox": [10, 20, 210, 120]},
                [Crop(200, 100, x=10, y=20), ResizeToFit(100, 100)],
            ),
            ("100x100", {"rounded": 20}, [ResizeToFit(100, 100), RoundedCorners(20)]),
            ("100x100", {"blur": "5"}, [ResizeToFit(100, 100), GaussianBlur(5)]),
            ("100x100", {"remove_border": True}, [TrimBorderColor(), ResizeToFit(100, 100)]),
            ("100x100", {"colorspace": "GRAY"}, [Grayscale(), ResizeToFit(100, 100)]),
            ("100x100", {"flatten": False, "density": 300}, [ResizeToFit(100, 100)]),
        ],
        ids=str,
    )
    def test_pixels_are_those_of_the_recipe(
        self, geometry: str, options: dict[str, Any], processors: list[Any], name: str
    ) -> None:
        """Byte for byte, with the quality that sorl-thumbnail has by default."""

        class Same(ImageSpec):
            format = "JPEG"
            options = {"quality": 95, "progressive": True}

        spec = Same(name)
        spec.processors = processors
        file = thumb(name, geometry, **options)
        with storages["default"].open(str(file.name)) as stored:
            assert stored.read() == spec.generate().read()

    def test_the_mark_of_a_camera_is_followed_unless_told_otherwise(self) -> None:
        """``orientation=False`` leaves the pixels as they are stored."""
        exif = Image.Exif()
        exif[0x0112] = 6
        turned = store(Image.new("RGB", (200, 100), "red"), "photos/turned.jpg", exif=exif)
        sizes = [thumb(turned, "50", **options).size for options in ({}, {"orientation": False})]
        assert sizes == [[50, 100], [50, 25]]

    @pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "JPEG"])
    def test_the_format_is_that_of_the_option(self, format: str, name: str) -> None:
        """With the extension that browsers and servers expect."""
        file = thumb(name, "50x50", format=format)
        assert shown(file).format == format
        assert file.media_type == f"image/{format.lower()}"

    def test_a_format_may_be_written_as_everywhere(self, name: str) -> None:
        """In small letters, as an extension, and by what is in the picture."""
        names = {thumb(name, "50x50", format=format).name for format in ("JPEG", "jpg", "jpeg")}
        assert len(names) == 1
        clear = store(Image.new("RGBA", (90, 90), (0, 0, 0, 0)), "clear.png")
        auto = [shown(thumb(each, "50x50", format="auto")) for each in (name, clear)]
        assert [image.format for image in auto] == ["JPEG", "PNG"]
        assert auto[0].info["progressive"]

    def test_quality_and_progressive_are_told_to_the_encoder(self, name: str) -> None:
        """As numbers, or as texts, which templates have as well."""
        baseline = shown(thumb(name, "100x100", quality="50", progressive=False))
        reference = store(Image.new("RGB", (8, 8)), "reference.jpg", quality=50)
        with Image.open(storages["default"].path(reference)) as wanted:
            assert baseline.quantization == wanted.quantization  # type: ignore[attr-defined]
        assert not baseline.info.get("progressive")
        assert shown(thumb(name, "100x100")).info["progressive"]

    def test_what_is_transparent_is_laid_on_white_or_the_colour_of_the_padding(self) -> None:
        """Where the format has no transparency, whatever colour is hidden under it."""
        clear = store(Image.new("RGBA", (50, 25), (0, 0, 0, 0)), "clear.png")
        assert shown(thumb(clear, "50x25")).getpixel((9, 9)) == (255, 255, 255)
        padded = thumb(clear, "50x50", padding=True, padding_color="#ff0000")
        red, green, blue = shown(padded).getpixel((25, 25))  # type: ignore[misc]
        assert red > 250 > 5 > max(green, blue)

    def test_animations_become_gifs_or_stills(self) -> None:
        """As sorl-thumbnail has it: a still in every other format."""
        frames = [Image.new("RGB", (80, 60), color) for color in ("red", "green", "blue")]
        moving = store(frames[0], "moving.gif", save_all=True, append_images=frames[1:])
        counts = []
        for format in ("GIF", "WEBP", "PNG", "JPEG"):
            with Image.open(thumb(moving, "40x30", format=format).path) as image:
                counts.append(getattr(image, "n_frames", 1))
        assert counts == [3, 1, 1, 1]

    @pytest.mark.parametrize(
        ("geometry", "options", "message"),
        [
            ("100 by 100", {}, "dimensions '100 by 100'"),
            ("", {}, "dimensions ''"),
            ("9x9", {"crop": "middle"}, "'crop' cannot be 'middle'"),
            ("9x9", {"crop": "1em 2em"}, "'crop' cannot be '1em 2em'"),
            ("9x9", {"crop": "-20px"}, "'crop' cannot be '-20px'"),
            ("9x9", {"crop": "1px 2px 3px"}, "'crop' cannot be"),
            ("9x9", {"cropbox": "1,2,3"}, "'cropbox' cannot be '1,2,3'"),
            ("9x9", {"cropbox": "5,5,1,1"}, "'cropbox' cannot be '5,5,1,1'"),
            ("9x9", {"quality": "best"}, "'quality' must be a number, not 'best'"),
            ("9x9", {"crop": {"x": 1}}, "'crop' of a thumbnail cannot be"),
            ("9x9", {"padding": True, "padding_color": "reddish"}, "'color'"),
        ],
        ids=str,
    )
    def test_an_option_that_makes_no_sense_is_refused(
        self, geometry: str, options: dict[str, Any], message: str, name: str
    ) -> None:
        """With what to write instead."""
        with pytest.raises(InvalidArgument, match=message):
            thumb(name, geometry, **options)


class TestSettings:
    """sorl-thumbnail's settings are read as it reads them."""

    @pytest.mark.parametrize(
        ("name", "value", "option"),
        [
            ("THUMBNAIL_BLUR", 3, {"blur": 3}),
            ("THUMBNAIL_COLORSPACE", "GRAY", {"colorspace": "GRAY"}),
            ("THUMBNAIL_COLORSPACE", None, {}),
            ("THUMBNAIL_FORMAT", "PNG", {"format": "PNG"}),
            ("THUMBNAIL_ORIENTATION", False, {"orientation": False}),
            ("THUMBNAIL_PADDING", True, {"padding": True}),
            ("THUMBNAIL_PROGRESSIVE", False, {"progressive": False}),
            ("THUMBNAIL_QUALITY", 60, {"quality": 60}),
            ("THUMBNAIL_UPSCALE", False, {"upscale": False}),
        ],
    )
    def test_a_setting_is_an_option_of_all(
        self, name: str, value: Any, option: dict[str, Any], settings: Any, stored_photo: Any
    ) -> None:
        """Unless a tag says otherwise."""
        source = stored_photo()
        plain, told = thumb(source, "999x999"), thumb(source, "999x999", **option)
        setattr(settings, name, value)
        assert thumb(source, "999x999").name == told.name
        assert (told.name != plain.name) == bool(option)

    def test_the_colour_of_padding_is_a_setting(self, name: str, settings: Any) -> None:
        """For those that are padded."""
        settings.THUMBNAIL_PADDING_COLOR = "#00ff00"
        image = shown(thumb(name, "100x100", padding=True))
        red, green, _ = image.getpixel((50, 3))  # type: ignore[misc]
        assert red < 10 < 245 < green

    @pytest.mark.parametrize(
        ("extension", "format"),
        [(".png", "PNG"), (".jpeg", "JPEG"), (".GIF", "GIF"), (".bmp", "JPEG")],
    )
    def test_formats_are_kept_if_that_is_wanted(
        self, extension: str, format: str, settings: Any
    ) -> None:
        """Those of the web, by the extension; others are of ``THUMBNAIL_FORMAT``."""
        settings.THUMBNAIL_PRESERVE_FORMAT = True
        name = store(Image.new("RGB", (9, 9)), f"photos/a{extension}")
        assert shown(thumb(name, "5x5")).format == format


class TestRegistry:
    """What a tag asks for is a registered spec with arguments."""

    OPTIONS = {"crop": "20% 80%", "quality": 70, "cropbox": [0, 0, 300, 300], "rounded": 3}

    def test_a_worker_finds_a_thumbnail_again(self, name: str) -> None:
        """By a message that JSON can hold."""
        file = thumb(name, "60x40", **self.OPTIONS)
        message = json.loads(json.dumps(describe(file)))
        assert message["spec"] == "sorl:thumbnail"
        twin = ImageCacheFile(generator_of(message, source=name))
        assert (twin.name, twin.identity.digest) == (file.name, file.identity.digest)

    def test_names_of_thumbnails_are_the_same_everywhere(self, stored_photo: Any) -> None:
        """On every host, and in whatever order options are written."""
        name = stored_photo(name="photos/rocket.jpg")
        file = thumb(name, "60x40", **self.OPTIONS)
        turned = thumb(name, "60x40", **dict(reversed(self.OPTIONS.items())))
        assert file.name == turned.name
        assert file.name == "CACHE/images/photos/rocket/f6038a78e8a0dae81e638e21adf85d9f.jpg"

    @pytest.mark.django_db(databases="__all__")
    @pytest.mark.parametrize("store", ["cache", "database"])
    def test_cleaning_keeps_a_thumbnail_as_long_as_its_source(
        self, store: str, name: str, settings: Any, media: Path
    ) -> None:
        """And what is known of that."""
        settings.IMAGEKIT_STATE_STORE = store
        file = thumb(name, "60x40", crop="center")
        call_command("cleanimages")
        assert Path(file.path).exists()
        storages["default"].delete(name)
        call_command("cleanimages")
        assert not Path(file.path).exists()
