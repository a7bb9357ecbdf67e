"""sorl-thumbnail's names of what is raised."""

from __future__ import annotations

from imagekit_registry.exceptions import GenerationError as EngineError
from imagekit_registry.exceptions import ImageKitError as ThumbnailError

__all__ = ["EngineError", "ThumbnailError"]
