"""A site of users of django-versatileimagefield does as it did, after the steps of the guide and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.moving._sites import Guide, Site

GUIDE = Guide("move-from-versatileimagefield.md")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return the site, which has gone through the steps."""
    site = Site.copied("versatile_wall", tmp_path)
    site.type(GUIDE.command("sed -i"))
    site.install("imagekit_registry", beside="imagekit_registry.contrib.versatile")
    site.add_settings(GUIDE.settings("IMAGEKIT_LOCAL_STATE_TTL"))
    return site


def test_the_tests_of_a_site_pass_and_no_migration_is_to_be_made(site: Site) -> None:
    """Its pages and its API, its own filter and sizer, and what it keeps in its folders."""
    said = site.manage("test")
    assert re.search(r"Ran 7 tests.*\n\nOK", said)
    assert re.findall(r"W041\) \w+\['(\w+)'\]", said) == ["sized_directory_name"]
    assert "No changes detected" in site.manage("makemigrations", "--check")
