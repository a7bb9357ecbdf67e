"""What the commands do: all that there is, what is left over, what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagekit_registry._lazy import lazy_names

if TYPE_CHECKING:
    from imagekit_registry.maintenance import again as again
    from imagekit_registry.maintenance import overview as overview
else:
    # For the admin, which every process of a site imports.
    __getattr__, __dir__ = lazy_names(__name__, {"again": [], "overview": []})
