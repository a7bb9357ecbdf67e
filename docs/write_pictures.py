"""Makes the pictures of the docs: what each processor makes of a photograph, and what formats and qualities do.

    python -m docs.write_pictures [--all]

Those that are there stay as they are, unless all are asked for: encoders write other bytes with each version. With the
pictures of formats goes the table of their bytes.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from PIL import Image

from imagekit_registry import imaging, processors
from imagekit_registry.conf import FORMAT_OPTIONS

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = ROOT / "demo" / "photos"
STATIC = ROOT / "docs" / "_static"
PICTURES = STATIC / "processors"
_CAT, _COFFEE, _PORTRAIT, _ROCKET = (
    PHOTOS / name for name in ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg")
)
#: What is shown of each processor: the photograph, and the code.
EXAMPLES: dict[str, tuple[Path, str]] = {
    "AddBorder": (_COFFEE, "AddBorder(8, color='white')"),
    "Adjust": (_COFFEE, "Adjust(color=1.4, brightness=1.1, contrast=1.2)"),
    "AutoContrast": (_ROCKET, "AutoContrast(cutoff=2)"),
    "BasicCrop": (_CAT, "BasicCrop(90, 20, 150, 110)"),
    "ColorOverlay": (_ROCKET, "ColorOverlay('#0a4', overlay_opacity=0.4)"),
    "Convert": (_COFFEE, "Convert('L')"),
    "Crop": (_CAT, "Crop(150, 110, anchor='tr')"),
    "Detail": (_CAT, "Detail()"),
    "EdgeCrop": (_CAT, "EdgeCrop(150, 110, left=10, bottom=0)"),
    "GaussianBlur": (_CAT, "GaussianBlur(3)"),
    "Grayscale": (_CAT, "Grayscale()"),
    "Invert": (_COFFEE, "Invert()"),
    "MakeOpaque": (_PORTRAIT, "MakeOpaque('#8cf')"),
    "Posterize": (_COFFEE, "Posterize(2)"),
    "Reflection": (_ROCKET, "Reflection(size=0.4)"),
    "Resize": (_CAT, "Resize(110, 200)"),
    "ResizeCanvas": (_CAT, "ResizeCanvas(240, 160, color='#345', anchor='b')"),
    "ResizeToCover": (_CAT, "ResizeToCover(150, 150)"),
    "ResizeToFill": (_CAT, "ResizeToFill(150, 150)"),
    "ResizeToFit": (_CAT, "ResizeToFit(150, 150, mat_color='#345')"),
    "Rotate": (_COFFEE, "Rotate(12)"),
    "RoundedCorners": (_COFFEE, "RoundedCorners(24)"),
    "Sharpen": (_CAT, "Sharpen()"),
    "SmartCrop": (_ROCKET, "SmartCrop(150, 150)"),
    "SmartResize": (_PORTRAIT, "SmartResize(110, 180)"),
    "Thumbnail": (_CAT, "Thumbnail(150, 100)"),
    "Transpose": (_CAT, "Transpose(Transpose.ROTATE_90)"),
    "TrimBorderColor": (_COFFEE, "TrimBorderColor()"),
    "UnsharpMask": (_CAT, "UnsharpMask(radius=2, percent=200)"),
}
#: Photographs whose bytes are compared, each with the upper left corner of what is shown of it, in pixels.
COMPARED = {"dandelion.jpg": (210, 130), "dogs.jpg": (340, 370), "mountains.jpg": (560, 300)}
#: How wide they are compared, and how much of them is shown.
_WIDTH, _SHOWN = 960, 150
_FORMATS, _QUALITIES = ("JPEG", "WEBP", "AVIF"), ("low", "medium", "high", "max")
FORMATS_PAGE = ROOT / "docs" / "explanation" / "formats-and-qualities.md"
_TABLE = re.compile(r"(?<=<!-- bytes -->\n).*?(?=<!-- end -->)", re.DOTALL)
_SIZE = (240, 160)
_GAP, _SQUARE = 16, 8


def _before(name: str, photo: Path) -> Image.Image:
    image = processors.ResizeToFill(*_SIZE, anchor="t").process(Image.open(photo).convert("RGB"))
    if name == "TrimBorderColor":
        return processors.AddBorder(24, color="white").process(image)
    if name == "MakeOpaque":
        return processors.RoundedCorners(60).process(image)
    return image


def _on_squares(image: Image.Image) -> Image.Image:
    """Return *image* on what shows that it is transparent."""
    ground = Image.new("RGB", image.size, "white")
    for left in range(0, image.width, _SQUARE):
        for top in range(0, image.height, _SQUARE):
            if (left + top) // _SQUARE % 2:
                ground.paste("#ddd", (left, top, left + _SQUARE, top + _SQUARE))
    ground.paste(image, (0, 0), image)
    return ground


def _beside(images: list[Image.Image], columns: int) -> Image.Image:
    images = [_on_squares(each) if each.mode in {"RGBA", "LA"} else each for each in images]
    width, height = max(each.width for each in images), max(each.height for each in images)
    rows = -(-len(images) // columns)
    size = (columns * (width + _GAP) - _GAP, rows * (height + _GAP) - _GAP)
    canvas = Image.new("RGBA", size, (0, 0, 0, 0))
    for at, each in enumerate(images):
        left, top = at % columns * (width + _GAP), at // columns * (height + _GAP)
        canvas.paste(each, (left, top + (height - each.height) // 2))
    return canvas


def _of_processor(name: str) -> Image.Image:
    photo, code = EXAMPLES[name]
    before = _before(name, photo)
    processor = eval(code, vars(processors))  # noqa: S307 -- what stands above
    return _beside([before, processor.process(before)], columns=2)


def _of_anchors() -> Image.Image:
    photo = Image.open(_PORTRAIT).convert("RGB").resize((200, 200))
    anchors = ("tl", "t", "tr", "l", "c", "r", "bl", "b", "br")
    return _beside([processors.Crop(90, 90, anchor=each).process(photo) for each in anchors], 3)


def _compare(name: str) -> tuple[Image.Image, list[int]]:
    """Return what is seen of a photograph in each format and quality, and how many bytes each has."""
    parts, sizes = [], []
    x, y = COMPARED[name]
    for format in _FORMATS:
        for quality in _QUALITIES:
            recipe = imaging.Recipe(
                processors=(processors.ResizeToFit(_WIDTH),), format=format, quality=quality
            )
            with (PHOTOS / name).open("rb") as file:
                made = imaging.render(
                    file, recipe, limits=imaging.Limits(), format_options=FORMAT_OPTIONS
                )
            data = made.read()
            sizes.append(len(data))
            image = Image.open(io.BytesIO(data)).convert("RGB")
            parts.append(image.crop((x, y, x + _SHOWN, y + _SHOWN)))
    return _beside(parts, len(_QUALITIES)), sizes


def _write_formats() -> None:
    rows = [
        "| | | `low` | `medium` | `high` | `max` |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for name in COMPARED:
        picture, sizes = _compare(name)
        picture.save(STATIC / f"formats-{Path(name).stem}.webp", quality=96, method=6)
        for row, format in enumerate(_FORMATS):
            columns = sizes[row * len(_QUALITIES) :][: len(_QUALITIES)]
            cells = " | ".join(f"{size / 1000:.0f} kB" for size in columns)
            rows.append(f"| {'' if row else f'`{name}`'} | {format} | {cells} |")
    page = FORMATS_PAGE.read_text(encoding="utf-8")
    table = "\n".join(["", *rows, "", ""])
    FORMATS_PAGE.write_text(_TABLE.sub(lambda _: table, page), encoding="utf-8")


def main(*, every: bool) -> None:
    """Write the pictures that are not there, or every one."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    if every or not all((STATIC / f"formats-{Path(name).stem}.webp").exists() for name in COMPARED):
        _write_formats()
    for name in [*EXAMPLES, "anchors"]:
        path = PICTURES / f"{name}.webp"
        if every or not path.exists():
            picture = _of_anchors() if name == "anchors" else _of_processor(name)
            picture.save(path, quality=80, method=6)


if __name__ == "__main__":
    main(every="--all" in sys.argv)
