"""How Sphinx builds the documentation: `make docs`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
project = "imagekit-registry"
author = "The imagekit_registry authors"
copyright = f"2026, {author}"
_version = re.search(
    r'^__version__ = "(.+)"$', (ROOT / "imagekit_registry/__init__.py").read_text(), re.MULTILINE
)
release = version = _version.group(1) if _version else ""

extensions = ["myst_parser"]
exclude_patterns = ["_build", "**/_*.md"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False

_FOR_TESTS = re.compile(
    r"^ *<!-- (?:not run|needs|raises|test)\b.*?-->\n", re.MULTILINE | re.DOTALL
)


def _leave_out_tests(app: Any, name: str, source: list[str]) -> None:
    """Leave out what the pages tell their tests (`tests/docs`)."""
    source[0] = _FOR_TESTS.sub("", source[0])


def setup(app: Any) -> None:
    """Connect the function above."""
    app.connect("source-read", _leave_out_tests)
