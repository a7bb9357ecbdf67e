"""Two sites of users of sorl-thumbnail do as they did, after the steps of the guide and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.moving._sites import Guide, Site

GUIDE = Guide("move-from-sorl-thumbnail.md")


@pytest.fixture(params=["sorl_journal", "sorl_shop"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """Return a site that has gone through the steps."""
    site = Site.copied(request.param, tmp_path)
    site.type(GUIDE.command("sed -i"))
    site.install("imagekit_registry", beside="imagekit_registry.contrib.sorl")
    site.add_settings(GUIDE.settings("IMAGEKIT_LOCAL_STATE_TTL"))
    return site


def test_the_tests_of_a_site_pass_and_no_migration_is_to_be_made(site: Site) -> None:
    """Its pages, forms, commands and admin, and what it keeps in its folders."""
    assert re.search(r"Ran 10 tests.*\n\nOK", site.manage("test"))
    assert "No changes detected" in site.manage("makemigrations", "--check")


def test_the_checks_tell_what_has_no_effect(tmp_path: Path) -> None:
    """Each such setting, and nothing of a site that has none."""
    told = []
    for name in ("sorl_journal", "sorl_shop"):
        site = Site.copied(name, tmp_path)
        site.type(GUIDE.command("sed -i"))
        site.install("imagekit_registry", beside="imagekit_registry.contrib.sorl")
        told.append(re.findall(r"W02\d\) (\w+)", site.manage("check")))
    assert told == [[], ["THUMBNAIL_ALTERNATIVE_RESOLUTIONS", "THUMBNAIL_DEBUG"]]
