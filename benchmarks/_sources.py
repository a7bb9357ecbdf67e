"""The sources: the photograph of the demo, scaled up. Made once, the same files for everybody."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

__all__ = ["DATA", "KINDS", "make_sources"]

HERE = Path(__file__).resolve().parent
PHOTO = HERE.parent / "demo" / "photos" / "hubble_deep_field.jpg"
DATA = HERE / ".data"

#: File name, size in pixels and save options, by kind.
KINDS = {
    "jpeg24": ("jpeg24.jpg", (6000, 4000), {"quality": 90}),
    "jpeg12": ("jpeg12.jpg", (4000, 3000), {"quality": 90}),
    "progressive12": ("progressive12.jpg", (4000, 3000), {"quality": 90, "progressive": True}),
    "jpeg2": ("jpeg2.jpg", (1600, 1200), {"quality": 90}),
    "png4": ("png4.png", (2400, 1680), {}),
    "webp4": ("webp4.webp", (2400, 1680), {"quality": 90}),
    "tiny": ("tiny.jpg", (400, 300), {"quality": 90}),
}


def make_sources() -> Path:
    """Make what is not there yet; return its folder."""
    folder = DATA / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    with Image.open(PHOTO) as photo:
        base = photo.convert("RGB")
    for name, size, options in KINDS.values():
        path = folder / name
        if path.exists():
            continue
        image = base.resize(size, Image.Resampling.LANCZOS)
        if name.endswith(".png"):
            ramp = Image.linear_gradient("L").rotate(90).resize(size)
            image.putalpha(ramp)
        image.save(path, **options)
    return folder
