"""A site of users of django-stdimage does as it did, after the steps of the guide and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.moving._sites import Guide, Site

GUIDE = Guide("move-from-stdimage.md")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return the site, which has gone through the steps."""
    site = Site.copied("stdimage_team", tmp_path)
    site.install("imagekit_registry", beside="stdimage", instead=True)
    site.rewrite("photos/models.py", GUIDE.example("# photos/models.py"))
    site.type(GUIDE.command("sed -i"))
    site.type(GUIDE.command("perl"))
    site.add_settings(GUIDE.settings("DEFAULT_CACHEFILE_STRATEGY"))
    return site


def test_the_tests_of_a_site_pass_and_no_migration_is_to_be_made(site: Site) -> None:
    """Its page and its API, what is made when, and what becomes of it."""
    assert re.search(r"Ran 6 tests.*\n\nOK", site.manage("test"))
    assert "No changes detected" in site.manage("makemigrations", "--check")


def test_nothing_of_the_former_library_is_left(site: Site) -> None:
    """In no file of the site."""
    texts = [p.read_text() for p in site.folder.rglob("*") if p.suffix in {".html", ".py"}]
    assert not [text for text in texts if "stdimage" in text]
