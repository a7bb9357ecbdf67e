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
from ._steps import StepObserver, observe_steps, step
from .formats import SAFE_FORMATS

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
    "Plan",
    "Recipe",
    "SimdResizer",
    "StepObserver",
    "VipsDecoder",
    "get_decoder",
    "get_resizer",
    "observe_steps",
    "plan_decode",
    "read_header",
    "render",
    "render_many",
    "step",
]
