"""How Sphinx builds the documentation: `make docs`."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import attrs
import django
from django.conf import settings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

# Autodoc imports the modules, and models need a configured Django.
settings.configure(
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.admin",
        "imagekit_registry",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()

project = "imagekit-registry"
author = "The imagekit_registry authors"
copyright = f"2026, {author}"
_version = re.search(
    r'^__version__ = "(.+)"$', (ROOT / "imagekit_registry/__init__.py").read_text(), re.MULTILINE
)
release = version = _version.group(1) if _version else ""

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "**/_*.md"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
# Longer signatures have one argument a line.
maximum_signature_line_length = 88
# Docstrings write `Name` for what autodoc calls :py:obj:`Name`.
default_role = "py:obj"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False

_FOR_TESTS = re.compile(
    r"^ *<!-- (?:not run|needs|raises|test)\b.*?-->\n", re.MULTILINE | re.DOTALL
)


def _leave_out_tests(app: Any, name: str, source: list[str]) -> None:
    """Leave out what the pages tell their tests (`tests/docs`)."""
    source[0] = _FOR_TESTS.sub("", source[0])


def _show_arguments(app: Any, what: str, name: str, obj: Any, *others: Any) -> Any:
    """Show the arguments of attrs classes whose base has a `__new__` that takes anything."""
    if what != "class" or not attrs.has(obj):
        return None
    signature = inspect.signature(obj.__init__)
    arguments = [
        argument.replace(annotation=inspect.Parameter.empty)
        for argument in list(signature.parameters.values())[1:]
    ]
    return str(inspect.Signature(arguments)), None


def setup(app: Any) -> None:
    """Connect the functions above."""
    app.connect("source-read", _leave_out_tests)
    app.connect("autodoc-process-signature", _show_arguments)
