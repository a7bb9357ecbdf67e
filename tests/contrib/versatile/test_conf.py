"""Settings without a counterpart."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks

from imagekit_registry.contrib.versatile.conf import DEFAULTS, REPLACED

pytestmark = pytest.mark.django_db(transaction=True)


def test_settings_without_a_counterpart_are_told(settings: Any) -> None:
    """With what takes their place."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "imagekit_registry.contrib.versatile"]

    def told() -> list[str]:
        messages = run_checks(tags=["imagekit"])
        return [str(message.msg) for message in messages if message.id == "imagekit.W041"]

    assert told() == []
    settings.VERSATILEIMAGEFIELD_SETTINGS = {**DEFAULTS, **dict.fromkeys(REPLACED, "x"), "slip": 1}
    settings.VERSATILEIMAGEFIELD_USE_PLACEHOLDIT = True
    assert len(told()) == len(REPLACED) + 2
