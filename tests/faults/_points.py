"""Has each call of storages, cache and database fail in turn, in child processes.

Each way of an image is gone once, to count its calls, and then once for each call and each failure:
an exception, a write that stops half-way, a process that is killed. What a child has left is looked at
by itself, if it is alive, or by the next process.

Run as ``python -m tests.faults._points STORE PART SEED FOLDER``; prints as JSON how many points each way has,
and what was wrong after which of them.
"""

from __future__ import annotations

# ruff: noqa: I001 -- the clocks come first
from tests.faults import _clock

import io
import json
import logging
import os
import random
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import django
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.core.signals import request_finished, request_started
from django.db import DatabaseError, connections
from django.test import override_settings
from PIL import Image

from imagekit_registry.cachefiles.publishing import is_temporary
from imagekit_registry.exceptions import ImageKitError
from tests.faults._injector import Injector, Point

#: Longer than all pauses that the documentation names: after a failure, of a lock, between two looks
#: at a source.
PAUSE = 61.0
#: A file that is nobody's is removed after an hour.
HOUR = 3700.0
#: The longest that anybody may wait for what has failed, in seconds.
LONGEST_WAIT = 2.0
WORDS = ("red", "green", "blue")


def picture(colour: str, name: str = "a.png") -> ContentFile[bytes]:
    """Return an image of one colour."""
    data = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(data, "PNG")
    return ContentFile(data.getvalue(), name)


PAGE = """{% load imagekit %}
<img src="{{ photo.thumbnail.url }}" width="{{ photo.thumbnail.width }}">
<img src="{{ photo.banner.url }}" width="{{ photo.banner.width }}">
{% thumbnail "30x20" photo.original_image %}"""
IMAGES = 3
#: Images of a photograph, of which one is not on the page.
ALL_IMAGES = 4


def show(photo: Any) -> str:
    """Show the page of a photograph, in a request."""
    from tests.pages import render

    request_started.send(None)
    try:
        return render(PAGE.replace("{% load imagekit %}", ""), photo=photo)
    finally:
        request_finished.send(None)


def urls_of(page: str) -> list[str]:
    """Return where the images of a page are."""
    from tests.pages import elements

    return [image["src"] for image in elements(page)]


def path_of(url: str) -> Path:
    """Return where the file of a URL lies."""
    return Path(settings.MEDIA_ROOT, url.removeprefix("/media/").partition("?")[0])


def colour_of(path: Path) -> str:
    """Return the word for the colour of an image; whatever is no whole image raises."""
    with Image.open(path) as image:
        pixel: Any = image.convert("RGB").resize((1, 1)).getpixel((0, 0))
    return WORDS[max(range(3), key=lambda channel: pixel[channel])]


# The ways. Each is told what it needs before its calls are counted.


def _photo() -> Any:
    from tests.testapp.models import Photo

    return Photo._default_manager.last()


def _page() -> Callable[[], Any]:
    photo = _photo()
    # What is checked with the first request of a process is no part of a page.
    request_started.send(None)
    request_finished.send(None)
    return lambda: show(photo)


def _upload() -> Callable[[], Any]:
    from tests.testapp.models import Cover

    return lambda: Cover._default_manager.create(image=picture("blue"))


def _save() -> Callable[[], Any]:
    photo = _photo()

    def save() -> None:
        photo.original_image.save("a.png", picture("blue"))

    return save


def _delete() -> Callable[[], Any]:
    photo = _photo()
    return photo.delete if photo is not None else lambda: None


def _delete_image() -> Callable[[], Any]:
    photo = _photo()
    return lambda: photo.thumbnail.delete()


def _command(*args: str) -> Callable[[], Callable[[], Any]]:
    def command() -> None:
        call_command(*args, stdout=io.StringIO(), stderr=io.StringIO())

    return lambda: command


def _message() -> Callable[[], Any]:
    from imagekit_registry.cachefiles.backends.messages import Message, describe
    from imagekit_registry.workers import make_images

    photo = _photo()
    images = [describe(photo.thumbnail), describe(photo.banner)]
    message = Message(images=[image for image in images if image]).encode()
    return lambda: make_images(message)


# What is there before a way is gone.


def _made() -> None:
    show(_photo())


def _with_orphans() -> None:
    """Make images of a photograph that goes without telling anybody."""
    from tests.testapp.models import Photo

    _made()
    gone = Photo._default_manager.create(original_image=picture("green", "gone.png"))
    show(gone)
    Photo._default_manager.filter(pk=gone.pk)._raw_delete("default")
    default_storage.delete("photos/gone.png")


def _damaged() -> None:
    """Make images, one of which goes, and one whose record goes, behind everybody's back."""
    from imagekit_registry.cachefiles.existence import invalidate

    _made()
    photo = _photo()
    path_of(photo.thumbnail.url).unlink()
    invalidate(photo.banner)


class Way(NamedTuple):
    """A way of an image.

    Args:
        prepare: What is done before.
        begin: Returns what goes the way.
        may_raise: What callers have to expect; of a page: nothing.
        settings: Other settings.
        heals: Whether pages come right if nobody goes the way again.
        namesake: A name whose next image is another one.
    """

    prepare: Callable[[], None]
    begin: Callable[[], Callable[[], Any]]
    may_raise: tuple[type[Exception], ...] = ()
    settings: Mapping[str, Any] = {}
    heals: bool = True
    namesake: str = ""


def _nothing() -> None:
    """Prepare nothing."""


#: What a project's own saving and deleting raise, where its database or its storage fails.
_OWN = (OSError, DatabaseError)
_OURS = (CommandError, ImageKitError, *_OWN)
_AT_ONCE = {
    "IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY": "imagekit_registry.cachefiles.strategies.EagerThenJustInTime"
}
_CHECK = _command("checkimages", "--repair")
WAYS = {
    "cold page": Way(_nothing, _page),
    "warm page": Way(_made, _page),
    "upload": Way(_made, _upload, _OWN),
    "source saved": Way(_made, _save, _OWN),
    "source saved, made at once": Way(_made, _save, _OWN, _AT_ONCE),
    "source deleted": Way(_made, _delete, _OWN, namesake="a.png"),
    "image deleted": Way(_made, _delete_image, _OURS),
    "generateimages": Way(_nothing, _command("generateimages"), _OURS),
    "cleanimages": Way(_with_orphans, _command("cleanimages"), _OURS, namesake="gone.png"),
    "checkimages --repair": Way(_damaged, _CHECK, _OURS, heals=False),
    "message": Way(_nothing, _message, _OURS),
}


# What must hold afterwards.


def look_at_page(*, is_late: bool = False, knows: bool = False) -> None:
    """Fail unless the page of the newest photograph renders, with whole images of its source.

    Args:
        is_late: Whether nothing may stand in for them, or be of an earlier source, any more.
        knows: Whether this process has to know which files are there.
    """
    photo = _photo()
    if photo is None:
        return
    urls = urls_of(show(photo))
    assert len(urls) == IMAGES, urls
    for url in urls:
        path = path_of(url)
        if not url.startswith("/media/"):
            assert not is_late, f"{url[:60]} is shown"
        elif is_late:
            found, wanted = colour_of(path), colour_of(path_of(photo.original_image.url))
            assert found == wanted, f"{url} is {found}, not {wanted}"
        elif knows or path.exists():
            colour_of(path)


def look_at_files() -> None:
    """Fail if half a file has a final name, or a source has gone."""
    for path in made():
        if not is_temporary(path.name):
            colour_of(path)
    photo = _photo()
    assert photo is None or path_of(photo.original_image.url).exists(), "the source is gone"


def made() -> list[Path]:
    """Return all files of images."""
    return [path for path in Path(settings.MEDIA_ROOT, "CACHE").rglob("*") if path.is_file()]


def go(way: Way, at: Point | None) -> None:
    """Go a way, and see that nothing is raised that callers need not expect."""
    begun = way.begin()
    try:
        with Injector.armed(at):
            begun()
    except way.may_raise:
        if at is None:
            raise


def go_on(way: Way, *, knows: bool) -> None:
    """Look at what is left of a way: at once, after a pause, and when it was gone again.

    Args:
        way: The way.
        knows: Whether this is the process that has gone it.
    """
    look_at_files()
    look_at_page(knows=knows and way.heals)
    for again in (False, True):
        if again:
            go(way, None)
        # A process that has just begun looks at the source of an image the second time.
        _clock.step(PAUSE)
        look_at_page(knows=again)
        _clock.step(PAUSE)
        look_at_page(is_late=again or (way.heals and _is_whole_source()))
    look_at_files()
    if way.namesake:
        _look_at_namesake(way.namesake)
    _clock.step(HOUR)
    call_command("cleanimages", stdout=io.StringIO())
    left = [path.name for path in made()]
    assert len(left) <= ALL_IMAGES * (1 + bool(way.namesake)), f"left over: {left}"
    assert not any(map(is_temporary, left)), f"left over: {left}"
    look_at_page(is_late=True)
    assert _clock.waited < LONGEST_WAIT, f"somebody waited for {_clock.waited:.0f} seconds"


def _is_whole_source() -> bool:
    """Return whether the project has its source as it should: a storage may have written half."""
    photo = _photo()
    try:
        return photo is None or bool(colour_of(path_of(photo.original_image.url)))
    except OSError:
        return False


def _look_at_namesake(name: str) -> None:
    """Fail unless the image of a new source is shown which is called as one that has gone."""
    from tests.testapp.models import Photo

    Photo._default_manager.create(original_image=picture("blue", name))
    look_at_page(is_late=True)


# Children.


def in_child(work: Callable[[], object]) -> tuple[bool, str]:
    """Do *work* in a child; return whether it was killed, and what it has said or raised."""
    connections.close_all()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        told = ""
        try:
            told = str(work() or "")
        except BaseException:
            told = "FAILED " + traceback.format_exc(limit=-12)
        finally:
            os.write(writer, told.encode()[:60_000])
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = pipe.read()
    status = os.waitpid(child, 0)[1]
    return os.WIFSIGNALED(status), told


class Site:
    """A folder with all that lasts, which can be put back."""

    def __init__(self, folder: Path) -> None:
        self.live, self.kept = folder / "live", folder / "kept"

    def keep(self) -> None:
        """Remember what is there."""
        connections.close_all()
        shutil.rmtree(self.kept, ignore_errors=True)
        shutil.copytree(self.live, self.kept)

    def put_back(self) -> None:
        """Have what is remembered, and nothing else."""
        connections.close_all()
        shutil.rmtree(self.live)
        shutil.copytree(self.kept, self.live)


def try_point(way: Way, at: Point, label: str) -> str:
    """Go a way with one call failing; return what was wrong then, or nothing."""

    def fail() -> None:
        go(way, at)
        go_on(way, knows=True)

    was_killed, told = in_child(fail)
    if at.failure.endswith("killed"):
        if not was_killed:
            return f"{label}: not killed: {told}"
        _, told = in_child(lambda: go_on(way, knows=False))
    return f"{label}: {told}" if told else ""


def points_of(calls: list[list[Any]]) -> list[tuple[Point, str]]:
    """Return all points of the calls of a way, each with what is called and how it fails."""
    return [
        (Point(number, failure), f"{failure} at call {number}, {what}")
        for number, (what, is_write) in enumerate(calls)
        for failure in ("raised", "killed", *(("half, raised", "half, killed") * is_write))
    ]


def configure(store: str, live: Path) -> None:
    """Set Django up, on files alone."""
    settings.configure(
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "imagekit_registry",
            "tests.testapp",
        ],
        MEDIA_ROOT=str(live / "media"),
        MEDIA_URL="/media/",
        SECRET_KEY="tests only",
        CACHES={
            "default": {
                "BACKEND": "tests.faults._injector.FailingCache",
                "LOCATION": str(live / "cache"),
                "OPTIONS": {"MAX_ENTRIES": 1000},
            }
        },
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(live / "db.sqlite3"),
                # A process is killed, no machine.
                "OPTIONS": {"init_command": "PRAGMA synchronous=OFF"},
            }
        },
        STORAGES={
            "default": {
                "BACKEND": "tests.faults._injector.FailingStorage",
                "OPTIONS": {"allow_overwrite": True},
            }
        },
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        IMAGEKIT_STATE_STORE=store,
        IMAGEKIT_ON_ERROR="placeholder",
        LOGGING_CONFIG=None,
        USE_TZ=True,
    )
    django.setup()
    logging.disable(logging.CRITICAL)


def try_way(
    way: Way, name: str, site: Site, part: float, dice: random.Random
) -> tuple[int, list[str]]:
    """Try *part* of the points of a way; return how many there are, and what was wrong."""

    def count() -> str:
        go(way, None)
        calls = json.dumps(Injector.calls)
        go_on(way, knows=True)
        return calls

    with override_settings(**way.settings):
        _, told = in_child(way.prepare)
        assert not told, told
        site.keep()
        _, told = in_child(count)
        assert not told.startswith("FAILED"), told
        points = points_of(json.loads(told))
        faults = []
        for point, label in dice.sample(points, max(1, round(len(points) * part))):
            site.put_back()
            faults.append(try_point(way, point, f"{name}: {label}"))
    return len(points), list(filter(None, faults))


def main(store: str, part: str, seed: str, folder: str, only: str = "") -> None:
    """Try all ways, or *only* one of them; print the numbers of their points, and the faults."""
    site = Site(Path(folder))
    (site.live / "cache").mkdir(parents=True)
    configure(store, site.live)
    from tests.testapp.models import Photo

    call_command("migrate", run_syncdb=True, verbosity=0)
    Photo._default_manager.create(original_image=picture("red"))
    first = Site(Path(folder))
    first.kept = first.kept.with_name("first")
    first.keep()
    counts, faults = {}, []
    for name, way in WAYS.items():
        if only in {"", name}:
            first.put_back()
            counts[name], found = try_way(way, name, site, float(part), random.Random(seed))
            faults += found
            sys.stderr.write(f"{name}: {counts[name]} points, {len(found)} faults\n")
    json.dump({"points": counts, "faults": faults}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
