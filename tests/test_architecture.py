"""What holds for the whole package, whatever room a line is in."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
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

# Starts Django with apps and prints what has been imported.
SETUP = """
import sys

from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", *sys.argv[1:]],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
import django
django.setup()
"""
PRINT = "print(*sys.modules)"

# Declares a model between the two as a site does, where the app is one of the apps.
START = f"""{SETUP}
if "imagekit_registry" in sys.argv:
    from django.db.models import ImageField, Model
    from imagekit_registry import ImageSpec, register
    from imagekit_registry.models import FocalPointField, ImageSpecField, ProcessedImageField
    from imagekit_registry.processors import ResizeToFill, ResizeToFit

    class Photo(Model):
        image = ImageField()
        point = FocalPointField()
        avatar = ProcessedImageField([ResizeToFit(1000, 1000)], format="JPEG")
        thumbnail = ImageSpecField([ResizeToFill(100, 100)], source="image", format="WEBP")

        class Meta:
            app_label = "auth"

    @register.generator("large")
    class Large(ImageSpec):
        processors = [ResizeToFit(2000, 2000)]

{PRINT}
"""

NOT_AT_START = re.compile(
    r"""PIL\.(\w+ImagePlugin|ImageFile|ImageDraw|ImageFont|ImageCms|features)
    |imagekit_registry\.(admin|checks|contrib|html|jinja2|maintenance|management|serving|state|utils|workers)\b.*
    |imagekit_registry\.cachefiles\..*
    |imagekit_registry\.imaging\.(?!(formats|qualities|_source)$).*
    |imagekit_registry\.processors\.(convert|filter|overlay)""",
    re.VERBOSE,
)

# Public modules whose tests are not in the file of their name, and why.
TESTED_ELSEWHERE = {
    # Nothing but names, which others send; the reference lists them all.
    "signals": "cachefiles/test_generation.py",
    # A line that starts the library; every test is one of them.
    "apps": "checks/test_settings.py",
    # As statements, and as functions.
    "jinja2": "jinja2/test_statements.py",
    # Each of its parts has a file.
    "testing": "testing/test_testing.py",
    # By a project that moves.
    "contrib/django_imagekit": "moving/test_imagekit.py",
    # What somebody who moves from sorl-thumbnail imports.
    "contrib/sorl/admin": "contrib/sorl/test_shortcuts.py",
    "contrib/sorl/admin/current": "contrib/sorl/test_shortcuts.py",
    "contrib/sorl/default": "contrib/sorl/test_shortcuts.py",
    "contrib/sorl/helpers": "contrib/sorl/test_shortcuts.py",
    "contrib/sorl/apps": "contrib/sorl/test_checks.py",
    "contrib/sorl/conf": "contrib/sorl/test_specs.py",
    "contrib/sorl/fields": "contrib/sorl/test_shortcuts.py",
    "contrib/sorl/imagegenerators": "moving/test_sorl.py",
    "contrib/sorl/templatetags/sorl_thumbnail": "contrib/sorl/templatetags/test_thumbnail.py",
    # What the field and its keys are made of, each tested through them.
    "contrib/versatile/apps": "contrib/versatile/test_conf.py",
    "contrib/versatile/datastructures": "contrib/versatile/test_registry.py",
    "contrib/versatile/datastructures/filteredimage": "contrib/versatile/test_registry.py",
    "contrib/versatile/datastructures/sizedimage": "contrib/versatile/test_registry.py",
    "contrib/versatile/exceptions": "contrib/versatile/test_registry.py",
    "contrib/versatile/files": "contrib/versatile/test_fields.py",
    "contrib/versatile/image_warmer": "contrib/versatile/test_utils.py",
    "contrib/versatile/imagegenerators": "moving/test_versatile.py",
    "contrib/versatile/serializers": "contrib/versatile/test_utils.py",
    "contrib/versatile/specs": "contrib/versatile/test_fields.py",
    "contrib/versatile/validators": "contrib/versatile/test_fields.py",
    "contrib/versatile/versatileimagefield": "contrib/versatile/test_registry.py",
    # Names of easy-thumbnails whose tests are those of what is behind them.
    "contrib/easy/apps": "moving/test_easy.py",
    "contrib/easy/engine": "contrib/easy/test_files.py",
    "contrib/easy/exceptions": "contrib/easy/test_files.py",
    "contrib/easy/source_generators": "contrib/easy/test_files.py",
    "contrib/easy/images": "contrib/easy/test_files.py",
    "contrib/easy/imagegenerators": "moving/test_easy.py",
    "contrib/easy/options": "contrib/easy/test_processors.py",
    "contrib/easy/signal_handlers": "contrib/easy/test_fields.py",
    "contrib/easy/signals": "contrib/easy/test_fields.py",
    "contrib/easy/storage": "contrib/easy/test_conf.py",
    "contrib/easy/templatetags": "contrib/easy/test_templatetags.py",
    "contrib/easy/templatetags/easy_thumbnails_tags": "contrib/easy/test_templatetags.py",
    "contrib/easy/templatetags/thumbnail": "contrib/easy/test_templatetags.py",
    # Cleaning, checking and waiting are tested through commands, which add nothing but words.
    "maintenance/adopt": "management/test_adoptimages.py",
    "maintenance/check": "management/test_checkimages.py",
    # What the admin shows and does.
    "maintenance/again": "admin/test_records.py",
    "maintenance/forget": "management/test_forgetimages.py",
    "maintenance/overview": "admin/test_records.py",
    "maintenance/places": "management/test_forgetimages.py",
    "maintenance/clean": "management/test_cleanimages.py",
    "maintenance/stats": "management/test_imagestats.py",
    "maintenance/waiting": "management/test_generateimages.py",
    "maintenance/tuning": "management/test_tunequality.py",
    "management/commands": "management/test_generateimages.py",
    "management/commands/adoptimages": "management/test_adoptimages.py",
    "management/commands/checkimages": "management/test_checkimages.py",
    "management/commands/cleanimages": "management/test_cleanimages.py",
    "management/commands/forgetimages": "management/test_forgetimages.py",
    "management/commands/generateimages": "management/test_generateimages.py",
    "management/commands/imagestats": "management/test_imagestats.py",
    "management/commands/tunequality": "management/test_tunequality.py",
    # Each field has a file of its own.
    "models/fields": "models/test_spec_field.py",
    "models/fields/utils": "models/test_spec_field.py",
    # Each test of processors runs for all of them.
    "processors/base": "processors/test_processors.py",
    "processors/canvas": "processors/test_processors.py",
    "processors/convert": "processors/test_processors.py",
    "processors/crop": "processors/test_processors.py",
    "processors/filter": "processors/test_processors.py",
    "processors/overlay": "processors/test_processors.py",
    "processors/resampling": "imaging/test_resizers.py",
    "processors/resize": "processors/test_processors.py",
    "processors/utils": "processors/test_processors.py",
    # All stores keep one contract.
    "state/cache": "state/test_stores.py",
    "state/database": "state/test_stores.py",
    "state/store": "state/test_stores.py",
    # Real queues with real workers, each by the same tests.
    "tasks": "workers/test_workers.py",
    "workers/celery": "workers/test_workers.py",
    "workers/django_tasks": "workers/test_workers.py",
    "workers/dramatiq": "workers/test_workers.py",
}


def public_modules() -> Iterator[tuple[str, bool]]:
    """Give every public module and package below the package itself, and whether it has its tests."""
    package, tests = ROOT / "imagekit_registry", ROOT / "tests"
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        if parts[-1] == "__init__":
            name, found = "/".join(parts[:-1]), any(tests.joinpath(*parts[:-1]).glob("test_*.py"))
        else:
            name, found = (
                "/".join(parts),
                tests.joinpath(*parts[:-1], f"test_{parts[-1]}.py").exists(),
            )
        if name and "/_" not in f"/{name}" and not name.startswith("migrations"):
            yield name, found


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


def modules_at_start(*apps: str, script: str = START) -> set[str]:
    """Return the modules that a process has imported once Django is set up with *apps*."""
    command = [sys.executable, "-c", script, *apps]
    return set(subprocess.check_output(command, cwd=ROOT, text=True).split())


def test_a_start_imports_few_modules() -> None:
    """Each process of a site pays for them, and each `manage.py`, before it has made any image."""
    added = modules_at_start("imagekit_registry") - modules_at_start()
    ours = {name for name in added if name.startswith("imagekit_registry")}

    assert len(ours) <= 46, sorted(ours)
    # Pillow, attrs, and what these and Django need for them; versions differ by a few.
    assert len(added - ours) <= 45, sorted(added - ours)
    # Nothing that makes, looks up and shows images, or looks after them: specs are only declared.
    assert sorted(filter(NOT_AT_START.fullmatch, added)) == []


def test_a_start_without_specs_imports_no_processors() -> None:
    """A site that uses tags alone pays for what its first image needs with that image."""
    imported = modules_at_start("imagekit_registry", script=f"{SETUP}\n{PRINT}")
    declaring = re.compile(
        r"imagekit_registry\.(generatorlibrary|processors\.(?!(_fields|_protocol|anchors)$).*)"
    )

    assert "imagekit_registry.specs" in imported
    assert sorted(filter(declaring.fullmatch, imported)) == []


def test_the_admin_at_a_start_imports_nothing_that_makes_images() -> None:
    """Django imports it for every process of a site that has it: also for those that show no list."""
    imported = modules_at_start("django.contrib.admin", "imagekit_registry")

    assert "imagekit_registry.admin" in imported
    late = re.compile(
        r"imagekit_registry\.(maintenance\.\w+|imaging\._(decoder|plan|render|encode)\w*)"
    )
    assert sorted(filter(late.fullmatch, imported)) == []


@pytest.mark.parametrize("app", ["easy", "versatile"])
def test_names_of_others_at_a_start_import_nothing_that_makes_images(app: str) -> None:
    """Their specs and aliases are declared; a site that has the app pays for no more."""
    imported = modules_at_start("imagekit_registry", f"imagekit_registry.contrib.{app}")

    assert f"imagekit_registry.contrib.{app}.specs" in imported
    late = re.compile(
        r"imagekit_registry\.(html|cachefiles\.(files|backends)|imaging\._render)\b.*"
    )
    assert sorted(filter(late.fullmatch, imported)) == []


@pytest.mark.parametrize("package", ["", ".cachefiles", ".imaging", ".processors"])
def test_public_names_are_there_when_they_are_asked_for(package: str) -> None:
    """A package that imports its modules late has all its names, and says so."""
    module = import_module(f"imagekit_registry{package}")

    assert set(module.__all__) <= set(dir(module))
    assert all(getattr(module, name) is not None for name in module.__all__)
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = module.no_such_name


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


def test_every_public_module_has_its_test_file() -> None:
    """`tests/ROOM/test_MODULE.py` is where one looks for the tests of `imagekit_registry/ROOM/MODULE.py`."""
    without = {name for name, found in public_modules() if not found}

    assert without == set(TESTED_ELSEWHERE)
    assert all((ROOT / "tests" / name).exists() for name in TESTED_ELSEWHERE.values())
