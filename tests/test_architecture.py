"""What holds for the whole package, whatever room a line is in."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted([*ROOT.glob("imagekit_registry/**/*.py"), *ROOT.glob("templatetags/**/*.py")])

# Everything that a plain `pip install imagekit-registry` brings along.
CORE = ["PIL", "asgiref", "attr", "attrs", "django", "imagekit_registry", "sqlparse", "tests"]

# Imports every module as if no extra were installed; glue for others' types may need its extra at import.
IMPORT_ALL = f"""
import importlib, pkgutil, sys

class OnlyCore:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in {CORE!r} and top not in sys.stdlib_module_names and not top.startswith("_"):
            raise ModuleNotFoundError(f"No module named {{name!r}} without extras", name=name)

sys.meta_path.insert(0, OnlyCore())

from django.conf import settings

settings.configure(
    INSTALLED_APPS=[
        "django.contrib.contenttypes", "django.contrib.auth", "django.contrib.admin", "imagekit_registry"
    ],
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}},
)
import django
django.setup()

import imagekit_registry

for found in pkgutil.walk_packages(imagekit_registry.__path__, "imagekit_registry."):
    if not found.name.startswith(("imagekit_registry.contrib.", "imagekit_registry.jinja2", "imagekit_registry.workers.")):
        importlib.import_module(found.name)
"""


def parsed() -> Iterator[tuple[str, ast.Module]]:
    """Give every module of the package, by its path in the repository."""
    for path in MODULES:
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def imported_modules(tree: ast.Module) -> Iterator[str]:
    """Give the names of the modules that *tree* imports anywhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def test_every_module_imports_without_extras() -> None:
    """Who installs no extra can use everything that needs none."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["pickle", "marshal", "shelve", "dill", "cloudpickle"])
def test_nothing_imports_a_module_that_runs_what_it_reads(module: str) -> None:
    """Names, queues and addresses hold nothing that runs code when it is read."""
    users = [name for name, tree in parsed() if module in set(imported_modules(tree))]

    assert users == []
