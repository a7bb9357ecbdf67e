"""What the guides have in common: sites that did what they do now, and names that are renamed where they name an app."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import require
from tests.moving._sites import Guide, Site

#: The sites, the package that each is written for, and how many tests they have.
FORMER = [
    ("easy_club", "easy_thumbnails", 12),
    ("easy_gallery", "easy_thumbnails", 11),
    ("imagekit_store", "imagekit", 12),
    ("sorl_journal", "sorl", 10),
    ("sorl_shop", "sorl", 10),
    ("stdimage_team", "stdimage", 6),
]
#: What the guides rename by a name that other things may have as well.
RENAMED = [
    ("move-from-easy-thumbnails.md", "easy_thumbnails", "imagekit_registry.contrib.easy"),
    (
        "move-from-versatileimagefield.md",
        "versatileimagefield",
        "imagekit_registry.contrib.versatile",
    ),
]


@pytest.mark.parametrize(("name", "package", "count"), FORMER)
def test_the_tests_of_a_site_pass_with_the_library_that_it_was_written_for(
    name: str, package: str, count: int, tmp_path: Path
) -> None:
    """So they hold what its users have, and not what is easy here."""
    require(find_spec(package) is not None, f"{package} is not installed")
    assert re.search(rf"Ran {count} tests.*\n\nOK", Site.copied(name, tmp_path).manage("test"))


@pytest.mark.parametrize(
    ("name", "package", "guide", "label"),
    [
        ("easy_gallery", "easy_thumbnails", "move-from-easy-thumbnails.md", "easy_thumbnails"),
        ("sorl_journal", "sorl", "move-from-sorl-thumbnail.md", "thumbnail"),
    ],
)
def test_the_tables_of_the_former_app_are_dropped_by_its_migrations(
    name: str, package: str, guide: str, label: str, tmp_path: Path
) -> None:
    """By the command of the guide, before the package goes; those of the site stay."""
    require(find_spec(package) is not None, f"{package} is not installed")
    site = Site.copied(name, tmp_path)
    site.manage("migrate")
    code = "from django.db import connection; print(*connection.introspection.table_names())"
    former = set(site.manage("shell", "-v0", "-c", code, is_quiet=True).split())
    site.manage(*Guide(guide).command(f"migrate {label} zero").split()[2:])
    left = set(site.manage("shell", "-v0", "-c", code, is_quiet=True).split())
    dropped = former - left
    assert dropped
    assert all(table.startswith(f"{label}_") for table in dropped)


@pytest.mark.parametrize(("guide", "old", "new"), RENAMED)
@pytest.mark.parametrize(
    "line",
    [
        'INSTALLED_APPS = ["NAME", "photos"]',
        'INSTALLED_APPS=["photos","NAME"]',
        "INSTALLED_APPS += ['NAME']",
        '\t"NAME",',
        'INSTALLED_APPS = ("NAME",)',
    ],
)
def test_the_app_is_renamed_however_it_is_listed(
    guide: str, old: str, new: str, line: str, tmp_path: Path
) -> None:
    """In one line or many, with or without spaces."""
    settings = tmp_path / "settings.py"
    settings.write_text(line.replace("NAME", old))
    Site(tmp_path).type(Guide(guide).command("sed -i"))
    assert settings.read_text() == line.replace("NAME", new)


@pytest.mark.parametrize(("guide", "old"), [each[:2] for each in RENAMED])
def test_other_things_of_that_name_stay_as_they_are(guide: str, old: str, tmp_path: Path) -> None:
    """A storage, a cache and a key are no app."""
    text = """
        storages["NAME"]
        CACHES = {"NAME": {}}
        name = "NAME"
        page = "site/NAME.html"
    """.replace("NAME", old)
    (tmp_path / "settings.py").write_text(text)
    Site(tmp_path).type(Guide(guide).command("sed -i"))
    assert (tmp_path / "settings.py").read_text() == text
