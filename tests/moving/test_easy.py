"""Two sites of users of easy-thumbnails do as they did, after the steps of the guide and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.moving._sites import Guide, Site

GUIDE = Guide("move-from-easy-thumbnails.md")
#: The sites, and how many tests they have.
SITES = {"easy_gallery": 11, "easy_club": 12}


def moved(name: str, to: Path) -> Site:
    """Return a site that has gone through the steps."""
    site = Site.copied(name, to)
    site.type(GUIDE.command("sed -i"))
    site.install("imagekit_registry", beside="imagekit_registry.contrib.easy")
    return site


@pytest.mark.parametrize("name", SITES)
def test_the_tests_of_a_site_pass_and_no_migration_is_to_be_made(name: str, tmp_path: Path) -> None:
    """Its pages, forms, commands, tasks and admin, and what it keeps in its folders."""
    site = moved(name, tmp_path)
    site.add_settings(GUIDE.settings("IMAGEKIT_LOCAL_STATE_TTL"))
    assert re.search(rf"Ran {SITES[name]} tests.*\n\nOK", site.manage("test"))
    assert "No changes detected" in site.manage("makemigrations", "--check")


def test_the_checks_tell_what_has_no_effect(tmp_path: Path) -> None:
    """Each such setting, and nothing of a site that has none."""
    told = [
        sorted(re.findall(r"W03\d\) (\w+)", moved(name, tmp_path).manage("check")))
        for name in SITES
    ]
    assert told == [[], ["THUMBNAIL_CACHE_DIMENSIONS", "THUMBNAIL_SUBDIR"]]
