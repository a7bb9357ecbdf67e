"""sorl-thumbnail's ``{% load sorl_thumbnail %}``: for projects where another library is called ``thumbnail``."""

from __future__ import annotations

from imagekit_registry.contrib.sorl.templatetags.thumbnail import register

__all__ = ["register"]
