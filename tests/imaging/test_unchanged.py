"""Sources that are taken as they are, since the result would show the same: all but their metadata."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from imagekit_registry.exceptions import InvalidArgument, UnreadableImage
from imagekit_registry.imaging import Encoded, Recipe, render, render_many
from imagekit_registry.processors import Adjust, ResizeToFill, ResizeToFit

from .conftest import LIMITS

FORMATS = ["JPEG", "PNG", "WEBP"]
SECRET = b"somewhere at home"
BOX = (ResizeToFit(200, 200, upscale=False),)


@pytest.fixture
def photo(photos: Path) -> Image.Image:
    """Return a photograph that fits into the box."""
    with Image.open(photos / "coffee.png") as image:
        return image.convert("RGB").resize((200, 133))


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    """Return a file with metadata, and with something behind its end."""
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    exif[0x0112] = options.pop("orientation", 1)
    if format == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("Comment", SECRET.decode())
        options["pnginfo"] = info
    elif format == "JPEG":
        options["comment"] = SECRET
    file = io.BytesIO()
    image.save(file, format, exif=exif, xmp=b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>", **options)
    data = file.getvalue()
    assert SECRET in data
    return data + (SECRET if format == "JPEG" else b"")


def made_of(data: bytes, **recipe: Any) -> Encoded:
    """Return what a recipe makes of a file."""
    recipe = {"processors": BOX, **recipe}
    return render(
        io.BytesIO(data), Recipe(**recipe), limits=LIMITS, format_options={"JPEG": {"quality": 85}}
    )


def pixels_of(data: bytes) -> bytes:
    """Return the pixels of an image file."""
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGBA").tobytes()


class TestFits:
    """``skip_if="fits"``."""

    @pytest.mark.parametrize("format", FORMATS)
    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
    def test_a_source_that_fits_is_taken_without_its_metadata(
        self, format: str, options: dict[str, Any], photo: Image.Image
    ) -> None:
        """Every pixel as it was, which no encoder would leave."""
        data = saved(photo, format, **(options if format == "JPEG" else {"quality": 60}))
        made = made_of(data, skip_if="fits")
        found = made.getvalue()
        assert pixels_of(found) == pixels_of(data)
        assert SECRET not in found
        assert len(found) < len(data)
        assert (made.format, made.width, made.height) == (format, 200, 133)
        if format != "PNG":
            assert pixels_of(made_of(data).getvalue()) != pixels_of(data)
        with Image.open(made) as image:
            assert not image.getexif()

    @pytest.mark.parametrize(
        "recipe",
        [
            {"processors": (ResizeToFit(100, 100),)},
            {"processors": (ResizeToFill(200, 100),)},
            {"processors": (*BOX, Adjust(contrast=1.2))},
            {"format": "WEBP"},
        ],
        ids=["smaller", "cropped", "changed", "converted"],
    )
    def test_a_source_that_does_not_fit_is_not_taken(
        self, recipe: dict[str, Any], photo: Image.Image
    ) -> None:
        """It is made as without."""
        data = saved(photo, "JPEG")
        assert made_of(data, skip_if="fits", **recipe).read() == made_of(data, **recipe).read()

    def test_a_source_that_is_turned_is_not_taken(self, photo: Image.Image) -> None:
        """What is upright is something else."""
        data = saved(photo.rotate(90, expand=True), "JPEG", orientation=6)
        made = made_of(data, skip_if="fits")
        assert (made.width, made.height) == (200, 133)
        data = saved(photo.resize((133, 133)), "JPEG", orientation=3)
        assert made_of(data, skip_if="fits").read() == made_of(data).read()

    @pytest.mark.parametrize("format", FORMATS)
    def test_a_profile_goes_where_it_changes_nothing_and_stays_where_it_is_wanted(
        self, format: str, photo: Image.Image
    ) -> None:
        """sRGB is what every image is without one."""
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        data = saved(photo, format, icc_profile=profile)
        with Image.open(made_of(data, skip_if="fits")) as image:
            assert "icc_profile" not in image.info
        made = made_of(data, skip_if="fits", color="keep")
        assert pixels_of(made.getvalue()) == pixels_of(data)
        with Image.open(made) as image:
            assert image.info["icc_profile"] == profile

    @pytest.mark.parametrize("metadata", ["keep", "copyright", "rights"])
    def test_metadata_that_is_to_be_kept_is_written_anew(
        self, metadata: Any, photo: Image.Image
    ) -> None:
        """As the policy says: what is to be in it is in it."""
        exif = Image.Exif()
        exif[0x8298] = "Jane Doe"
        file = io.BytesIO()
        photo.save(file, "JPEG", exif=exif)
        with Image.open(made_of(file.getvalue(), skip_if="fits", metadata=metadata)) as image:
            assert image.getexif()[0x8298] == "Jane Doe"

    @pytest.mark.parametrize("format", ["PNG", "WEBP"])
    def test_a_source_that_is_taken_stays_transparent(
        self, format: str, photo: Image.Image
    ) -> None:
        """In palettes, and in an alpha channel."""
        photo.putalpha(Image.linear_gradient("L").resize(photo.size))
        for image in (photo, photo.quantize(64)) if format == "PNG" else (photo,):
            data = saved(image, format)
            made = made_of(data, skip_if="fits")
            assert pixels_of(made.getvalue()) == pixels_of(data)
            assert SECRET not in made.getvalue()

    def test_an_animation_is_made_as_ever(self) -> None:
        """Each frame is processed."""
        file = io.BytesIO()
        frames = [Image.new("RGB", (40, 30), color) for color in ("teal", "red")]
        frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
        data = file.getvalue()
        assert made_of(data, skip_if="fits").read() == made_of(data).read()

    @pytest.mark.parametrize("format", FORMATS)
    def test_a_file_that_is_cut_off_is_not_passed_on(self, format: str, photo: Image.Image) -> None:
        """What is made of it is whole."""
        data = saved(photo, format)
        data = data[: int(len(data) * 0.97)]
        with (
            contextlib.suppress(UnreadableImage),
            Image.open(made_of(data, skip_if="fits")) as image,
        ):
            image.load()

    def test_a_file_that_can_be_read_once_is_made_as_ever(self, photo: Image.Image) -> None:
        """Its bytes are gone by then."""

        class Once(io.RawIOBase):
            def __init__(self, data: bytes) -> None:
                self._data = io.BytesIO(data)

            def readable(self) -> bool:
                return True

            def read(self, size: int = -1) -> bytes:
                return self._data.read(size)

        data = saved(photo, "JPEG")
        (made,) = render_many(
            Once(data), [Recipe(BOX, skip_if="fits")], limits=LIMITS, format_options={}
        )
        assert isinstance(made, Encoded)
        assert made.format == "JPEG"

    def test_another_word_for_skip_if_is_refused(self) -> None:
        """When the recipe is made."""
        with pytest.raises(InvalidArgument, match="skip_if must be None or 'fits', not 'small'"):
            Recipe(skip_if="small")  # type: ignore[arg-type]


class TestNeverLarger:
    """``never_larger=True``."""

    def test_a_source_with_fewer_bytes_is_taken(self, photo: Image.Image) -> None:
        """Which is what an encoder makes of what has been compressed before."""
        data = saved(photo, "JPEG", quality=30)
        assert len(made_of(data).read()) > len(data)
        made = made_of(data, never_larger=True)
        assert len(made.getvalue()) < len(data)
        assert pixels_of(made.getvalue()) == pixels_of(data)

    def test_a_source_with_more_bytes_is_not_taken(self, photo: Image.Image) -> None:
        """Something is gained then."""
        data = saved(photo, "JPEG", quality=98)
        assert made_of(data, never_larger=True).read() == made_of(data).read()

    def test_the_smallest_format_may_be_the_source(self, photo: Image.Image) -> None:
        """As it is."""
        data = saved(photo, "JPEG", quality=5)
        made = made_of(data, never_larger=True, format="smallest", quality="max")
        assert (made.format, pixels_of(made.getvalue())) == ("JPEG", pixels_of(data))

    def test_several_results_of_one_source_are_each_what_they_would_be(
        self, photo: Image.Image
    ) -> None:
        """The source is taken for one of them."""
        data = saved(photo, "JPEG", quality=30)
        recipes = [
            Recipe((ResizeToFit(size, upscale=False),), never_larger=True) for size in (50, 200)
        ]
        small, large = render_many(io.BytesIO(data), recipes, limits=LIMITS, format_options={})
        assert isinstance(small, Encoded)
        assert isinstance(large, Encoded)
        assert (small.width, pixels_of(large.getvalue())) == (50, pixels_of(data))
