"""How near a thumbnail is to one from a full decode and LANCZOS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

__all__ = ["compare", "references"]

WINDOW = 8


def _on_grey(image: Image.Image) -> Image.Image:
    """Return *image* as it is seen: over grey, where it is transparent."""
    if "A" not in image.getbands():
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, (128, 128, 128, 255))
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")


def references(source: Path, size: tuple[int, int]) -> list[Image.Image]:
    """Return what all pixels of *source* and LANCZOS give, not encoded.

    Some crop between pixels, some at a whole one: half a pixel is no loss, but costs 6 dB in a
    comparison. Each is compared with the reference that crops where it does.
    """
    with Image.open(source) as image:
        image.load()
        exact = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
        scale = max(size[0] / image.width, size[1] / image.height)
        cover = round(image.width * scale), round(image.height * scale)
        whole = image.resize(cover, Image.Resampling.LANCZOS)
    left, top = (cover[0] - size[0]) / 2, (cover[1] - size[1]) / 2
    corners = {(int(left), int(top)), (round(left + 0.1), round(top + 0.1))}
    crops = [whole.crop((x, y, x + size[0], y + size[1])) for x, y in sorted(corners)]
    return [_on_grey(each) for each in (exact, *crops)]


def _means(values: np.ndarray) -> np.ndarray:
    """Return the mean of each window of *values*, windows being one pixel apart."""
    sums = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    w = WINDOW
    return (sums[w:, w:] - sums[:-w, w:] - sums[w:, :-w] + sums[:-w, :-w]) / (w * w)


def _ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean structural similarity of two greyscale images."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = _means(a), _means(b)
    va, vb, cov = _means(a * a) - ma**2, _means(b * b) - mb**2, _means(a * b) - ma * mb
    values = (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return float(values.mean())


def compare(result: Path, wanted: list[Image.Image]) -> tuple[float, float] | None:
    """Return PSNR (dB) and SSIM of a stored file, to the nearest reference; None: another size."""
    with Image.open(result) as opened:
        image = _on_grey(opened)
    if image.size != wanted[0].size:
        return None
    return max(_compared(image, each) for each in wanted)


def _compared(image: Image.Image, wanted: Image.Image) -> tuple[float, float]:
    a, b = np.asarray(image, float), np.asarray(wanted, float)
    error = float(((a - b) ** 2).mean())
    psnr = 10 * np.log10(255**2 / error) if error else float("inf")
    greys = [np.asarray(each.convert("L"), float) for each in (image, wanted)]
    return float(psnr), _ssim(*greys)
