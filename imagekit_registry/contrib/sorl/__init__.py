"""What templates and views written for sorl-thumbnail 13 call, over the images of this library.

Put ``"imagekit_registry.contrib.sorl"`` into ``INSTALLED_APPS`` in place of ``"sorl.thumbnail"``, beside
``"imagekit_registry"``, and rename ``sorl.thumbnail`` in imports and migrations likewise.
"""

from __future__ import annotations

from imagekit_registry.contrib.sorl.fields import ImageField
from imagekit_registry.contrib.sorl.shortcuts import delete, get_thumbnail

__all__ = ["ImageField", "delete", "get_thumbnail"]
