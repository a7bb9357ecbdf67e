"""The address at which sorl-thumbnail has its functions, too: ``default.backend.get_thumbnail``."""

from __future__ import annotations

from imagekit_registry.contrib.sorl import shortcuts as backend

__all__ = ["backend"]
