"""Processors: an image goes in, another image comes out. They know nothing of Django.

Any object with ``process(image)`` is a processor; these are the shipped ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagekit_registry._lazy import lazy_names

if TYPE_CHECKING:
    from ._protocol import Processor, SizedProcessor
    from .anchors import Anchor
    from .base import Adjust, MakeOpaque, ProcessorPipeline, Reflection, Transpose
    from .canvas import AddBorder, ResizeCanvas, Rotate
    from .convert import AutoContrast, Convert, Grayscale, Invert, Posterize
    from .crop import BasicCrop, Crop, EdgeCrop, Side, SmartCrop, TrimBorderColor
    from .filter import Detail, GaussianBlur, Sharpen, UnsharpMask
    from .overlay import ColorOverlay, RoundedCorners
    from .resize import Resize, ResizeToCover, ResizeToFill, ResizeToFit, SmartResize, Thumbnail
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "_protocol": ["Processor", "SizedProcessor"],
            "anchors": ["Anchor"],
            "base": ["Adjust", "MakeOpaque", "ProcessorPipeline", "Reflection", "Transpose"],
            "canvas": ["AddBorder", "ResizeCanvas", "Rotate"],
            "convert": ["AutoContrast", "Convert", "Grayscale", "Invert", "Posterize"],
            "crop": ["BasicCrop", "Crop", "EdgeCrop", "Side", "SmartCrop", "TrimBorderColor"],
            "filter": ["Detail", "GaussianBlur", "Sharpen", "UnsharpMask"],
            "overlay": ["ColorOverlay", "RoundedCorners"],
            "resampling": [],
            "resize": [
                "Resize",
                "ResizeToCover",
                "ResizeToFill",
                "ResizeToFit",
                "SmartResize",
                "Thumbnail",
            ],
            "utils": [],
        },
    )

__all__ = [
    "AddBorder",
    "Adjust",
    "Anchor",
    "AutoContrast",
    "BasicCrop",
    "ColorOverlay",
    "Convert",
    "Crop",
    "Detail",
    "EdgeCrop",
    "GaussianBlur",
    "Grayscale",
    "Invert",
    "MakeOpaque",
    "Posterize",
    "Processor",
    "ProcessorPipeline",
    "Reflection",
    "Resize",
    "ResizeCanvas",
    "ResizeToCover",
    "ResizeToFill",
    "ResizeToFit",
    "Rotate",
    "RoundedCorners",
    "Sharpen",
    "Side",
    "SizedProcessor",
    "SmartCrop",
    "SmartResize",
    "Thumbnail",
    "Transpose",
    "TrimBorderColor",
    "UnsharpMask",
]
