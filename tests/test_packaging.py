"""The tags, the templates and the type marker reach users however they install the library."""

from __future__ import annotations

import email
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import Any

import attrs
import pytest

ROOT = Path(__file__).resolve().parent.parent

# One worker makes the distributions, once.
pytestmark = pytest.mark.packaging

LEFT_OUT = shutil.ignore_patterns(
    ".[!c]*",  # caches and environments, but not .ci
    "__pycache__",
    "_build",
    "build",
    "dist",
    "media",
    "static_root",
    "*.egg-info",
    "*.sqlite3",
)

# What a user's project does first; prints what it found.
PROBE = """
import json, sys
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=[
        "django.contrib.contenttypes", "django.contrib.auth", "django.contrib.admin", "imagekit_registry"
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()

from django.template import engines
from django.template.loader import get_template

import imagekit_registry

rendered = engines["django"].from_string("{% load imagekit %}loaded").render({})
tags = [name for name in sys.modules if name.endswith("templatetags.imagekit")]
print(json.dumps({
    "library": imagekit_registry.__file__,
    "version": imagekit_registry.__version__,
    "tags": {name: sys.modules[name].__file__ for name in tags},
    "rendered": rendered,
    "admin": get_template("imagekit/admin/thumbnail.html").origin.name,
}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program that must succeed, without the checkout on its path, and return what it prints."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    title = shlex.join(str(part) for part in command).partition("\n")[0]
    assert done.returncode == 0, f"{title} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@attrs.frozen
class Environment:
    """A fresh virtual environment that sees this one's requirements, but not this one's library."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Environment:
        venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(folder)
        made = cls(folder)
        # A folder named in a .pth file is searched, but its own .pth files (the editable installs') are not read.
        (made.site_packages / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
        return made

    @property
    def python(self) -> Path:
        scripts = "Scripts" if os.name == "nt" else "bin"
        return self.folder / scripts / "python"

    @property
    def site_packages(self) -> Path:
        paths = {"base": str(self.folder), "platbase": str(self.folder)}
        return Path(sysconfig.get_path("purelib", "venv", vars=paths))

    def install(self, *what: str | Path) -> None:
        """Install with pip, from local files only."""
        options = [
            "--no-deps",
            "--no-index",
            "--no-build-isolation",
            "--ignore-installed",
            "--quiet",
        ]
        run(self.python, "-m", "pip", "install", *options, *what, cwd=self.folder)

    def probe(self, cwd: Path) -> dict[str, Any]:
        """Load the tags and the admin template in a new process and say where they were found."""
        found: dict[str, Any] = json.loads(run(self.python, "-c", PROBE, cwd=cwd))
        return found


@attrs.frozen
class Distributions:
    """What `python -m build` makes: an sdist, and a wheel from that sdist."""

    sdist: Path
    wheel: Path


def copy_checkout(folder: Path) -> Path:
    """Copy what is under version control, about: a build must leave nothing in the real checkout."""
    return Path(shutil.copytree(ROOT, folder / "checkout", ignore=LEFT_OUT))


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Build sdist and wheel from a copy of the checkout."""
    folder = tmp_path_factory.mktemp("build")
    out = folder / "dist"
    source = copy_checkout(folder)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source, cwd=folder)
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return Distributions(sdist, wheel)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """Give a fresh environment without the library."""
    return Environment.make(tmp_path / "environment")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Give an empty folder to run in."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def assert_found_under(folder: Path, found: dict[str, Any]) -> None:
    """Check that library, tags and template are those in *folder*, and that the tags exist once."""
    assert found["rendered"] == "loaded"
    assert list(found["tags"]) == ["imagekit_registry.templatetags.imagekit"]
    places = [found["library"], found["admin"], *found["tags"].values()]
    assert [Path(place) for place in places if not Path(place).is_relative_to(folder)] == []


class TestInstalled:
    """The library in somebody's environment."""

    @pytest.mark.parametrize("kind", ["wheel", "sdist"])
    def test_tags_and_templates_work_when_installed_from(
        self, kind: str, distributions: Distributions, environment: Environment, elsewhere: Path
    ) -> None:
        """Library, tags and admin template all come from site-packages."""
        environment.install(getattr(distributions, kind))

        found = environment.probe(elsewhere)

        assert "site-packages" in found["library"]
        assert_found_under(environment.site_packages, found)

    def test_installed_wheel_is_not_disturbed_by_a_checkout_around_it(
        self, distributions: Distributions, environment: Environment, tmp_path: Path
    ) -> None:
        """Started inside a checkout, everything comes from that checkout, and nothing twice."""
        environment.install(distributions.wheel)
        checkout = copy_checkout(tmp_path)

        assert_found_under(checkout, environment.probe(checkout))

    def test_editable_install_uses_the_checkout(
        self, environment: Environment, elsewhere: Path, tmp_path: Path
    ) -> None:
        """`pip install -e .` finds the tags in the top-level folder, from any working directory."""
        checkout = copy_checkout(tmp_path)
        environment.install("--editable", checkout)

        for folder in (elsewhere, checkout):
            found = environment.probe(folder)
            assert_found_under(checkout, found)
            assert list(found["tags"].values()) == [str(checkout / "templatetags/imagekit.py")]

    def test_plain_checkout_on_the_path_is_enough(
        self, environment: Environment, tmp_path: Path
    ) -> None:
        """Without any installation, a working directory in the checkout is all it takes."""
        checkout = copy_checkout(tmp_path)

        assert_found_under(checkout, environment.probe(checkout))


class TestWheel:
    """What is in the wheel, and what is not."""

    @pytest.fixture
    def contents(self, distributions: Distributions) -> dict[str, bytes]:
        """Give every file of the wheel by name."""
        with zipfile.ZipFile(distributions.wheel) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}

    def test_the_wheel_holds_one_top_level_package(self, contents: dict[str, bytes]) -> None:
        """Nobody finds our `tests`, `docs` or `templatetags` at the top of their site-packages."""
        tops = {name.split("/")[0] for name in contents}

        assert {top for top in tops if not top.endswith(".dist-info")} == {"imagekit_registry"}

    def test_the_wheel_holds_every_module_of_the_checkout(self, contents: dict[str, bytes]) -> None:
        """No package is lost for want of an `__init__.py` or an entry in a list."""
        folders = {
            "imagekit_registry": "imagekit_registry",
            "templatetags": "imagekit_registry/templatetags",
        }
        expected = {
            f"{target}/{path.relative_to(ROOT / source).as_posix()}"
            for source, target in folders.items()
            for path in (ROOT / source).rglob("*")
            if path.is_file() and path.suffix not in {".pyc", ".po"}
        }

        assert {name for name in contents if ".dist-info/" not in name} == expected

    def test_the_wheel_holds_the_real_tag_package_and_not_the_stub(
        self, contents: dict[str, bytes]
    ) -> None:
        """The stub that points to a checkout's folder would point nowhere."""
        assert contents["imagekit_registry/templatetags/__init__.py"] == b""

    def test_the_wheel_tells_type_checkers_that_it_is_typed(
        self, contents: dict[str, bytes]
    ) -> None:
        """The marker of PEP 561 is there."""
        assert contents["imagekit_registry/py.typed"] == b""

    def test_the_wheel_requires_django_pillow_and_attrs_only(
        self, contents: dict[str, bytes]
    ) -> None:
        """Everything else is an extra."""
        (name,) = (name for name in contents if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(contents[name])
        requirements = metadata.get_all("Requires-Dist") or []
        core = {line for line in requirements if "extra ==" not in line}

        assert {re.split(r"[^\w-]", line)[0].lower() for line in core} == {
            "attrs",
            "django",
            "pillow",
        }

    def test_the_wheel_offers_its_fixtures_to_pytest(self, contents: dict[str, bytes]) -> None:
        """They are there without a line in a project's `conftest.py`."""
        (name,) = (name for name in contents if name.endswith(".dist-info/entry_points.txt"))
        lines = contents[name].decode().split("\n")
        assert lines[:2] == ["[pytest11]", "imagekit_registry = imagekit_registry.contrib.pytest"]

    def test_extras_have_the_promised_names(self, contents: dict[str, bytes]) -> None:
        """`pip install imagekit-registry[celery]` and its like are known."""
        (name,) = (name for name in contents if name.endswith(".dist-info/METADATA"))
        extras = email.message_from_bytes(contents[name]).get_all("Provides-Extra") or []

        promised = {"celery", "dramatiq", "heif", "jinja2", "progress", "rest", "rq", "s3", "vips"}
        assert promised <= set(extras)


class TestSdist:
    """What is in the sdist."""

    def test_the_sdist_keeps_the_layout_of_the_repository(
        self, distributions: Distributions
    ) -> None:
        """Tags, tests, photographs and `make`'s helpers lie where they lie in the repository."""
        with tarfile.open(distributions.sdist) as sdist:
            names = {name.partition("/")[2] for name in sdist.getnames()}

        assert {
            ".ci/pythons",
            "LICENSE",
            "Makefile",
            "imagekit_registry/templatetags/__init__.py",
            "templatetags/__init__.py",
            "templatetags/imagekit.py",
            "tests/__init__.py",
            "tests/conftest.py",
            "tests/settings.py",
            "demo/photos/rocket.jpg",
        } <= names
        assert not [name for name in names if name.endswith((".pyc", ".sqlite3"))]


class TestCheckout:
    """What makes the tags work without installation."""

    def test_tag_package_stays_empty(self) -> None:
        """A checkout never runs this file and a wheel does: code in it would work in one of them."""
        assert (ROOT / "templatetags/__init__.py").read_text() == ""

    def test_tags_import_absolutely(self) -> None:
        """Relative imports would be right in a wheel and wrong for type checkers in a checkout."""
        for path in (ROOT / "templatetags").rglob("*.py"):
            assert re.findall(r"^\s*from \.", path.read_text(), re.MULTILINE) == [], path.name
