"""Two sites of users of django-imagekit do as they did after the steps of the guide, and make nothing again."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import require
from tests.moving._sites import Guide, Site

GUIDE = Guide("move-from-django-imagekit.md")

MAKE = """
import io
from django.core.files.base import ContentFile
from PIL import Image
from album.models import Picture
for number, size in enumerate([(600, 400), (300, 500)]):
    content = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(content, "PNG")
    picture = Picture.objects.create(image=ContentFile(content.getvalue(), f"p{number}.png"))
    assert picture.square.url and picture.smart.url and picture.wide.url
"""
SHOW = """
import json
from album.models import Picture
from imagekit_registry.signals import generated
made = []
def hear(file, **more):
    made.append(file.name)
generated.connect(hear)
images = [getattr(p, n) for p in Picture.objects.all() for n in ("square", "smart", "wide")]
shown = [[image.path, image.width, image.height] for image in images]
print(json.dumps({"made": made, "shown": shown}))
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site that has made images by django-imagekit, and has moved since."""
    require(find_spec("imagekit") is not None, "django-imagekit is not installed")
    site = Site.copied("imagekit_album", tmp_path)
    site.manage("migrate")
    site.manage("shell", "-c", MAKE)
    site.type("sed -i 's/\\bimagekit\\b/imagekit_registry/' settings.py album/models.py")
    return site


def test_what_django_imagekit_has_made_is_not_made_again(site: Site) -> None:
    """Each image has the bytes of the former one, and its size is known."""
    media = site.folder / "media" / "CACHE"
    former = {path.read_bytes() for path in media.rglob("*.*")}
    report = json.loads(
        site.manage("adoptimages", "--from", "imagekit", "--link", "--json", is_quiet=True)
    )
    assert (report["adopted"], report["errors"]) == (6, [])
    answer: dict[str, Any] = json.loads(
        site.manage("shell", "-c", SHOW, is_quiet=True).splitlines()[-1]
    )
    assert answer["made"] == []
    assert {Path(path).read_bytes() for path, *_ in answer["shown"]} == former
    assert [size for _, *size in answer["shown"]][:3] == [[90, 90], [80, 40], [400, 300]]
    again = json.loads(site.manage("adoptimages", "--from", "imagekit", "--json", is_quiet=True))
    assert (again["adopted"], again["existing"]) == (0, 6)


def test_images_of_another_recipe_are_not_taken_over(site: Site) -> None:
    """One that has changed since is made anew."""
    site.type("sed -i 's/ResizeToFill(90, 90/ResizeToFill(91, 91/' album/models.py")
    report = json.loads(site.manage("adoptimages", "--from", "imagekit", "--json", is_quiet=True))
    assert report["adopted"] == 4


def test_the_tests_of_a_site_pass_and_no_migration_is_to_be_made(tmp_path: Path) -> None:
    """Its pages, forms, admin, command and strategy, and processors of its own."""
    site = Site.copied("imagekit_store", tmp_path)
    site.type(GUIDE.command("sed -i -E"))
    site.type(GUIDE.command("/migrations/"))
    site.add_settings(GUIDE.settings("IMAGEKIT_LOCAL_STATE_TTL"))
    assert re.search(r"Ran 12 tests.*\n\nOK", site.manage("test"))
    assert "No changes detected" in site.manage("makemigrations", "--check")


BOTH = """
import json
from album.models import Picture
row = Picture.objects.get()
told = [[image.width, type(image).__module__] for image in (row.square, row.ours)]
backends = [type(image.cachefile_backend).__module__ for image in (row.square, row.ours)]
print(json.dumps([told, backends, row.ours.url != row.square.url]))
"""
OURS = """
    ours = NewSpecField([NewResize(40, 30)], source="image", format="PNG")
"""


@pytest.mark.parametrize("beside", ["django.contrib.contenttypes", "album"])
def test_both_libraries_work_in_one_project(beside: str, tmp_path: Path) -> None:
    """Whichever comes first in INSTALLED_APPS; an app of somebody else may need the former one."""
    require(find_spec("imagekit") is not None, "django-imagekit is not installed")
    site = Site.copied("imagekit_album", tmp_path)
    site.install("imagekit_registry", beside=beside)
    models = site.folder / "album" / "models.py"
    imports = (
        "from imagekit_registry.models import ImageSpecField as NewSpecField\n"
        "from imagekit_registry.processors import ResizeToFill as NewResize\n"
    )
    models.write_text(imports + models.read_text() + OURS)
    site.manage("migrate")
    made = site.manage("shell", "-c", MAKE.replace(", (300, 500)", "") + BOTH, is_quiet=True)
    assert json.loads(made.splitlines()[-1]) == [
        [[90, "imagekit.cachefiles"], [40, "imagekit_registry.cachefiles.files"]],
        ["imagekit.cachefiles.backends", "imagekit_registry.cachefiles.backends.base"],
        True,
    ]
