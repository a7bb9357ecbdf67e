"""The address of Pillow's modules in code that was written for pilkit."""

from __future__ import annotations

import PIL
import pytest

from imagekit_registry import lib


@pytest.mark.parametrize("name", lib.__all__)
def test_a_module_is_pillows_own(name: str) -> None:
    """Not a copy, and not a wrapper."""
    assert getattr(lib, name) is getattr(PIL, name)
