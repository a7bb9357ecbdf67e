"""Imaging: open, limit, orient, colour-manage, plan, decode, process and encode."""

from __future__ import annotations

from ._decoder import Decoder, Frame, Header, Metadata, OpenedImage, Plan
from ._decoder_pillow import PillowDecoder
from ._decoder_vips import VipsDecoder
from ._encode import Encoded
from ._limits import Deadline, Limits
from ._process import plan_decode
from ._recipe import Recipe
from ._render import get_decoder, read_header, render, render_many
from ._resizer import SimdResizer, get_resizer
from .formats import SAFE_FORMATS
from .placeholders import Placeholder

__all__ = [
    "SAFE_FORMATS",
    "Deadline",
    "Decoder",
    "Encoded",
    "Frame",
    "Header",
    "Limits",
    "Metadata",
    "OpenedImage",
    "PillowDecoder",
    "Placeholder",
    "Plan",
    "Recipe",
    "SimdResizer",
    "VipsDecoder",
    "get_decoder",
    "get_resizer",
    "plan_decode",
    "read_header",
    "render",
    "render_many",
]
