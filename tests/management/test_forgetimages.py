"""``forgetimages`` and ``generateimages --missing --verify``: the folder of images was deleted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages

from imagekit_registry import ImageSpec, get_image, register
from imagekit_registry.cachefiles import ImageCacheFile, generate_many
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.state import DatabaseStateStore, Status, get_state_access
from imagekit_registry.testing import forget_state
from tests.management.conftest import Group, Result, cached, files_of
from tests.pages import render
from tests.storages import BrokenStorage, RemoteStorage

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db(transaction=True)

TAG = "{% thumbnail '30x30' name as small %}{% if small.url %}{{ small.name }}{% endif %}"


@pytest.fixture(params=["cache", "database"])
def store(request: pytest.FixtureRequest, settings: Any) -> str:
    """Keep the state in either store."""
    settings.IMAGEKIT_STATE_STORE = request.param
    return str(request.param)


@pytest.fixture
def database(settings: Any) -> None:
    """Keep the state in the database."""
    settings.IMAGEKIT_STATE_STORE = "database"


@pytest.fixture
def made(group: Group) -> list[ImageCacheFile]:
    """Return the four cache files of the group; `store` or `database` comes first."""
    files = files_of(group)
    assert len(generate_many(files).made) == 4
    return files


def delete_cache() -> None:
    """Do what somebody has done who was short of room."""
    shutil.rmtree(storages["default"].path("CACHE"))
    forget_state()


def records(files: list[ImageCacheFile]) -> list[Any]:
    """Return what is known of files."""
    found = get_state_access().get_many([file.identity.key for file in files], fresh=True)
    return list(found.values())


@pytest.mark.usefixtures("store")
class TestForget:
    """`forgetimages`."""

    def test_images_whose_files_are_gone_are_forgotten_and_made_by_pages(
        self, store: str, group: Group, run: Run
    ) -> None:
        """Those of rows and those of template tags: afterwards no page shows a dead link."""
        files = files_of(group)
        generate_many(files)
        small = render(TAG, name=files[0].source)
        delete_cache()
        assert not files[0].storage.exists(str(files[0].name))
        assert files[0].exists()
        result = run("forgetimages")
        assert result.status == 0
        assert records(files) == []
        assert not any(file.exists() for file in files_of(group))
        assert render(TAG, name=files[0].source) == small
        assert cached() == {small}

    def test_images_that_are_there_are_kept(self, store: str, group: Group, run: Run) -> None:
        """With all that is known of them: one of four was lost."""
        files = files_of(group)
        generate_many(files)
        Path(files[2].path).unlink()
        report = run("forgetimages", "--json").document
        assert report["forgotten"] == [files[2].name]
        assert report["kept"] == 3
        kept = records(files)
        assert {record.name for record in kept} == {
            file.name for file in files if file is not files[2]
        }
        assert all(record.width and record.size for record in kept)

    def test_only_the_specs_that_are_meant_are_forgotten(
        self, store: str, group: Group, run: Run
    ) -> None:
        """A cache forgets nothing else then."""
        files = files_of(group)
        generate_many(files)
        small = render(TAG, name=files[0].source)
        delete_cache()
        report = run("forgetimages", "shop:photo:small", "--json").document
        assert set(report["forgotten"]) == {files[0].name, files[2].name}
        assert report["others_forgotten"] is False
        assert {record.spec_id for record in records(files)} == {"shop:photo:large"}
        assert render(TAG, name=files[0].source) == small
        assert small not in cached()

    def test_a_dry_run_forgets_nothing(self, store: str, group: Group, run: Run) -> None:
        """It lists what it would forget."""
        files = files_of(group)
        generate_many(files)
        delete_cache()
        out = run("forgetimages", "--dry-run").out
        assert f"would forget {files[0].name}" in out
        assert "4 images would be forgotten, 0 kept." in out
        assert len(records(files)) == 4


@pytest.mark.usefixtures("database")
class TestStorages:
    """Any storage."""

    @pytest.mark.parametrize("lists", [True, False])
    def test_a_remote_storage_is_asked_by_the_folder_if_it_can_list(
        self, name: str, run: Run, lists: bool
    ) -> None:
        """Else for each file."""
        storage = RemoteStorage() if lists else _Unlisted()

        @register.generator("tests:remote")
        class Remote(ImageSpec):
            processors = [ResizeToFit(40)]
            cachefile_storage = storage

        file = get_image("tests:remote", source=name)
        file.generate()
        assert run("forgetimages", "--json").document["forgotten"] == []
        storage.delete(str(file.name))
        assert run("forgetimages", "--json").document["forgotten"] == [file.name]
        assert not file.exists()

    def test_a_storage_that_does_not_answer_loses_no_state(
        self, made: list[ImageCacheFile], run: Run, settings: Any
    ) -> None:
        """It is told, and the exit status is 1."""
        settings.STORAGES = {
            **settings.STORAGES,
            "far": {"BACKEND": "tests.management.test_forgetimages.Failing"},
        }
        record = records(made)[0]
        far = {**{f: getattr(record, f) for f in ("name", "spec_id")}, "storage": "far"}
        get_state_access().put("far", type(record)(status=Status.EXISTS, **far))
        result = run("forgetimages", "--json")
        assert result.status == 1
        assert result.document["unreachable"] == [record.name]
        assert get_state_access().get("far") is not None


class Failing(BrokenStorage):
    """A storage that cannot be reached."""

    def __init__(self) -> None:
        super().__init__()
        self.failures["exists"] = self.failures["open"] = ConnectionError("gone")

    def listdir(self, path: str) -> Any:
        """Fail as all else does."""
        raise ConnectionError("gone")


class _Unlisted(RemoteStorage):
    def listdir(self, path: str) -> Any:
        raise NotImplementedError


@pytest.mark.usefixtures("database")
class TestVerify:
    """`generateimages --missing --verify`."""

    def test_verify_finds_what_is_gone_of_tags_as_well(
        self, group: Group, run: Run, name: str
    ) -> None:
        """What its record says enough of is made at once; the rest by the page that shows it."""

        @register.generator("tests:unfed")
        class Unfed(ImageSpec):
            processors = [ResizeToFit(50)]
            format = "WEBP"

        generate_many(files_of(group))
        unfed = get_image("tests:unfed", source=name)
        unfed.generate()
        small = render(TAG, name=name)
        before = cached()
        delete_cache()
        report = run("generateimages", "--missing", "--verify", "--json").document
        assert (report["made"], report["left_to_pages"]) == (5, 1)
        assert cached() == before - {small}
        assert render(TAG, name=name) == small
        assert cached() == before

    def test_verify_in_a_dry_run_only_lists(
        self, made: list[ImageCacheFile], run: Run, group: Group
    ) -> None:
        """Nothing is made, nor out of date."""
        delete_cache()
        report = run("generateimages", "--missing", "--verify", "--dry-run", "--json").document
        assert sorted(item["file"] for item in report["wanted"]) == sorted(
            str(file.name) for file in made
        )
        assert cached() == set()
        assert {record.status for _, record in DatabaseStateStore().iter_items()} == {Status.EXISTS}

    @pytest.mark.parametrize(
        "options",
        [("--verify",), ("--missing", "--verify", "--model=testapp.Photo")],
        ids=" ".join,
    )
    def test_verify_alone_makes_no_sense(self, run: Run, options: tuple[str, ...]) -> None:
        """It is a part of --missing, of everything."""
        error = run("generateimages", *options).error
        assert "Give --verify with --missing" in str(error)

    def test_verify_needs_states_that_can_be_listed(self, run: Run, settings: Any) -> None:
        """With a cache there is another command."""
        settings.IMAGEKIT_STATE_STORE = "cache"
        error = run("generateimages", "--missing", "--verify").error
        assert "manage.py forgetimages" in str(error)
