"""Imaging: open, limit, orient, colour-manage, plan, decode, process and encode.

Its modules are imported with the first image: a process that makes none needs none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagekit_registry._lazy import lazy_names

if TYPE_CHECKING:
    from ._decoder_pillow import PillowDecoder
    from ._decoder_vips import VipsDecoder
    from ._modes import Encoded
    from ._plan import Decoder, Frame, Header, Metadata, OpenedImage, Plan, plan_decode
    from ._recipe import Recipe
    from ._render import get_decoder, read_header, render, render_many
    from ._scaling import SimdResizer, get_resizer
    from ._source import Deadline, Limits
    from ._steps import StepObserver, observe_steps, step
    from .formats import SAFE_FORMATS
    from .placeholders import Placeholder
    from .qualities import Target
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "_decoder_pillow": ["PillowDecoder"],
            "_decoder_vips": ["VipsDecoder"],
            "_modes": ["Encoded"],
            "_plan": [
                "Decoder",
                "Frame",
                "Header",
                "Metadata",
                "OpenedImage",
                "Plan",
                "plan_decode",
            ],
            "_recipe": ["Recipe"],
            "_render": ["get_decoder", "read_header", "render", "render_many"],
            "_scaling": ["SimdResizer", "get_resizer"],
            "_source": ["Deadline", "Limits"],
            "_steps": ["StepObserver", "observe_steps", "step"],
            "compat": [],
            "formats": ["SAFE_FORMATS"],
            "placeholders": ["Placeholder"],
            "qualities": ["Target"],
        },
    )

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
    "StepObserver",
    "Target",
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
