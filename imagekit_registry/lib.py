"""Pillow's modules, under the address from which processors written for pilkit import them."""

from __future__ import annotations

from PIL import (
    Image,
    ImageChops,
    ImageColor,
    ImageDraw,
    ImageEnhance,
    ImageFile,
    ImageFilter,
    ImageMode,
    ImageStat,
)

__all__ = [
    "Image",
    "ImageChops",
    "ImageColor",
    "ImageDraw",
    "ImageEnhance",
    "ImageFile",
    "ImageFilter",
    "ImageMode",
    "ImageStat",
]
