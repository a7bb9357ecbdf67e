"""The table of records."""

from __future__ import annotations

import importlib

import pytest
from django.test import override_settings

from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.models import records


def test_models_say_what_to_add_where_the_app_is_not_installed() -> None:
    """Code for django-imagekit worked without; the setting and the line are named."""
    installed = ["django.contrib.contenttypes"]
    with (
        override_settings(INSTALLED_APPS=installed),
        pytest.raises(InvalidConfiguration, match="Add the line 'imagekit_registry', to INSTALLED"),
    ):
        importlib.reload(records)
