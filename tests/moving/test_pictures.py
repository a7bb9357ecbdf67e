"""A site of users of django-pictures does as it did, after the steps of the guide and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.moving._sites import Guide, Site

GUIDE = Guide("move-from-django-pictures.md")
PAGE = "photos/templates/photos/blog.html"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return the site, which has gone through the steps."""
    site = Site.copied("pictures_blog", tmp_path)
    site.install("imagekit_registry", beside="pictures", instead=True)
    site.rewrite("photos/models.py", GUIDE.example("# photos/models.py"))
    site.rewrite(
        PAGE, (GUIDE.example("{% load pictures %}")[0], GUIDE.example("{% load imagekit %}")[0])
    )
    site.type(GUIDE.command("perl"))
    site.add_settings(GUIDE.settings("IMAGEKIT_PICTURE"))
    return site


def test_the_tests_of_a_site_pass_and_no_migration_is_to_be_made(site: Site) -> None:
    """Its page, what is offered, and what is made when."""
    assert re.search(r"Ran 6 tests.*\n\nOK", site.manage("test"))
    assert "No changes detected" in site.manage("makemigrations", "--check")


def test_nothing_of_the_former_library_is_left(site: Site) -> None:
    """In no module and no template of the site."""
    texts = [path.read_text() for path in (site.folder / "photos").rglob("*.*")]
    assert not [text for text in texts if re.search(r"\bpictures\.|load pictures", text)]
