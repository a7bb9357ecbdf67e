"""``checkimages``: states and storages agree, or it says where they do not."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
from django.core.cache import caches
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection
from django.template import engines

from imagekit_registry import get_image, register, unregister
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.backends import DatabaseImageCacheBackend
from imagekit_registry.cachefiles.namers import source_name_and_field
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.state import (
    DatabaseStateStore,
    Status,
    forget_local_states,
    get_state_access,
)
from tests.management.conftest import Group, Later, Result, Small, cached, files_of
from tests.storages import BrokenStorage, CountingStorage

Run = Callable[..., Result]


@pytest.fixture
def made(run: Run, group: Group) -> list[ImageCacheFile]:
    """Return the cache files of the group, which exist."""
    run("generateimages", "shop")
    return files_of(group)


def problems(result: Result) -> list[tuple[str, str, bool]]:
    """Return kind, file and whether it was repaired."""
    return [(item["kind"], item["file"], item["repaired"]) for item in result.document["problems"]]


class TestFinding:
    """What is told, and what is not."""

    def test_nothing_is_wrong_with_a_site_in_order(
        self, run: Run, made: list[ImageCacheFile]
    ) -> None:
        """The exit status is 0."""
        result = run("checkimages", "shop", "--json")
        assert (result.status, result.document["good"], problems(result)) == (0, 4, [])
        assert "4 images in order." in run("checkimages", "shop").out

    def test_images_yet_to_be_made_are_nothing_wrong(self, run: Run, group: Group) -> None:
        """They are made when they are asked for."""
        result = run("checkimages", "shop", "--json")
        assert (result.status, result.document["missing"]) == (0, 4)

    def test_a_flushed_cache_is_nothing_wrong(self, run: Run, made: list[ImageCacheFile]) -> None:
        """It costs the next page a look; repairing saves it that."""
        caches["default"].clear()
        assert run("checkimages", "shop", "--json").document["unrecorded"] == 4
        assert run("checkimages", "shop", "--repair", "--json").document["unrecorded"] == 4
        assert run("checkimages", "shop", "--json").document["good"] == 4

    @pytest.mark.parametrize("command", ["checkimages --repair", "generateimages"])
    def test_the_record_of_a_file_that_was_found_is_that_of_one_that_was_made(
        self, run: Run, made: list[ImageCacheFile], command: str
    ) -> None:
        """Whoever made it was killed before it was written down; the next page opens no file."""
        before = [file.state for file in made]
        caches["default"].clear()
        forget_local_states()
        name, *options = command.split()
        assert run(name, "shop", *options).status == 0
        forget_local_states()
        assert None not in [each.size for each in before]
        assert [attrs.evolve(file.state, made_at=None) for file in made] == [
            attrs.evolve(each, made_at=None) for each in before
        ]

    @pytest.mark.parametrize("store", ["cache", "database"])
    def test_records_without_placeholders_are_completed(
        self,
        run: Run,
        group: Group,
        monkeypatch: pytest.MonkeyPatch,
        settings: Any,
        store: str,
        db: None,
    ) -> None:
        """Of specs that have come to ask for them; no image is made anew."""
        settings.IMAGEKIT_STATE_STORE = store
        run("generateimages", "shop")
        monkeypatch.setattr(Small, "placeholder", "color")
        first = run("checkimages", "shop", "--json")
        assert (first.status, first.document["incomplete"], first.document["good"]) == (0, 2, 2)
        assert "2 without their size or placeholders" in run("checkimages", "shop").out
        file = get_image("shop:photo:small", source=group.names[0])
        assert (file.placeholder.color, made_at := file.state.made_at) == ("", made_at)
        assert run("checkimages", "shop", "--repair").status == 0
        assert run("checkimages", "shop", "--json").document["good"] == 4
        file = get_image("shop:photo:small", source=group.names[0])
        assert file.placeholder.color.startswith("#")
        assert (file.state.made_at, file.state.size) == (made_at, file.storage.size(str(file.name)))

    def test_placeholders_of_a_flushed_cache_are_read_again(
        self, run: Run, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From the images."""
        monkeypatch.setattr(Small, "placeholder", ("lqip", "color"))
        run("generateimages", "shop")
        file = get_image("shop:photo:small", source=group.names[0])
        color = file.placeholder.color
        caches["default"].clear()
        run("checkimages", "shop", "--repair")
        again = get_image("shop:photo:small", source=group.names[0]).placeholder
        assert bytes.fromhex(again.color[1:]) == pytest.approx(bytes.fromhex(color[1:]), abs=2)
        assert again.data_uri

    def test_a_library_that_is_missing_is_told_by_the_check_too(
        self, run: Run, made: list[ImageCacheFile], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing can be completed without it."""
        monkeypatch.setattr(Small, "placeholder", "blurhash")
        monkeypatch.setitem(sys.modules, "blurhash_rs", None)
        found = run("checkimages", "shop", "--repair", "--json")
        assert found.status == 1
        assert {item["cause"].partition(" (")[0] for item in found.document["problems"]} == {
            "The placeholder 'blurhash' cannot be made"
        }

    def test_a_file_that_is_gone_is_told_with_spec_source_and_cause(
        self, run: Run, made: list[ImageCacheFile], group: Group
    ) -> None:
        """Somebody has tidied up behind our back."""
        storages["default"].delete(made[0].name or "")
        result = run("checkimages", "shop")
        assert result.status == 1
        assert "1 image with problems" in str(result.error)
        line = result.out.splitlines()[0]
        assert line.startswith(f"gone: shop:photo:small of {group.names[0]!r} ({made[0].name}): ")

    def test_a_source_that_was_overwritten_is_told(
        self, run: Run, made: list[ImageCacheFile], group: Group, photos: Any
    ) -> None:
        """Behind our back, under the same name."""
        path = storages["default"].path(group.names[0])
        with open(path, "wb") as file:  # noqa: PTH123
            file.write((photos / "hubble_deep_field.jpg").read_bytes())
        os.utime(path, (time.time() + 5, time.time() + 5))
        result = run("checkimages", "shop", "--json")
        assert problems(result) == [("stale", file.name, False) for file in made[:2]]
        assert problems(run("checkimages", "shop", "--repair", "--json")) == [
            ("stale", file.name, True) for file in made[:2]
        ]
        assert run("checkimages", "shop").status == 0

    def test_a_former_recipe_under_the_same_name_is_told(
        self, run: Run, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Names of the old ImageKit do not tell the recipe; the state does."""
        monkeypatch.setattr(Small, "namer", staticmethod(source_name_and_field))
        run("generateimages", "shop:photo:small")
        monkeypatch.setattr(Small, "processors", [ResizeToFit(50)])
        found = problems(run("checkimages", "shop:photo:small", "--json"))
        assert {kind for kind, _, _ in found} == {"outdated"}
        assert run("checkimages", "shop:photo:small", "--repair").status == 0
        assert get_image("shop:photo:small", source=group.names[0]).width == 50

    @pytest.mark.parametrize("store", ["cache", "database"])
    @pytest.mark.parametrize("options", [(), ("--repair",)], ids=["", "repair"])
    def test_a_name_that_another_image_has_is_told(
        self,
        run: Run,
        group: Group,
        stored_photo: Any,
        monkeypatch: pytest.MonkeyPatch,
        settings: Any,
        store: str,
        options: tuple[str, ...],
    ) -> None:
        """It is not repaired: one of the two must get another name."""
        settings.IMAGEKIT_STATE_STORE = store
        monkeypatch.setattr(Small, "namer", staticmethod(source_name_and_field))
        for name in ("photos/same.jpg", "photos/same.png"):
            group.names.append(stored_photo("rocket.jpg", name))
        first, second = (get_image("shop:photo:small", source=name) for name in group.names[2:])
        result = run("generateimages", "shop:photo:small", "--json")
        assert (result.status, [item["source"] for item in result.document["failures"]]) == (
            1,
            ["photos/same.png"],
        )
        result = run("checkimages", "shop:photo:small", "--json", *options)
        assert (result.status, result.document["good"]) == (1, 3)
        assert problems(result) == [("taken", second.name, False)]
        cause = result.document["problems"][0]["cause"]
        assert "is taken by shop:photo:small of 'photos/same.jpg'" in cause
        assert first.exists()

    def test_a_failure_is_told_of_the_image_that_failed(
        self, run: Run, group: Group, stored_photo: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And not of another one that would get its name."""
        monkeypatch.setattr(Small, "namer", staticmethod(source_name_and_field))
        group.names[:] = [storages["default"].save("photos/same.jpg", ContentFile(b"no image"))]
        run("generateimages", "shop:photo:small")
        group.names.append(stored_photo("coffee.png", "photos/same.png"))
        document = run("checkimages", "shop:photo:small", "--json").document
        assert [item["source"] for item in document["problems"]] == ["photos/same.jpg"]
        assert document["missing"] == 1

    def test_names_that_need_a_record_and_have_none_are_yet_to_be_made(
        self, run: Run, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What lies under them may be another image."""
        monkeypatch.setattr(Small, "namer", staticmethod(source_name_and_field))
        run("generateimages", "shop:photo:small")
        caches["default"].clear()
        document = run("checkimages", "shop:photo:small", "--json").document
        assert (document["missing"], document["unrecorded"]) == (2, 0)
        assert (
            run("generateimages", "shop:photo:small", "--missing", "--json").document["made"] == 2
        )

    def test_failures_are_told_with_their_cause(self, run: Run, group: Group) -> None:
        """They are remembered until somebody mends the source."""
        group.names.append(storages["default"].save("photos/bad.jpg", ContentFile(b"no image")))
        run("generateimages", "shop")
        result = run("checkimages", "shop", "--json")
        assert [item["kind"] for item in result.document["problems"]] == ["failed", "failed"]
        assert "not an image" in result.document["problems"][0]["cause"]

    def test_folders_are_listed_once(
        self, run: Run, group: Group, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No file is asked for alone."""
        storage = CountingStorage(location=str(tmp_path / "cache"))
        monkeypatch.setattr(Small, "cachefile_storage", storage)
        run("generateimages", "shop:photo:small")
        storage.calls.clear()
        assert run("checkimages", "shop:photo:small", "--json").document["good"] == 2
        assert dict(storage.calls) == {"listdir": 2}

    def test_a_storage_that_does_not_answer_is_told(
        self, run: Run, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No file is taken for gone because the storage is."""
        storage = BrokenStorage()
        monkeypatch.setattr(Small, "cachefile_storage", storage)
        run("generateimages", "shop:photo:small")
        storage.failures["exists"] = ConnectionError("no route")
        result = run("checkimages", "shop:photo:small", "--json")
        assert [item["kind"] for item in result.document["problems"]] == ["unreachable"] * 2
        assert "no route" in result.document["problems"][0]["cause"]

    @pytest.mark.parametrize("command", ["checkimages", "cleanimages"])
    def test_a_table_of_states_that_is_not_there_is_told(
        self, run: Run, made: list[ImageCacheFile], settings: Any, command: str
    ) -> None:
        """In words, and nothing is taken for gone or for left over."""
        settings.IMAGEKIT_STATE_STORE = "database"
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE imagekit_registry_cachefilerecordrow RENAME TO elsewhere")
        result = run(command)
        assert result.status == 1
        assert "The state store DatabaseStateStore cannot be listed" in str(result.error)
        assert "manage.py check" in str(result.error)
        assert len(cached()) == 4

    def test_files_that_cannot_be_named_are_told(self, run: Run, group: Group) -> None:
        """A query that fails is a problem, not an empty list."""

        def query() -> Any:
            raise RuntimeError("no such table")

        register.cachefiles("shop:photo:small", query)
        try:
            result = run("checkimages", "shop", "--json")
        finally:
            unregister.cachefiles("shop:photo:small", query)
        assert [item["kind"] for item in result.document["problems"]] == ["unnamed"]
        assert "no such table" in result.document["problems"][0]["cause"]

    def test_patterns_choose_the_specs_that_are_checked(
        self, run: Run, made: list[ImageCacheFile]
    ) -> None:
        """As in generateimages; one that means nothing is an error."""
        assert run("checkimages", "shop:*:small", "--json").document["good"] == 2
        assert "Did you mean" in str(run("checkimages", "shop:photo:smal").error)


class TestRepairing:
    """``--repair`` makes states and storages agree."""

    def test_repairing_makes_again_what_is_gone(self, run: Run, made: list[ImageCacheFile]) -> None:
        """Also for strategies that never look."""
        storages["default"].delete(made[0].name or "")
        result = run("checkimages", "shop", "--repair", "--json")
        assert (result.status, problems(result)) == (0, [("gone", made[0].name, True)])
        assert storages["default"].exists(made[0].name or "")
        assert run("checkimages", "shop").status == 0

    def test_repairing_tries_again_what_failed(self, run: Run, group: Group, photos: Any) -> None:
        """Once the source is mended, before the back-off ends."""
        name = storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        group.names[:] = [name]
        run("generateimages", "shop")
        result = run("checkimages", "shop", "--repair", "--json")
        assert (result.status, result.document["remaining"]) == (1, 2)
        storages["default"].delete(name)
        storages["default"].save(name, ContentFile((photos / "rocket.jpg").read_bytes()))
        assert run("checkimages", "shop", "--repair").status == 0
        assert files_of(group)[0].width == 60

    def test_repairing_hands_files_to_asynchronous_backends(
        self, run: Run, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A worker makes them, as it made them before; until then it is not said that it has."""
        backend = Later()
        monkeypatch.setattr(Small, "cachefile_backend", backend)
        file = get_image("shop:photo:small", source=group.names[0])
        backend.generate_now(file)
        storages["default"].delete(file.name or "")
        result = run("checkimages", "shop:photo:small", "--repair")
        assert (result.status, backend.scheduled) == (0, [file.name])
        assert "does not have it. Handed to a worker." in result.out
        assert "Repaired" not in result.out

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("store", ["cache", "database"])
    def test_what_tags_made_comes_back_after_its_folder_was_deleted(
        self,
        run: Run,
        made: list[ImageCacheFile],
        stored_photo: Any,
        settings: Any,
        media: Path,
        store: str,
    ) -> None:
        """A cache cannot list what it has: the next page looks, as it does after a flush."""
        settings.IMAGEKIT_STATE_STORE = store
        template = engines["django"].from_string("{% load imagekit %}{% thumbnail '30x' source %}")
        page = partial(template.render, {"source": stored_photo("chelsea.png")})
        page()
        run("generateimages", "shop")
        before = cached()
        shutil.rmtree(media / "CACHE")
        assert run("checkimages", "--repair").status == 0
        assert cached() == {file.name for file in made}
        page()
        assert cached() == before

    def test_what_is_known_of_images_in_order_is_kept(
        self, run: Run, made: list[ImageCacheFile]
    ) -> None:
        """No page opens a file to measure it, because another image was gone."""
        storages["default"].delete(made[0].name or "")
        before = made[1].state
        run("checkimages", "--repair")
        assert get_state_access().get(made[1].identity.key) == before

    def test_a_check_forgets_nothing(self, run: Run, stored_photo: Any) -> None:
        """Without --repair it only reads."""
        file = get_image("imagekit:thumbnail", source=stored_photo(), width=30)
        file.generate()
        before = file.state
        run("checkimages")
        assert get_state_access().get(file.identity.key) == before
        run("checkimages", "--repair")
        assert get_state_access().get(file.identity.key) is None


@pytest.mark.django_db(transaction=True)
class TestLedger:
    """With the state in the database, what template tags made is checked as well."""

    def test_what_tags_made_and_is_gone_is_forgotten(
        self, run: Run, settings: Any, stored_photo: Any
    ) -> None:
        """Whoever asks for it next has it made."""
        settings.IMAGEKIT_STATE_STORE = "database"
        name = stored_photo()
        files = [get_image("imagekit:thumbnail", source=name, width=width) for width in (30, 40)]
        for file in files:
            file.generate()
        storages["default"].delete(files[0].name or "")
        result = run("checkimages", "--json")
        assert (result.document["good"], problems(result)) == (1, [("gone", files[0].name, False)])
        assert run("checkimages", "--repair").status == 0
        ((_, record),) = DatabaseStateStore().iter_items()
        assert (record.name, record.status) == (files[1].name, Status.EXISTS)
        file = get_image("imagekit:thumbnail", source=name, width=30)
        assert file.width == 30

    def test_the_ledger_of_a_backend_that_only_tags_use_is_checked_and_cleaned(
        self, run: Run, stored_photo: Any
    ) -> None:
        """No row calls for its files, and the settings name another store."""

        class Card(Small):
            cachefile_backend = f"{DatabaseImageCacheBackend.__module__}.DatabaseImageCacheBackend"

        register.generator("tests:card", Card)
        name = stored_photo()
        file, other = (get_image("tests:card", source=each) for each in (name, stored_photo()))
        for each in (file, other):
            each.generate()
        storages["default"].delete(file.name or "")
        storages["default"].delete(str(other.source.name))
        assert problems(run("checkimages", "--json")) == [("gone", file.name, False)]
        run("cleanimages", "--json")
        assert [record.name for _, record in DatabaseStateStore().iter_items()] == [file.name]
        assert not storages["default"].exists(other.name or "")

    def test_patterns_hold_for_the_ledger_too(
        self, run: Run, settings: Any, stored_photo: Any, group: Group
    ) -> None:
        """What others made is left alone."""
        settings.IMAGEKIT_STATE_STORE = "database"
        file = get_image("imagekit:thumbnail", source=stored_photo(), width=30)
        file.generate()
        storages["default"].delete(file.name or "")
        assert run("checkimages", "shop").status == 0
        assert run("checkimages", "imagekit").status == 1
