"""Every option of easy-thumbnails, against the recipe of ours that stands for it."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from imagekit_registry import ImageSpec
from imagekit_registry.contrib.easy import processors as easy
from imagekit_registry.contrib.easy.exceptions import EasyThumbnailsError
from imagekit_registry.contrib.easy.files import get_thumbnailer
from imagekit_registry.contrib.easy.processors import Padded, known_options, processors_for
from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.processors import (
    Detail,
    EdgeCrop,
    Grayscale,
    MakeOpaque,
    ResizeCanvas,
    ResizeToCover,
    ResizeToFill,
    ResizeToFit,
    Sharpen,
    SmartResize,
    TrimBorderColor,
)

FIT = ResizeToFit(90, 60, upscale=False)
FILL = ResizeToFill(90, 60, upscale=False)
COVER = ResizeToCover(90, 60, upscale=False)

OPTIONS: list[tuple[dict[str, Any], list[Any]]] = [
    ({}, [FIT]),
    ({"size": (90, 0)}, [ResizeToFit(width=90, upscale=False)]),
    ({"size": (0, 60)}, [ResizeToFit(height=60, upscale=False)]),
    ({"size": (90, 0), "crop": True}, [ResizeToFit(width=90, upscale=False)]),
    ({"size": (900, 800), "upscale": True}, [ResizeToFit(900, 800)]),
    ({"size": (900, 800)}, [ResizeToFit(900, 800, upscale=False)]),
    ({"crop": True}, [FILL]),
    ({"crop": "1"}, [FILL]),
    ({"crop": True, "upscale": True}, [ResizeToFill(90, 60)]),
    ({"crop": "0,0"}, [COVER, EdgeCrop(90, 60, left=0, top=0)]),
    ({"crop": ",0"}, [COVER, EdgeCrop(90, 60, top=0)]),
    ({"crop": "-0,-0"}, [COVER, EdgeCrop(90, 60, right=0, bottom=0)]),
    ({"crop": ",10"}, [COVER, EdgeCrop(90, 60, top=10)]),
    ({"crop": ",-10"}, [COVER, EdgeCrop(90, 60, bottom=10)]),
    ({"crop": "10,-200"}, [COVER, EdgeCrop(90, 60, left=10, bottom=100)]),
    ({"crop": "smart"}, [SmartResize(90, 60, upscale=False)]),
    ({"crop": "scale"}, [COVER]),
    ({"crop": True, "target": (20, 80)}, [ResizeToFill(90, 60, upscale=False, target=(0.2, 0.8))]),
    ({"crop": True, "target": "20,80"}, [ResizeToFill(90, 60, upscale=False, target=(0.2, 0.8))]),
    ({"crop": True, "target": ",80"}, [ResizeToFill(90, 60, upscale=False, target=(0.5, 0.8))]),
    (
        {"crop": True, "target": (20, None)},
        [ResizeToFill(90, 60, upscale=False, target=(0.2, 0.5))],
    ),
    ({"target": (20, 80)}, [FIT]),
    ({"zoom": 40}, [ResizeToFit(90, 60, upscale=False, zoom=40)]),
    ({"zoom": "40", "crop": True}, [ResizeToFill(90, 60, upscale=False, zoom=40)]),
    ({"zoom": 40, "crop": "smart"}, [SmartResize(90, 60, upscale=False, zoom=40)]),
    ({"bw": True}, [Grayscale(), FIT]),
    ({"autocrop": True}, [TrimBorderColor("white", tolerance=0), FIT]),
    ({"detail": True}, [FIT, Detail()]),
    ({"sharpen": True}, [FIT, Sharpen()]),
    ({"detail": True, "sharpen": True}, [FIT, Detail(), Sharpen()]),
    ({"replace_alpha": "#fff"}, [MakeOpaque("#fff"), FIT]),
    (
        {"background": "#f00"},
        [MakeOpaque("#f00"), ResizeToFit(90, 60, upscale=False, mat_color="#f00")],
    ),
]


@pytest.mark.parametrize(("options", "recipe"), OPTIONS, ids=str)
def test_an_option_shows_what_our_recipe_shows(
    options: dict[str, Any], recipe: list[Any], name: str
) -> None:
    """Pixel for pixel, of a photograph; every recipe but the first is another picture than that."""
    thumb = get_thumbnailer(name).generate_thumbnail({"size": (90, 60), **options})
    spec = ImageSpec(name)
    spec.processors, spec.format, spec.options = recipe, "JPEG", {"quality": 85, "subsampling": 2}
    expected = Image.open(spec.generate())
    assert (thumb.width, thumb.height) == expected.size
    difference = ImageChops.difference(Image.open(thumb).convert("RGB"), expected.convert("RGB"))
    assert difference.getbbox() is None


def test_easys_processors_are_functions_of_an_image() -> None:
    """As code calls them that has processors of its own."""
    image = Image.new("RGBA", (200, 100), (255, 0, 0, 0))
    assert easy.scale_and_crop(image, (50, 50), crop=True, more=1).size == (50, 50)
    assert easy.scale_and_crop(image, size=(50, 50)).size == (50, 25)
    assert easy.colorspace(image, replace_alpha="#fefdfc").getpixel((0, 0)) == (254, 253, 252)
    assert easy.colorspace(image, bw=True).mode == "LA"
    assert easy.filters(image, sharpen=True).size == (200, 100)
    assert easy.autocrop(Image.new("RGB", (9, 9), "white"), autocrop=True).size == (9, 9)
    padded = easy.background(image, background="#00f", size=(200, 200))
    assert (padded.size, padded.getpixel((0, 0))) == ((200, 200), (0, 0, 255))


@pytest.mark.parametrize(
    ("source", "expected"),
    [((100, 100), (100, 100)), ((300, 50), (100, 100)), ((300, 200), (300, 200))],
)
def test_a_canvas_is_put_under_what_is_too_small(
    source: tuple[int, int], expected: tuple[int, int]
) -> None:
    """On either side; what covers the size stays as it is."""
    padded = Padded(ResizeCanvas(100, 100, "#f00"))
    image = Image.new("RGB", source)
    assert padded.process(image).size == padded.output_size(source) == expected


@pytest.mark.parametrize("size", [None, (0, 0), (-1, 5), (90, "fish"), "90x90", (1, 2, 3)])
def test_options_without_a_size_are_refused(size: Any) -> None:
    """With what to write."""
    with pytest.raises(EasyThumbnailsError, match=r"such as \(100, 0\)"):
        processors_for({"size": size, "crop": True})


@pytest.mark.parametrize(
    "options",
    [
        {"background": "no colour"},
        {"zoom": 2000},
        {"zoom": "much"},
        {"target": (1,)},
        {"target": ("left", "top")},
        {"target": 5},
    ],
    ids=str,
)
def test_an_option_whose_value_means_nothing_is_refused(options: dict[str, Any]) -> None:
    """Before a source is opened."""
    with pytest.raises(InvalidArgument, match=r"colour|zoom|target"):
        processors_for({"size": (9, 9), "crop": True, **options})


def mirrored(image: Image.Image, mirror: bool = False, **options: Any) -> Image.Image:
    """Mirror an image, as a project's own processor."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else image


def test_a_projects_own_processors_are_called(settings: Any, name: str) -> None:
    """In their place among the others, with all options; the others by easy-thumbnails' names."""
    settings.THUMBNAIL_PROCESSORS = (
        "easy_thumbnails.processors.scale_and_crop",
        f"{__name__}.mirrored",
    )
    plain, other = (
        Image.open(get_thumbnailer(name).generate_thumbnail({"size": (90, 0), "mirror": flag}))
        for flag in (False, True)
    )
    mirror = ImageChops.difference(other, mirrored(plain, mirror=True))
    assert max(ImageStat.Stat(mirror).mean) < 6
    assert ImageChops.difference(plain, other).getbbox() is not None
    assert {"mirror", "crop", "size"} <= known_options()
    assert "sharpen" not in known_options()
    names = {
        get_thumbnailer(name).get_thumbnail_name({"size": (90, 0), "mirror": flag})
        for flag in (False, True)
    }
    assert len(names) == 2
