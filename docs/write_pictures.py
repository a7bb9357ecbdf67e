"""Makes the pictures of the processors: what a photograph is before, and what each makes of it.

    python -m docs.write_pictures [--all]

Those that are there stay as they are, unless all are asked for: encoders write other bytes with each version.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from imagekit_registry import processors

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "_static" / "processors"
_CAT, _COFFEE, _PORTRAIT, _ROCKET = (
    ROOT / "demo" / "photos" / name
    for name in ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg")
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


def main(*, every: bool) -> None:
    """Write the pictures that are not there, or every one."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in [*EXAMPLES, "anchors"]:
        path = PICTURES / f"{name}.webp"
        if every or not path.exists():
            picture = _of_anchors() if name == "anchors" else _of_processor(name)
            picture.save(path, quality=80, method=6)


if __name__ == "__main__":
    main(every="--all" in sys.argv)
