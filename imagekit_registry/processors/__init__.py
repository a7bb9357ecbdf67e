"""Processors: an image goes in, another image comes out. They know nothing of Django.

Any object with ``process(image)`` is a processor; these are the shipped ones.
"""

from __future__ import annotations

from imagekit_registry.processors._protocol import Processor, SizedProcessor
from imagekit_registry.processors.base import (
    Adjust,
    Anchor,
    MakeOpaque,
    ProcessorPipeline,
    Reflection,
    Transpose,
)
from imagekit_registry.processors.convert import (
    AutoContrast,
    Convert,
    Grayscale,
    Invert,
    Posterize,
)
from imagekit_registry.processors.crop import (
    BasicCrop,
    Crop,
    Side,
    SmartCrop,
    TrimBorderColor,
)
from imagekit_registry.processors.filter import GaussianBlur, UnsharpMask
from imagekit_registry.processors.overlay import ColorOverlay, RoundedCorners
from imagekit_registry.processors.resize import (
    AddBorder,
    Resize,
    ResizeCanvas,
    ResizeToCover,
    ResizeToFill,
    ResizeToFit,
    Rotate,
    SmartResize,
    Thumbnail,
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
    "Side",
    "SizedProcessor",
    "SmartCrop",
    "SmartResize",
    "Thumbnail",
    "Transpose",
    "TrimBorderColor",
    "UnsharpMask",
]
