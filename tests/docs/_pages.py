"""Runs the blocks of one page, in a process of the page's own."""

from __future__ import annotations

import contextlib
import copy
import doctest
import io
import re
import sys
import types
import warnings
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection, models
from django.template import Context, Template
from django.test import RequestFactory, override_settings
from PIL import Image

from imagekit_registry.registry import generator_registry, source_group_registry
from tests.docs._console import check_console
from tests.docs._markdown import ROOT, Block, missing_need

__all__ = ["Checker", "Page", "Problem"]

PHOTOS = ROOT / "demo" / "photos"
_DIGEST = re.compile(r"\b[0-9a-f]{32}\b")
_MODEL = re.compile(r"^class (\w+)\((?:models\.Model|Photo)\):", re.MULTILINE)
_URL = re.compile(r"/media/[^\s\"'<>,)]+")
_PROJECT = Path(__file__).resolve().parent / "project"
DOCTEST_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


class Problem(Exception):
    """A block does not do what its page says."""


class Page:
    """The namespace that the blocks of a page share, and the means to run them.

    Args:
        blocks: All blocks of the page.
    """

    def __init__(self, blocks: list[Block]) -> None:
        self.blocks = blocks
        self.settings = contextlib.ExitStack()
        self.module = _new_module("photos.example")
        self.names: dict[str, Any] = vars(self.module)
        self.names.update(add_photo=self.add_photo, media_files=media_files)
        self.ran = 0
        self.chosen: set[str] = set()
        self.run_file("photos/models.py", (_PROJECT / "standard_models.py").read_text())

    def run(self) -> list[str]:
        """Run every block; return what is wrong, one text for each block that fails."""
        problems = []
        for block in self.blocks:
            if block.not_run or missing_need(block.needs):
                continue
            try:
                self.run_block(block)
            except Exception as error:
                self.names["raised"] = error
                if type(error).__name__ != block.raises:
                    problems.append(f"{block.where}: {_describe(error)}")
                    continue
            else:
                if block.raises:
                    problems.append(f"{block.where}: no {block.raises} is raised")
            self.ran += block.language != "test"
        self.settings.close()
        return problems

    def run_block(self, block: Block) -> None:
        """Run one block, in the way of its language.

        Raises:
            Problem: It runs, but not as it says.
        """
        match block.language:
            case "python" if block.path.endswith("settings.py"):
                self.run_settings(block)
            case "python" if block.path.startswith("photos/"):
                self.run_file(block.path, block.code, block.line)
            case "python" | "test":
                self.execute(block.code, block.where, block.line, self.names)
            case "pycon":
                run_doctest(block.code, self.names, block.where, block.line)
            case "django" | "html+django" | "jinja":
                self.render(block)
            case "console":
                check_console(block, self.names)

    # Python

    def execute(self, code: str, name: str, line: int, names: dict[str, Any]) -> None:
        """Execute *code* as a part of the page."""
        defined = frozenset(map(str.lower, _MODEL.findall(code)))
        _forget_ids(defined)
        tree = compile("\n" * (line - 1) + code, name, "exec", dont_inherit=True)
        with warnings.catch_warnings():
            # A page may write a model twice, the second time with more in it.
            warnings.filterwarnings("ignore", "Model '.*' was already registered")
            exec(tree, names)
        if defined:
            _make_tables(defined)

    def run_file(self, path: str, code: str, line: int = 1) -> None:
        """Execute *code* as the module at *path*, whose names the page has from then on."""
        name = path.removesuffix(".py").replace("/", ".")
        module = sys.modules.get(name) or _new_module(name)
        self.execute(code, path, line, vars(module))
        self.names.update({k: v for k, v in vars(module).items() if not k.startswith("__")})

    def run_settings(self, block: Block) -> None:
        """Put settings in force for the rest of the page, and check them."""
        values = {k: v for k, v in vars(sys.modules["settings"]).items() if k.isupper()}
        names: dict[str, Any] = {
            "BASE_DIR": Path(settings.MEDIA_ROOT).parent,
            **copy.deepcopy(values),
        }
        self.execute(block.code, block.where, block.line, names)
        missing = set(names.pop("INSTALLED_APPS")) - set(settings.INSTALLED_APPS)
        # Apps for those who come from elsewhere have tags of one name, and are there for a page alone.
        guests = {app for app in missing if app.startswith("imagekit_registry.contrib.")}
        if missing - guests:
            raise Problem(f"the tests' project lacks {', '.join(missing - guests)}")
        if guests:
            apps_now = [*settings.INSTALLED_APPS, *sorted(guests)]
            self.settings.enter_context(override_settings(INSTALLED_APPS=apps_now))
        changed = {
            name: value
            for name, value in names.items()
            if name.isupper() and name != "BASE_DIR" and values.get(name, ...) != value
        }
        self.settings.enter_context(override_settings(**changed))
        self.chosen.update(changed)
        found = io.StringIO()
        try:
            call_command("check", stdout=found, stderr=found, fail_level="WARNING")
        except SystemCheckError as error:
            raise Problem(f"the settings do not pass the checks: {error}") from error

    # Templates

    def render(self, block: Block) -> str:
        """Render a template, and see whether every image in it is there."""
        if block.path:
            name = block.path.rpartition("templates/")[2]
            sys.modules["settings"].PAGE_TEMPLATES[name] = block.code
        text = self.render_text(block.code, block.language)
        for url in _URL.findall(text):
            path = Path(settings.MEDIA_ROOT) / url.removeprefix("/media/")
            if not path.is_file():
                raise Problem(f"the page shows {url}, which is not there")
            Image.open(path).close()
        if "{{ None" in text or "None px" in text:
            raise Problem("the page shows None")
        self.names["html"] = text
        return text

    def render_text(self, code: str, language: str) -> str:
        """Return what a template gives with the page's names."""
        context = {k: v for k, v in self.names.items() if not k.startswith("_")}
        context["request"] = RequestFactory().get("/")
        # A slip of the pen would show nothing, and nobody would see it.
        strict = {} if "IMAGEKIT_ON_ERROR" in self.chosen else {"IMAGEKIT_ON_ERROR": "raise"}
        with override_settings(**strict):
            if language == "jinja":
                return str(self.names["environment"].from_string(code).render(context))
            return Template(code).render(Context(context))

    # What examples are made of

    def add_photo(self, photo: str = "rocket.jpg", name: str = "", **values: Any) -> Any:
        """Store one of the demo's photographs and return its row."""
        content = ContentFile((PHOTOS / photo).read_bytes(), name=name or photo)
        field = next(
            field.name
            for field in self.names["Photo"]._meta.fields
            if isinstance(field, models.ImageField)
        )
        return self.names["Photo"].objects.create(**{"title": "A photo", field: content, **values})


def media_files() -> list[str]:
    """Return the names of all stored files."""
    root = Path(storages["default"].path(""))
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


class Checker(doctest.OutputChecker):
    """Takes any digest for any other: what is digested changes more often than the pages."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        """Compare what is wanted with what came."""
        return super().check_output(_DIGEST.sub("#", want), _DIGEST.sub("#", got), optionflags)


def run_doctest(code: str, names: dict[str, Any], where: str, line: int = 1) -> None:
    """Run *code*, as typed at a prompt, and compare what it gives.

    Raises:
        Problem: It gives something else.
    """
    test = doctest.DocTestParser().get_doctest(code, {}, where, where, line)
    test.globs = names
    out = io.StringIO()
    runner = doctest.DocTestRunner(Checker(), optionflags=DOCTEST_FLAGS, verbose=False)
    failed = runner.run(test, out=out.write, clear_globs=False).failed
    if failed:
        raise Problem(out.getvalue())


def _new_module(name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)  # Django looks for it when apps are installed.
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    setattr(sys.modules[parent], child, module)
    return module


def _forget_ids(names: Iterable[str]) -> None:
    for id in generator_registry.get_ids():
        if any(id.startswith(f"photos:{name}:") for name in names):
            generator_registry.unregister(id)
            for group in source_group_registry.groups_of(id):
                source_group_registry.unregister(id, group)


def _make_tables(names: Iterable[str]) -> None:
    """Make the tables of models anew."""
    config = apps.get_app_config("photos")
    wanted = [config.get_model(name) for name in names]
    existing = connection.introspection.table_names()
    with connection.constraint_checks_disabled(), connection.schema_editor() as editor:
        for model in wanted:
            if model._meta.db_table in existing:
                editor.delete_model(model)
            if model._meta.managed and not model._meta.proxy:
                editor.create_model(model)


def _describe(error: Exception) -> str:
    if isinstance(error, Problem):
        return str(error)
    traceback = error.__traceback__
    line = ""
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename.endswith(".md") or ".md:" in (
            traceback.tb_frame.f_code.co_filename
        ):
            line = f" (line {traceback.tb_lineno})"
        traceback = traceback.tb_next
    return f"{type(error).__name__}{line}: {error}"
