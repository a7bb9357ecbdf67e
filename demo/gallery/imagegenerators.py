"""Specs that templates use by their ids; found at start-up."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import features

from demo.gallery.models import Photo
from imagekit_registry import ImageSpec, Picture, Source, get_image, register
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.strategies import OnDemand
from imagekit_registry.processors import (
    Grayscale,
    ResizeToFill,
    ResizeToFit,
    RoundedCorners,
    SmartResize,
)
from imagekit_registry.specs.sourcegroups import ImageFieldSourceGroup


@register.generator("gallery:large")
class Large(ImageSpec):
    """The whole photograph, as large as a page needs it; `{% picture %}` makes the smaller ones."""

    processors = [ResizeToFit(1600, 1600, upscale=False)]
    format = "JPEG"
    placeholder = "lqip"
    picture = Picture(widths=[480, 960, 1600], sizes="(max-width: 60rem) 100vw, 42rem")


@register.generator("gallery:square")
class Square(ImageSpec):
    """What the photograph is about, for screens with little room."""

    processors = [ResizeToFill(640, 640, anchor="focal")]
    format = "JPEG"


@register.generator("gallery:hero")
class Hero(ImageSpec):
    """The first photograph of the gallery: as wide as the page, and on telephones another crop of it."""

    processors = [ResizeToFill(1680, 720, anchor="focal")]
    format = "JPEG"
    placeholder = "lqip"
    picture = Picture(
        layout="full",
        widths=[640, 1120, 1680],
        sizes="(min-width: 74.5rem) 72rem, 100vw",
        sources=[Source("(max-width: 34rem)", "gallery:square")],
    )


@register.generator("gallery:fit")
class Fit(ImageSpec):
    """The whole photograph in a box."""

    title = "The whole photograph"
    processors = [ResizeToFit(480, 360)]
    format = "JPEG"


@register.generator("gallery:fill")
class Fill(ImageSpec):
    """The middle of the photograph, filling a box."""

    title = "Filling a box"
    processors = [ResizeToFill(480, 360)]
    format = "JPEG"


@register.generator("gallery:focal")
class Focal(ImageSpec):
    """What the photograph is about, filling a box."""

    title = "Around the focal point"
    processors = [ResizeToFill(480, 360, anchor="focal")]
    format = "JPEG"


@register.generator("gallery:smart")
class Smart(ImageSpec):
    """The part of the photograph with the most detail."""

    title = "Smart crop"
    processors = [SmartResize(360, 360)]
    format = "JPEG"


@register.generator("gallery:grayscale")
class Gray(ImageSpec):
    """Without colours."""

    title = "Grayscale"
    processors = [ResizeToFill(480, 360), Grayscale()]
    format = "JPEG"


@register.generator("gallery:rounded")
class Rounded(ImageSpec):
    """With round, transparent corners."""

    title = "Round corners"
    processors = [ResizeToFill(480, 360), RoundedCorners(48)]
    format = "WEBP"


@register.generator("gallery:webp")
class WebP(ImageSpec):
    """In a smaller format."""

    title = "WebP"
    processors = [ResizeToFill(480, 360)]
    format = "WEBP"


@register.generator("gallery:contact")
class Contact(ImageSpec):
    """A small one for the contact sheet, made when a browser asks for it."""

    # A signed URL tells the file, not the row: a sheet of people keeps what is above the middle.
    processors = [ResizeToFill(240, 180, anchor="50% 30%")]
    format = "WEBP"
    cachefile_strategy = OnDemand


#: The specs that a photograph's page compares.
SPECS = {
    "gallery:fit": Fit,
    "gallery:fill": Fill,
    "gallery:focal": Focal,
    "gallery:smart": Smart,
    "gallery:grayscale": Gray,
    "gallery:rounded": Rounded,
    "gallery:webp": WebP,
}

# Pillow writes AVIF since 11.3, if it was built with it.
if features.check("avif"):

    @register.generator("gallery:avif")
    class Avif(ImageSpec):
        """In the smallest format."""

        title = "AVIF"
        processors = [ResizeToFill(480, 360)]
        format = "AVIF"

    SPECS["gallery:avif"] = Avif

# With these, `generateimages` makes them of every photograph.
photos = ImageFieldSourceGroup(Photo, "image")
for spec_id in ["gallery:large", *SPECS]:
    register.source_group(spec_id, photos)


def newest() -> Iterator[ImageCacheFile]:
    """Yield the only hero that a page shows: that of the newest photograph."""
    for photo in Photo.objects.all()[:1]:
        yield get_image("gallery:hero", source=photo.image)


register.cachefiles("gallery:hero", newest)
