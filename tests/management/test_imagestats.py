"""``imagestats``: what there is, what is too many, what failed, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from PIL import Image

from imagekit_registry import ImageSpec, register
from imagekit_registry.cachefiles import ImageCacheFile, generate_many
from imagekit_registry.imaging.formats import can_write
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.testing import forget_state
from tests.management.conftest import Group, Result, cached, files_of
from tests.pages import registered, render
from tests.testapp.models import Photo

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["cache", "database"])
def store(request: pytest.FixtureRequest, settings: Any) -> str:
    """Keep the state in either store: the first knows what is listed, the second is a ledger."""
    settings.IMAGEKIT_STATE_STORE = request.param
    return str(request.param)


@pytest.fixture
def made(store: str, group: Group) -> list[ImageCacheFile]:
    """Return the four cache files of the group."""
    files = files_of(group)
    assert len(generate_many(files).made) == 4
    return files


def sizes(files: list[ImageCacheFile]) -> list[int]:
    """Return the sizes of files on the disk."""
    return [Path(file.path).stat().st_size for file in files]


def test_files_and_bytes_are_told_by_spec_and_format(made: list[ImageCacheFile], run: Run) -> None:
    """As they lie on the disk; those of template tags as well."""
    tag = "{% thumbnail '30x30' name format='WEBP' as small %}{{ small.path }}"
    small = Path(render(tag, name=made[0].source))
    report = run("imagestats", "--json").document
    told = {(s["spec"], s["format"]): (s["files"], s["bytes"]) for s in report["specs"]}
    assert told == {
        ("imagekit:thumbnail", "WEBP"): (1, small.stat().st_size),
        ("shop:photo:small", "JPEG"): (2, sum(sizes(made[::2]))),
        ("shop:photo:large", "JPEG"): (2, sum(sizes(made[1::2]))),
    }
    assert report["files"] == 5
    assert report["bytes"] == sum(sizes(made)) + small.stat().st_size


def test_only_the_specs_that_are_meant_are_told(made: list[ImageCacheFile], run: Run) -> None:
    """By their ids, or patterns; one that means none is a mistake."""
    report = run("imagestats", "shop:*:small", "--json").document
    assert [(each["spec"], each["files"]) for each in report["specs"]] == [("shop:photo:small", 2)]
    assert "No spec has the id 'shop:smal'" in str(run("imagestats", "shop:smal").error)


def test_what_nothing_calls_for_is_told(made: list[ImageCacheFile], group: Group, run: Run) -> None:
    """With its bytes, and nothing is removed."""
    gone = sizes(made)[2:]
    storages["default"].delete(group.names.pop())
    report = run("imagestats", "--json").document
    assert (report["orphans"]["files"], report["orphans"]["bytes"]) == (2, sum(gone))
    assert report["files"] == 4
    assert len(cached()) == 4
    text = run("imagestats").out
    assert f"Nothing calls for 2 files, {sum(gone):,} bytes of these: see cleanimages." in text


def test_files_of_which_nothing_is_known_are_counted_by_their_names(
    made: list[ImageCacheFile], run: Run
) -> None:
    """With the bytes that they have on the disk."""
    storages["default"].save("CACHE/images/photos/rocket/by-hand.webp", ContentFile(b"12345"))
    report = run("imagestats", "--json").document
    (unknown,) = [each for each in report["specs"] if not each["spec"]]
    assert unknown == {"spec": "", "format": "WEBP", "files": 1, "bytes": 5, "unsized": 0}


def test_a_folder_of_several_aliases_is_counted_once(
    made: list[ImageCacheFile], run: Run, settings: Any
) -> None:
    """A CDN's, say."""
    options = {"location": storages["default"].path(""), "base_url": "https://cdn.example/"}
    other = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "cdn": other}
    with registered(cdn=type("OfCDN", (ImageSpec,), {"cachefile_storage": "cdn"})):
        assert run("imagestats", "--json").document["files"] == 4


def test_failures_are_told_by_their_cause(store: str, run: Run) -> None:
    """With the number of files: of two broken uploads, the two."""
    for title in ("a", "b"):
        photo = Photo(title=title, original_image=ContentFile(b"no image", name=f"{title}.jpg"))
        photo.save()
        assert photo.thumbnail.url
    report = run("imagestats", "--json").document
    assert report["failures"] == [
        {
            "spec": "testapp:photo:thumbnail",
            "cause": "the file is not an image, or is damaged",
            "files": 2,
        }
    ]
    line = "Failed: 2 of testapp:photo:thumbnail: the file is not an image, or is damaged."
    assert line in run("imagestats").out


def test_what_avif_has_saved_is_told(store: str, name: str, run: Run) -> None:
    """Against the smallest other format of the same image in the same size."""
    if not can_write("AVIF"):
        pytest.skip("this Pillow has no AVIF")

    class Wide(ImageSpec):
        processors = [ResizeToFit(300)]
        format = "JPEG"

    register.generator("tests:wide", Wide)
    render("{% picture 'tests:wide' source=name formats='AVIF WEBP' %}", name=name)
    forget_state()
    by_size: dict[Any, dict[str, int]] = {}
    for path in cached():
        with Image.open(storages["default"].path(path)) as image:
            formats = by_size.setdefault(image.size, {})
            formats[path.rpartition(".")[2]] = storages["default"].size(path)
    pairs = [dict(each) for each in by_size.values() if "avif" in each and len(each) > 1]
    assert pairs
    avif = [each.pop("avif") for each in pairs]
    saved = sum(min(each.values()) for each in pairs) - sum(avif)
    report = run("imagestats", "--json").document
    expected = {"files": len(avif), "bytes": sum(avif), "unsized": 0, "saved": saved}
    assert report["avif"] == expected
    assert f" with {saved:,} bytes less" in run("imagestats").out


def test_prices_make_costs_a_month(made: list[ImageCacheFile], run: Run) -> None:
    """Of the bytes that lie there, those that are sent, and the requests, by the views."""
    prices = ("--storage-price=2e6", "--egress-price=5e6", "--request-price=4", "--views=30")
    report = run("imagestats", *prices, "--json").document
    held = sum(sizes(made)) / 1e9
    assert report["costs"] == pytest.approx(
        {"storage": held * 2e6, "egress": held * 30 * 5e6, "requests": 4 * 30 / 1000 * 4}
    )
    assert f"Cost of egress: {held * 30 * 5e6:,.2f} a month." in run("imagestats", *prices).out
    assert run("imagestats", "--json").document["costs"] == {}


@pytest.mark.parametrize("price", ["-1", "cheap", "nan", "inf"])
def test_a_price_that_is_none_is_refused(run: Run, price: str) -> None:
    """With what to write."""
    error = run("imagestats", f"--storage-price={price}").error
    assert f"{price!r} is no amount. Write a number such as 0.023." in str(error)
