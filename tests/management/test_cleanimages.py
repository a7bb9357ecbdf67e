"""``cleanimages``: what is provably left over goes, and nothing else."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.core.management import call_command
from django.db import connections
from django.template import engines

from imagekit_registry import ImageSpec, get_image, register, unregister
from imagekit_registry.cachefiles import ImageCacheFile, generate_many, namers
from imagekit_registry.management import _commands
from imagekit_registry.processors import ResizeToFit, RoundedCorners
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import DatabaseStateStore, get_state_access
from imagekit_registry.testing import forget_state
from tests.management.conftest import Group, Large, Result, Small, cached, files_of
from tests.storages import BrokenStorage, content_of
from tests.testapp.models import Photo, Plain

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture(params=["cache", "database"])
def store(request: pytest.FixtureRequest, settings: Any, db: None) -> str:
    """Keep the state in either store: the first knows what is listed, the second is a ledger."""
    settings.IMAGEKIT_STATE_STORE = request.param
    return str(request.param)


@pytest.fixture
def made(store: str, group: Group, run: Run) -> list[ImageCacheFile]:
    """Return the cache files of the group, made a minute ago."""
    run("generateimages", "shop")
    age(60)
    return files_of(group)


def age(seconds: float) -> None:
    """Make all cached files older."""
    then = time.time() - seconds
    for name in cached():
        os.utime(storages["default"].path(name), (then, then))


def begin(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let commands begin so many seconds from now, by their own clock."""
    clock = SimpleNamespace(time=lambda: time.time() + seconds)
    monkeypatch.setattr("imagekit_registry.maintenance.clean.time", clock)


@pytest.fixture
def tagged(stored_photo: Any) -> Callable[..., ImageCacheFile]:
    """Return a function that makes an image as a template tag does, of a photograph of its own."""
    stored_photo(name="photos/tagged.jpg")

    def make(width: int = 33) -> ImageCacheFile:
        file = get_image("imagekit:thumbnail", source="photos/tagged.jpg", width=width)
        file.generate()
        return file

    return make


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FileSystemStorage:
    """Return a storage that only a field has."""
    storage = FileSystemStorage(location=str(tmp_path / "private"), base_url="/private/")
    monkeypatch.setattr(Plain._meta.get_field("image"), "storage", storage)
    return storage


def removed(result: Result) -> dict[str, str]:
    """Return what a command removed, with its reason."""
    return {item["name"]: item["reason"] for item in result.document["removed"]}


class TestKept:
    """What is called for, or might be, stays."""

    def test_what_rows_call_for_is_kept(self, run: Run, made: list[ImageCacheFile]) -> None:
        """Nothing happens on a site in order."""
        result = run("cleanimages", "--json")
        assert (result.status, removed(result)) == (0, {})
        assert cached() == {file.name for file in made}

    def test_what_template_tags_made_is_kept(self, run: Run, store: str, tagged: Any) -> None:
        """Its source is there, and any page may ask for it."""
        file = tagged()
        assert removed(run("cleanimages", "--json")) == {}
        assert cached() == {file.name}

    def test_what_may_have_its_source_in_a_storage_that_cannot_be_built_is_kept(
        self, run: Run, store: str, settings: Any
    ) -> None:
        """One that lacks its settings, such as Django's own without ``STATIC_URL``, holds none."""
        name = "CACHE/images/photos/gone/0123456789abcdef0123456789abcdef.jpg"
        storages["default"].save(name, ContentFile(b"ours"))
        age(60)
        for cause, kept in ((OSError("no network"), [name]), (ImproperlyConfigured("no URL"), [])):
            odd = {"BACKEND": "tests.storages.UnbuiltStorage", "OPTIONS": {"cause": cause}}
            settings.STORAGES = {**settings.STORAGES, "odd": odd}
            result = run("cleanimages", "--json")
            assert (result.status, result.document["left"]) == (0, kept)
            assert cached() == set(kept)
            assert run("imagestats", "--json").status == 0

    @pytest.mark.parametrize("is_known", [True, False], ids=["known", "flushed"])
    def test_what_is_published_by_another_extension_is_kept(
        self, run: Run, store: str, is_known: bool, stored_photo: Any
    ) -> None:
        """As a transparent image is whose format is chosen by what is in it."""

        class Rounded(ImageSpec):
            processors = [ResizeToFit(60), RoundedCorners(9)]
            format = "auto"

        register.generator("shop:rounded", Rounded)
        file = get_image("shop:rounded", source=stored_photo())
        file.generate()
        age(60)
        assert cached() == {file.published_name} != {file.name}
        if not is_known:
            get_state_access().drop([file.identity.key])
            forget_state()
        assert removed(run("cleanimages", "--json")) == {}
        assert cached() == {str(file.name).replace(".jpg", ".png")}

    @pytest.mark.parametrize("is_known", [True, False], ids=["known", "flushed"])
    def test_what_is_made_of_files_in_a_storage_without_an_alias_is_kept(
        self, run: Run, store: str, is_known: bool, private: FileSystemStorage, photos: Path
    ) -> None:
        """Such as one that only a field has; it goes when the source does."""
        name = private.save("private/a.jpg", content_of(photos / "rocket.jpg"))
        file = get_image("imagekit:thumbnail", source=StoredFile(name, private), width=33)
        file.generate()
        age(60)
        if not is_known:
            get_state_access().drop([file.cachefile_backend.get_key(file)])
        assert removed(run("cleanimages", "--json")) == {}
        private.delete(name)
        assert set(removed(run("cleanimages", "--json"))) == {file.name}

    def test_what_is_made_of_names_that_look_like_those_of_a_storage_is_kept(
        self, run: Run, store: str, photos: Path
    ) -> None:
        """A colon in a name is no end of a storage's alias."""
        name = storages["default"].save("x", content_of(photos / "rocket.jpg"))
        path = Path(storages["default"].path(name))
        path.rename(path.with_name("staticfiles:a.jpg"))
        file = get_image("imagekit:thumbnail", source="staticfiles:a.jpg", width=33)
        file.generate()
        age(60)
        assert removed(run("cleanimages", "--json")) == {}

    def test_the_first_of_two_images_of_one_name_is_kept(
        self,
        run: Run,
        store: str,
        group: Group,
        stored_photo: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Rows call for both; the record says which of them it is."""
        monkeypatch.setattr(Small, "namer", staticmethod(namers.source_name_and_field))
        group.names[:] = [
            stored_photo("rocket.jpg", "photos/same.jpg"),
            stored_photo("coffee.png", "photos/same.png"),
        ]
        run("generateimages", "shop:photo:small")
        first, second = (get_image("shop:photo:small", source=name) for name in group.names)
        assert first.name == second.name
        age(60)
        assert removed(run("cleanimages", "--unknown", "--json")) == {}
        assert first.exists()
        assert not second.exists()

    @pytest.mark.parametrize(
        "name",
        [
            pytest.param("CACHE/images/README.txt", id="no digest"),
            pytest.param("CACHE/images/photos/deadbeef.jpg", id="short digest"),
            pytest.param("CACHE/images/gone/0123456789abcdef0123456789abcdeX.jpg", id="no hex"),
            pytest.param("CACHE/images/base.27e20196a850.css", id="hashed static file"),
            pytest.param("CACHE/images/x/0123456789abcdef0123456789abcdef.pdf", id="no image"),
        ],
    )
    def test_what_is_not_ours_is_kept(
        self, run: Run, made: list[ImageCacheFile], name: str
    ) -> None:
        """A name that no namer of ours makes is left, and told of."""
        storages["default"].save(name, ContentFile(b"mine"))
        result = run("cleanimages", "--unknown", "--json")
        assert result.document["foreign"] == [name]
        assert storages["default"].exists(name)

    @pytest.mark.parametrize("args", [(), ("--unknown",)], ids=["", "unknown"])
    def test_uploads_named_as_ours_are_kept(
        self, run: Run, settings: Any, args: tuple[str, ...]
    ) -> None:
        """Many projects name uploads by 32 hexadecimal digits; a row of any model has this one."""
        settings.IMAGEKIT_CACHEFILE_DIR = "plain"
        names = []
        for folder in ("plain", "plain/2024"):
            name = f"{folder}/0123456789abcdef0123456789abcdef.jpg"
            names.append(storages["default"].save(name, ContentFile(b"mine")))
            Plain.objects.create(image=names[-1])
        age(60)
        result = run("cleanimages", *args, "--json")
        assert (result.status, removed(result)) == (0, {})
        assert sorted(result.document["foreign"]) == sorted(names)

    def test_everything_of_unknown_origin_is_kept_if_rows_cannot_be_asked(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A table may be missing."""

        monkeypatch.setattr(Plain._meta, "db_table", "elsewhere")
        name = "CACHE/images/gone/0123456789abcdef0123456789abcdef.jpg"
        storages["default"].save(name, ContentFile(b"ours"))
        age(60)
        result = run("cleanimages", "--json")
        assert removed(result) == {}
        assert "no such table: elsewhere" in str(result.error)
        assert storages["default"].exists(name)

    @pytest.mark.parametrize("folder", ["", ".", "/", "./"])
    def test_everything_is_kept_if_the_folder_is_the_whole_storage(
        self, run: Run, settings: Any, stored_photo: Any, folder: str
    ) -> None:
        """A wrong setting must not cost anybody's uploads."""
        settings.IMAGEKIT_CACHEFILE_DIR = folder
        name = stored_photo(name="photos/0123456789abcdef0123456789abcdef.jpg")
        result = run("cleanimages", "--unknown")
        assert "IMAGEKIT_CACHEFILE_DIR" in str(result.error)
        assert storages["default"].exists(name)

    def test_what_lies_outside_of_the_folder_is_kept(
        self, run: Run, group: Group, settings: Any, transactional_db: None
    ) -> None:
        """Even if the ledger knows it and nothing calls for it any more."""
        settings.IMAGEKIT_STATE_STORE = "database"
        Small.namer = staticmethod(lambda generator: f"elsewhere/{generator.get_hash()}.jpg")
        try:
            run("generateimages", "shop:photo:small")
        finally:
            Small.namer = None
        result = run("cleanimages", "--json")
        assert removed(result) == {}
        assert len(result.document["outside"]) == 2
        assert len(storages["default"].listdir("elsewhere")[1]) == 2

    def test_what_was_made_since_the_command_began_is_kept(
        self, run: Run, made: list[ImageCacheFile], group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A row that is added while the command runs is in no inventory."""
        begin(monkeypatch, -120)
        group.names.clear()
        assert removed(run("cleanimages", "--json")) == {}

    @pytest.mark.parametrize("is_known", [True, False], ids=["known", "flushed"])
    def test_what_became_obsolete_a_short_while_ago_is_kept(
        self,
        run: Run,
        store: str,
        made: list[ImageCacheFile],
        group: Group,
        is_known: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """However old it is: pages in proxies go on to show it since then, not since it was made."""
        age(9_999_999)
        for name in group.names:
            storages["default"].delete(name)
        group.names.clear()
        if not is_known:
            get_state_access().drop([file.identity.key for file in made])
        dry = run("cleanimages", "--older-than", "1h", "--json", "--dry-run").document
        first = run("cleanimages", "--older-than", "1h", "--json")
        assert (dry["noted"], first.document["noted"], removed(first)) == (0, 4, {})
        begin(monkeypatch, 3500)
        again = run("cleanimages", "--older-than", "1h", "--json")
        assert (again.document["noted"], again.document["kept"], removed(again)) == (0, 4, {})
        begin(monkeypatch, 3700)
        assert len(removed(run("cleanimages", "--older-than", "1h", "--json"))) == 4
        assert cached() == set()

    def test_what_is_called_for_again_is_obsolete_from_its_next_end(
        self, run: Run, made: list[ImageCacheFile], group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A row that was put back, or a recipe: what was written down before does not count."""
        names = list(group.names)
        for number, rows in enumerate([[], names, []]):
            begin(monkeypatch, 3600 * number)
            group.names[:] = rows
            result = run("cleanimages", "--older-than", "90m", "--json")
            assert (result.document["noted"], removed(result)) == (0 if rows else 4, {})
        begin(monkeypatch, 3600 * 4)
        assert len(removed(run("cleanimages", "--older-than", "90m", "--json"))) == 4

    def test_since_when_an_image_is_obsolete_is_told(
        self, run: Run, made: list[ImageCacheFile], group: Group
    ) -> None:
        """Whoever calls the command for the first time must not think that it does nothing."""
        group.names.clear()
        assert "Obsolete since now: 4 files." in run("cleanimages", "--older-than", "7d").out

    def test_everything_uncertain_is_kept_if_some_files_cannot_be_named(
        self, run: Run, made: list[ImageCacheFile], group: Group
    ) -> None:
        """A query that fails must not look as if there were no rows."""

        def query() -> Any:
            raise RuntimeError("no such table")

        group.names.clear()
        register.cachefiles("shop:photo:small", query)
        try:
            result = run("cleanimages", "--json")
        finally:
            unregister.cachefiles("shop:photo:small", query)
        assert result.status == 1
        assert "no such table" in str(result.error)
        assert removed(result) == {}

    def test_sources_that_lie_among_the_cache_files_are_kept(
        self, run: Run, store: str, group: Group
    ) -> None:
        """The image of one spec may be the source of another's."""
        name = "CACHE/images/photos/gone/0123456789abcdef0123456789abcdef.jpg"
        group.names[:] = [storages["default"].save(name, ContentFile(b"a source"))]
        run("cleanimages", "--unknown")
        assert storages["default"].exists(name)

    def test_the_images_of_model_fields_are_kept(
        self, run: Run, store: str, stored_photo: Any
    ) -> None:
        """Until the row is gone, though its source stays, as Django leaves it."""
        row = Photo.objects.create(original_image=stored_photo())
        generate_many([row.thumbnail, row.banner, row.with_spec])
        assert removed(run("cleanimages", "--json")) == {}
        Photo.objects.filter(pk=row.pk)._raw_delete("default")
        assert set(removed(run("cleanimages", "--json")).values()) == {
            "no row has its source any more"
        }
        assert storages["default"].exists(str(row.original_image))

    @pytest.mark.parametrize("args", [(), ("--unknown",)], ids=["", "unknown"])
    @pytest.mark.parametrize("is_known", [True, False], ids=["known", "flushed"])
    def test_images_of_another_models_rows_by_the_same_spec_are_kept(
        self,
        run: Run,
        made: list[ImageCacheFile],
        group: Group,
        stored_photo: Any,
        is_known: bool,
        args: tuple[str, ...],
    ) -> None:
        """A tag has made them; so are those of a column that only another language reads."""
        row = Plain.objects.create(image=stored_photo("chelsea.png"))
        file = get_image("shop:photo:small", source=row.image)
        file.generate()
        age(60)
        if not is_known:
            get_state_access().drop([file.identity.key])
        result = run("cleanimages", *args, "--json")
        assert (removed(result), result.document["left"]) == (
            {},
            [] if is_known else [file.name],
        )
        row.delete()
        assert set(removed(run("cleanimages", *args, "--json"))) == (
            {file.name} if is_known or args else set()
        )

    @pytest.mark.skipif("postgresql" not in connections, reason="no PostgreSQL")
    def test_images_of_rows_in_another_database_are_kept(
        self, run: Run, store: str, stored_photo: Any
    ) -> None:
        """Whatever the routers choose for reading."""
        row = Photo.objects.using("postgresql").create(original_image=stored_photo())
        row.thumbnail.generate()
        age(60)
        assert removed(run("cleanimages", "--json")) == {}
        Photo.objects.using("postgresql").filter(pk=row.pk)._raw_delete("postgresql")
        assert set(removed(run("cleanimages", "--json"))) == {row.thumbnail.name}

    def test_rows_that_a_manager_hides_are_rows(
        self,
        run: Run,
        made: list[ImageCacheFile],
        stored_photo: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Such as those that are deleted for now, or belong to another tenant."""
        row = Plain.objects.create(image=stored_photo("chelsea.png"))
        get_image("shop:photo:small", source=row.image).generate()
        age(60)
        monkeypatch.setitem(vars(Plain._meta), "base_manager", Plain.objects.none())
        assert removed(run("cleanimages", "--json")) == {}

    def test_renditions_go_when_the_image_of_their_spec_does(
        self, run: Run, store: str, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``{% picture %}`` makes them, in formats and widths that only templates know."""
        template = engines["django"].from_string(
            "{% load imagekit %}{% picture 'shop:photo:small' source=source"
            " formats='WEBP' widths='30 50 900' %}"
        )
        template.render({"source": group.names[0]})
        age(60)
        made = cached()
        assert len(made) == 7
        assert removed(run("cleanimages", "--json")) == {}
        monkeypatch.setattr(Small, "options", {"quality": 33})
        assert set(removed(run("cleanimages", "--json"))) == made

    def test_images_of_a_spec_that_has_another_id_now_are_kept(
        self, run: Run, store: str, stored_photo: Any
    ) -> None:
        """Their names say the recipe, which is the same."""
        name = stored_photo("chelsea.png")
        register.generator("shop:before", Large)
        try:
            file = get_image("shop:before", source=name)
            file.generate()
        finally:
            unregister.generator("shop:before")
        age(60)
        register.generator("shop:now", Large)
        try:
            assert removed(run("cleanimages", "--json")) == {}
        finally:
            unregister.generator("shop:now")
        assert set(removed(run("cleanimages", "--json"))) == {file.name}

    def test_a_name_that_tells_no_source_stays_and_is_told(
        self, run: Run, made: list[ImageCacheFile]
    ) -> None:
        """Which row calls for it, in whatever database, nobody knows."""
        name = "CACHE/images/0123456789abcdef0123456789abcdef.jpg"
        storages["default"].save(name, ContentFile(b"ours"))
        age(60)
        assert run("cleanimages", "--unknown", "--json").document["left"] == [name]
        shown = run("cleanimages", "--unknown").out
        assert f"1 file that no row calls for, left:\n  {name}\n" in shown

    def test_a_name_in_another_encoding_is_told_as_far_as_it_can_be(self, media: Path) -> None:
        """Once the command ended in its midst, without a report."""
        folder = media / "CACHE" / "images"
        folder.mkdir(parents=True)
        (folder / os.fsdecode(b"\xe9t\xe9.jpg")).write_bytes(b"theirs")
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        call_command("cleanimages", stdout=out)
        assert (
            b"left:\n  CACHE/images/\\udce9t\\udce9.jpg\n0 files removed." in out.buffer.getvalue()
        )


class TestRemoved:
    """What is provably left over goes, with its state and its empty folders."""

    def test_what_no_row_calls_for_is_removed(
        self, run: Run, made: list[ImageCacheFile], group: Group
    ) -> None:
        """The row is gone; its source lies about as Django leaves it."""
        del group.names[0]
        result = run("cleanimages", "--json")
        assert removed(result) == {file.name: "no row has its source any more" for file in made[:2]}
        assert cached() == {file.name for file in made[2:]}
        assert not storages["default"].exists("CACHE/images/photos/rocket")
        forget_state()
        assert not get_image("shop:photo:small", source=made[0].source).exists()

    def test_what_a_former_recipe_made_is_removed(
        self, run: Run, made: list[ImageCacheFile], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The new one's files are other files."""
        monkeypatch.setattr(Small, "processors", [ResizeToFit(50)])
        result = run("cleanimages", "--json")
        assert removed(result) == {
            made[index].name: "it was made by a former recipe" for index in (0, 2)
        }

    def test_what_has_lost_its_source_is_removed(
        self, run: Run, made: list[ImageCacheFile], group: Group, tagged: Any
    ) -> None:
        """Also what template tags made of it."""
        file = tagged()
        storages["default"].delete("photos/tagged.jpg")
        assert removed(run("cleanimages", "--json")) == {
            file.name: "its source does not exist any more"
        }

    def test_what_a_spec_made_that_is_gone_is_removed(
        self, run: Run, made: list[ImageCacheFile], group: Group
    ) -> None:
        """Nothing would ever ask for it."""
        unregister.source_group("shop:photo:large", group)
        unregister.generator("shop:photo:large")
        try:
            result = run("cleanimages", "--json")
        finally:
            register.generator("shop:photo:large", Large)
            register.source_group("shop:photo:large", group)
        assert removed(result) == {
            made[index].name: "no spec of its id is registered any more" for index in (1, 3)
        }

    @pytest.mark.parametrize(
        ("id", "is_removed"), [("easy:shop.Photo:card", True), ("shop.specs.Card", False)]
    )
    def test_an_id_with_a_dot_and_no_colon_may_be_the_path_of_a_class(
        self, run: Run, store: str, stored_photo: Any, id: str, is_removed: bool
    ) -> None:
        """Which a page can still use; the images of an alias that is gone once stayed as well."""
        register.generator(id, Small)
        try:
            get_image(id, source=stored_photo()).generate()
        finally:
            unregister.generator(id)
        age(60)
        assert bool(removed(run("cleanimages", "--json"))) == is_removed

    def test_what_a_tags_spec_made_by_a_former_recipe_is_removed(
        self, run: Run, store: str, stored_photo: Any
    ) -> None:
        """A spec that takes nothing but a source has one image of each."""

        class Tag(ImageSpec):
            processors = [ResizeToFit(20)]

        name = stored_photo()
        register.generator("shop:tag", Tag)
        try:
            old = get_image("shop:tag", source=name)
            old.generate()
            assert removed(run("cleanimages", "--json")) == {}
            Tag.processors = [ResizeToFit(30)]
            new = get_image("shop:tag", source=name)
            new.generate()
            assert removed(run("cleanimages", "--json")) == {
                old.name: "it was made by a former recipe"
            }
        finally:
            unregister.generator("shop:tag")
        assert cached() == {new.name}

    def test_what_killed_processes_left_is_removed(
        self, run: Run, made: list[ImageCacheFile], media: Path
    ) -> None:
        """After an hour it is nobody's."""
        folder = media / "CACHE" / "images" / "photos"
        young = folder / ".imagekit-tmp-0123456789abcdef.jpg"
        old = folder / ".imagekit-tmp-fedcba9876543210.jpg"
        for path in (young, old):
            path.write_bytes(b"half")
        os.utime(old, (time.time() - 7200, time.time() - 7200))
        result = run("cleanimages", "--json")
        assert list(removed(result).values()) == ["a process was killed while writing it"]
        assert (young.exists(), old.exists()) == (True, False)

    def test_what_specs_of_a_pattern_made_is_removed_alone(
        self, run: Run, made: list[ImageCacheFile], group: Group
    ) -> None:
        """And nobody else."""
        group.names.clear()
        result = run("cleanimages", "shop:*:small", "--json")
        assert set(removed(result)) == {made[0].name, made[2].name}

    def test_progress_begins_with_what_is_called_for(
        self, run: Run, made: list[ImageCacheFile], group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """To name all of that takes longest, and is counted as looking at files is; of how many."""
        monkeypatch.setattr(_commands, "LINE_INTERVAL", 0)
        monkeypatch.setattr(_commands, "FIRST_LINE", 0)

        lines = run("cleanimages").err.splitlines()

        assert lines[0] == "4 of 8 files ..."
        assert lines[-1] == "8 of 8 files ..."

    def test_nothing_is_removed_in_a_dry_run(
        self, run: Run, made: list[ImageCacheFile], group: Group
    ) -> None:
        """It says what would go."""
        group.names.clear()
        assert len(removed(run("cleanimages", "--dry-run", "--json"))) == 4
        result = run("cleanimages", "--dry-run")
        assert f"would remove {made[0].name}: no row has its source any more" in result.out
        assert "4 files would be removed" in result.out
        assert len(cached()) == 4


class TestWithoutState:
    """The cache was flushed: only names are left to go by."""

    @pytest.fixture
    def flushed(self, run: Run, group: Group) -> list[ImageCacheFile]:
        """Return files of which nothing is known."""
        run("generateimages", "shop")
        age(60)
        caches["default"].clear()
        return files_of(group)

    def test_a_name_tells_of_a_source_that_is_gone(
        self, run: Run, flushed: list[ImageCacheFile], group: Group
    ) -> None:
        """No storage has a source of that name."""
        storages["default"].delete(group.names.pop(0))
        assert removed(run("cleanimages", "--json")) == {
            file.name: "its source does not exist any more" for file in flushed[:2]
        }

    def test_names_of_the_other_namer_tell_of_a_source_that_is_gone_too(
        self, run: Run, group: Group, settings: Any
    ) -> None:
        """DIR/photos/bulldog.DIGEST12.jpg."""
        settings.IMAGEKIT_SPEC_CACHEFILE_NAMER = (
            f"{namers.__name__}.{namers.source_name_dot_hash.__name__}"
        )
        run("generateimages", "shop")
        age(60)
        caches["default"].clear()
        storages["default"].delete(group.names.pop(0))
        assert len(removed(run("cleanimages", "--json"))) == 2

    def test_a_source_that_is_there_may_have_been_asked_for_by_a_tag(
        self, run: Run, flushed: list[ImageCacheFile], group: Group
    ) -> None:
        """So it stays, unless one says otherwise."""
        group.names.clear()
        result = run("cleanimages", "--json")
        assert (removed(result), result.document["kept"]) == ({}, 4)
        assert len(removed(run("cleanimages", "--unknown", "--json"))) == 4

    def test_a_name_without_a_source_stays(self, run: Run, group: Group, settings: Any) -> None:
        """DIR/DIGEST.jpg tells nothing."""
        settings.IMAGEKIT_SPEC_CACHEFILE_NAMER = f"{namers.__name__}.hash"
        run("generateimages", "shop")
        age(60)
        caches["default"].clear()
        group.names.clear()
        assert removed(run("cleanimages", "--json")) == {}

    def test_a_storage_that_only_a_spec_of_template_tags_names_is_looked_through(
        self, run: Run, tmp_path: Path, stored_photo: Any
    ) -> None:
        """No row calls for any file in it."""
        storage = FileSystemStorage(location=str(tmp_path / "own"), base_url="/own/")

        class Tagged(Small):
            cachefile_storage = storage

        stored_photo(name="photos/tagged.jpg")
        register.generator("shop:tagged", Tagged)
        try:
            file = get_image("shop:tagged", source="photos/tagged.jpg")
            file.generate()
            forget_state()
            storages["default"].delete("photos/tagged.jpg")
            os.utime(storage.path(str(file.name)), (1, 1))
            assert removed(run("cleanimages", "--json")) == {
                file.name: "its source does not exist any more"
            }
            assert not storage.exists(str(file.name))
        finally:
            unregister.generator("shop:tagged")

    def test_an_image_is_known_under_any_alias_of_its_folder(
        self, run: Run, settings: Any, stored_photo: Any
    ) -> None:
        """A CDN's, say. The recipe hangs on the row, so that nobody but its record knows the image."""
        options = {"location": storages["default"].path(""), "base_url": "https://cdn.example/"}
        other = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
        settings.STORAGES = {**settings.STORAGES, "cdn": other}

        class ByRow(Small):
            @property
            def processors(self) -> Any:  # type: ignore[override]
                return [ResizeToFit(10 + self.source.instance.pk)]

        class Tagged(Small):
            cachefile_storage = "cdn"

        row = Photo.objects.create(original_image=stored_photo(name="photos/row.jpg"))
        register.generator("shop:row", ByRow)
        register.generator("shop:tagged", Tagged)
        try:
            file = get_image("shop:row", source=row.original_image)
            file.generate()
            age(60)
            assert removed(run("cleanimages", "--unknown", "--json")) == {}
            assert storages["default"].exists(str(file.name))
        finally:
            unregister.generator("shop:row")
            unregister.generator("shop:tagged")


class TestLedger:
    """The table knows what was made, also where the storage cannot list."""

    def test_storages_that_cannot_list_are_cleaned_by_the_records(
        self, run: Run, group: Group, settings: Any, transactional_db: None
    ) -> None:
        """Files go by their records; that the storage was not listed is told."""
        settings.IMAGEKIT_STATE_STORE = "database"
        settings.STORAGES = {
            **settings.STORAGES,
            "cloud": {"BACKEND": "tests.storages.RemoteStorage"},
        }
        settings.IMAGEKIT_DEFAULT_FILE_STORAGE = "cloud"
        run("generateimages", "shop")
        assert len(storages["cloud"].contents) == 4  # type: ignore[attr-defined]
        del group.names[0]
        result = run("cleanimages", "--json")
        assert len(removed(result)) == 2
        assert len(storages["cloud"].contents) == 2  # type: ignore[attr-defined]
        assert len(list(DatabaseStateStore().iter_items())) == 2
        assert result.status == 0
        assert "NotImplementedError" in result.document["unlisted"][0]

    def test_failures_are_told_and_the_record_stays(
        self, run: Run, group: Group, settings: Any, transactional_db: None
    ) -> None:
        """A storage that does not let go is an error; the next run tries again."""
        settings.IMAGEKIT_STATE_STORE = "database"
        storage = BrokenStorage()
        Small.cachefile_storage = storage
        try:
            run("generateimages", "shop:photo:small")
            names = group.names[:]
            del group.names[0]
            storage.failures["delete"] = PermissionError("read-only")
            result = run("cleanimages", "shop:photo:small", "--json")
            assert names[0] not in group.names
        finally:
            Small.cachefile_storage = None
        assert result.status == 1
        assert str(result.error) == "1 file could not be removed."
        (failure,) = result.document["failures"]
        assert failure["error"] == "PermissionError: read-only"
        assert failure["spec_id"] == "shop:photo:small"
        assert len(list(DatabaseStateStore().iter_items())) == 2


class TestArguments:
    """What can be asked for."""

    @pytest.mark.parametrize("text", ["soon", "-1d", "5y", ""])
    def test_a_duration_is_a_number_and_a_unit(self, run: Run, text: str) -> None:
        """The message says what to write."""
        result = run("cleanimages", f"--older-than={text}")
        assert "45s, 30m, 12h, 7d or 2w" in str(result.error)

    def test_help_states_the_rules(self, capsys: pytest.CaptureFixture[str]) -> None:
        """One can read what will go before it goes."""
        from imagekit_registry.management.commands.cleanimages import Command

        Command().print_help("manage.py", "cleanimages")
        shown = capsys.readouterr().out
        assert " - its source does not exist any more;\n" in shown
        assert "Never removed" in shown
