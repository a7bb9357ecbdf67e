"""Names that do not say whose image it is: never two images in one file."""

from __future__ import annotations

import asyncio
import io
import logging
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from PIL import Image

from imagekit_registry import ImageSpec, get_image, prefetch_images, register
from imagekit_registry.cachefiles import ImageCacheFile, existence, generate_many
from imagekit_registry.cachefiles.backends import BaseAsync, DatabaseImageCacheBackend
from imagekit_registry.cachefiles.bulk import Generation
from imagekit_registry.cachefiles.existence import known, new_record
from imagekit_registry.cachefiles.namers import CacheTo, source_name_and_field, source_name_dot_hash
from imagekit_registry.cachefiles.publishing import publish
from imagekit_registry.cachefiles.state import use_cachefile_state_cache
from imagekit_registry.cachefiles.strategies import Optimistic
from imagekit_registry.exceptions import NameTaken
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import CacheFileRecord, Status, get_state_access, state_scope
from imagekit_registry.testing import forget_state, wait_for_images
from tests.pages import elements, render
from tests.storages import CountingStorage

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "CACHE/images/photos/me_small.jpg"
COLOURS = {"red": (254, 0, 0), "blue": (0, 0, 254)}


class Small(ImageSpec):
    """A spec with the old file names."""

    processors = [ResizeToFill(20, 20)]
    format = "JPEG"
    namer = source_name_and_field


class Smaller(Small):
    """Another recipe."""

    processors = [ResizeToFill(10, 10)]


class Worker(BaseAsync):
    """A backend whose worker waits for the test."""

    def __init__(self) -> None:
        self.handed: list[Any] = []

    def schedule_generation(self, file: Any, force: bool = False) -> None:
        """Keep the file."""
        self.handed.append(file)


class AskingBackend:
    """A three-method backend as the old documentation has it."""

    def validate(self, file: Any) -> None:
        """Make what the storage does not have."""
        if not file.storage.exists(file.name):
            file.generate()

    def invalidate(self, file: Any) -> None:
        """Remove it."""
        file.delete()

    def clear(self, file: Any) -> None:
        """Remove it."""
        file.delete()


class Sources:
    """A group of two sources that would get one name."""

    names = ("photos/me.jpg", "photos/me.tiff")

    def files(self) -> Iterator[Any]:
        """Yield the sources."""
        return map(StoredFile, self.names)


@pytest.fixture(params=["cache", "database"], autouse=True)
def store(request: Any, settings: Any) -> str:
    """Keep the state in each store."""
    settings.IMAGEKIT_STATE_STORE = request.param
    settings.IMAGEKIT_ON_ERROR = "placeholder"
    return str(request.param)


@pytest.fixture(autouse=True)
def sources() -> Sources:
    """Put a red and a blue image into the storage, for two specs."""
    for name, colour in zip(Sources.names, COLOURS, strict=True):
        content = io.BytesIO()
        format = "JPEG" if name.endswith("jpg") else "TIFF"
        Image.new("RGB", (40, 40), colour).save(content, format, quality=100)
        assert storages["default"].save(name, ContentFile(content.getvalue())) == name
    register.generator("shop:card:small", Small)
    register.generator("shop:page:small", Smaller)
    return Sources()


def red(id: str = "shop:card:small") -> ImageCacheFile:
    """Return the file of the red source."""
    return get_image(id, source=Sources.names[0])


def blue(id: str = "shop:card:small") -> ImageCacheFile:
    """Return the file of the blue source."""
    return get_image(id, source=Sources.names[1])


def shown(file: ImageCacheFile) -> str:
    """Return the colour that a page shows as *file*; "stand-in" for what stands in."""
    url = file.url
    if not url.startswith("/media/"):
        return "stand-in"
    with Image.open(storages["default"].path(url.removeprefix("/media/"))) as image:
        pixel = image.convert("RGB").getpixel((5, 5))
    return next(name for name, colour in COLOURS.items() if pixel == colour)


def record() -> CacheFileRecord:
    """Return the one record that the store has of the name."""
    file = red()
    key = file.cachefile_backend.get_key(file)
    found: CacheFileRecord = get_state_access().store.get_many([key])[key]
    return found


def lose_the_records(store: str) -> None:
    """Be a process that knows nothing, beside a store that knows nothing."""
    caches["default"].clear()
    file = red()
    get_state_access().drop([file.cachefile_backend.get_key(file)])
    forget_state()


@pytest.fixture
def made() -> CacheFileRecord:
    """Make the image of the red source, and return its record."""
    red().generate()
    forget_state()
    return record()


ASK: dict[str, Callable[[ImageCacheFile], Any]] = {
    "generate": lambda file: file.generate(),
    "generate by force": lambda file: file.generate(force=True),
    "make": lambda file: file._generate(),
    "open": lambda file: file.open(),
    "read": lambda file: file.read(),
    "many": lambda file: _raise(generate_many([file])),
    "many by force": lambda file: _raise(generate_many([file], force=True)),
    "what is missing": lambda file: _raise_result(
        Generation(missing_only=True, by_listing=True), file
    ),
}


def _raise(outcome: Any) -> None:
    (failure,) = outcome.failures
    raise failure.error


def _raise_result(pipeline: Generation, file: Any) -> None:
    (result,) = pipeline.run([[file]])
    assert result.error is not None
    raise result.error


class TestNameIsTaken:
    """The first image has the name; the second one gets an exception, and a page a stand-in."""

    @pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
    def test_the_second_source_of_a_name_is_refused(self, made: CacheFileRecord, ask: Any) -> None:
        """The message names both, and what to do; file and record of the first stay."""
        before = Path(storages["default"].path(NAME)).stat()
        with pytest.raises(NameTaken) as caught:
            ask(blue())
        assert str(caught.value).startswith(
            f"shop:card:small of 'photos/me.tiff': its file name '{NAME}' is taken by"
            " shop:card:small of 'photos/me.jpg'. Rename one of the two, or give"
        )
        after = Path(storages["default"].path(NAME)).stat()
        assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
        assert record() == made
        assert shown(red()) == "red"

    @pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
    def test_the_second_spec_of_a_name_is_refused(self, made: CacheFileRecord, ask: Any) -> None:
        """Two ids that differ only before their last segment are two images of one source."""
        with pytest.raises(NameTaken, match=r"shop:page:small of .* by shop:card:small of"):
            ask(red("shop:page:small"))
        assert record() == made
        assert red().width == 20

    def test_a_page_shows_a_stand_in_for_an_image_whose_name_is_taken(
        self, made: CacheFileRecord
    ) -> None:
        """Of the size that the image would have; the first one is shown as ever."""
        file = blue()
        assert shown(file) == "stand-in"
        assert (file.width, file.height) == (20, 20)
        assert file.shown().url.startswith("data:")
        assert shown(red()) == "red"
        assert record() == made

    def test_an_image_whose_name_is_taken_does_not_exist(self, made: CacheFileRecord) -> None:
        """Its state says why."""
        file = blue()
        assert not file.exists()
        assert file.state.status == Status.FAILED
        assert "is taken by shop:card:small of 'photos/me.jpg'" in file.state.error
        assert red().exists()
        assert record() == made

    def test_an_image_whose_name_is_taken_gives_no_path(self, made: CacheFileRecord) -> None:
        """Whoever opens the path would read another image."""
        with pytest.raises(
            FileNotFoundError, match=r"shop:card:small: no image of photos/me\.tiff"
        ):
            assert blue().path

    def test_what_the_second_leaves_behind_is_not_the_first(self, made: CacheFileRecord) -> None:
        """Deleting it, or changing its source, leaves the file that it has not got."""
        blue().delete()
        assert record() == made
        assert shown(red()) == "red"
        red().delete()
        assert not storages["default"].exists(NAME)

    def test_a_row_in_the_database_is_not_marked_as_not_valid(self) -> None:
        """The three-method backend that keeps rows leaves that of the other image."""
        backend = DatabaseImageCacheBackend()
        first = ImageCacheFile(red().generator, cachefile_backend=backend)
        second = ImageCacheFile(blue().generator, cachefile_backend=backend)
        assert shown(first) == "red"
        before = known(first)
        assert shown(second) == "stand-in"
        backend.invalidate(second)
        forget_state()
        assert known(first) == before
        backend.invalidate(first)
        assert known(first) is None

    def test_a_conflict_is_logged_once(
        self, made: CacheFileRecord, tmp_path: Path, caplog: Any, settings: Any
    ) -> None:
        """A page that shows such an image is not slow for ever, and fills no log."""
        asked: list[str] = []
        storage = storages["default"]

        class Asked(FileSystemStorage):
            def exists(self, name: str) -> bool:
                asked.append(name)
                return super().exists(name)

        storage.__class__ = Asked
        existence._log_once.cache_clear()
        with caplog.at_level(logging.INFO, "imagekit_registry"):
            for _ in range(3):
                assert shown(blue()) == "stand-in"
        assert asked == []
        assert [entry.message.partition(":")[0] for entry in caplog.records] == ["shop"]

    def test_a_warm_page_asks_nobody(self, made: CacheFileRecord, tmp_path: Path) -> None:
        """The look at source and registry comes after the digests have differed."""
        storage = CountingStorage(location=tmp_path / "cache")
        source = StoredFile(
            Sources.names[0], CountingStorage(location=storages["default"].path(""))
        )
        file = ImageCacheFile(Small(source), storage=storage)
        assert file.url
        storage.calls.clear()
        source.storage.calls.clear()  # type: ignore[attr-defined]
        again = ImageCacheFile(Small(source), storage=storage)
        assert (again.width, again.height) == (20, 20)
        assert again.url
        assert dict(storage.calls) == {"url": 1}
        assert not source.storage.calls  # type: ignore[attr-defined]

    def test_a_warm_page_compares_digests_once(
        self, made: CacheFileRecord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """For URL, width and height together."""
        asked: list[Any] = []
        write_recipe = ImageSpec._recipe_text

        def count(spec: ImageSpec, *args: Any) -> str:
            asked.append(spec)
            return write_recipe(spec, *args)

        monkeypatch.setattr(ImageSpec, "_recipe_text", count)
        file = red()
        assert (file.width, file.height, shown(file)) == (20, 20, "red")
        assert len(asked) <= 1

    def test_the_same_recipe_under_another_id_is_the_same_image(
        self, made: CacheFileRecord
    ) -> None:
        """Whoever looks, and whoever makes it anew."""
        register.generator("shop:third:small", Small)
        file = red("shop:third:small")
        assert file.exists()
        assert generate_many([file], force=True).made == (file,)
        assert shown(red()) == "red"

    def test_a_dry_run_tells_that_a_name_is_taken(self, made: CacheFileRecord) -> None:
        """What would be refused would not be made."""
        results = list(Generation(force=True, dry_run=True).run([[red(), blue()]]))
        assert {result.position: result.status for result in results} == {0: "wanted", 1: "failed"}

    def test_two_images_of_one_name_are_not_equal(self) -> None:
        """Though their names are; and each equals itself, whoever has built it."""
        assert red() == red()
        assert red() != blue()
        assert red() != red("shop:page:small")
        assert pickle.loads(pickle.dumps(red())) == red()
        assert not pickle.loads(pickle.dumps(blue())).identity.name_is_unique

    def test_a_pickle_holds_no_record(self, made: CacheFileRecord) -> None:
        """A later version, which reads it from a cache, may have other fields."""
        file = red()
        assert shown(file) == "red"
        assert b"CacheFileRecord" not in pickle.dumps(file)


class TestNameIsFree:
    """Who has no use for the name any more leaves it to others."""

    def test_a_name_is_free_when_the_file_is_deleted(self, made: CacheFileRecord) -> None:
        """As strategies do when a row has gone."""
        red().delete()
        assert shown(blue()) == "blue"
        assert shown(red()) == "stand-in"

    def test_a_name_is_not_free_while_the_storage_does_not_answer(
        self, made: CacheFileRecord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A storage that does not answer does not say that the source has gone."""

        def fail(name: str) -> bool:
            raise ConnectionError("no route")

        monkeypatch.setattr(storages["default"], "exists", fail)
        with pytest.raises(NameTaken):
            blue().generate()
        assert record() == made

    def test_a_name_is_not_free_while_a_spec_without_an_id_may_be_used(self) -> None:
        """A class that can be imported may be used by any code."""
        first = ImageCacheFile(Small(Sources.names[0]))
        first.generate()
        with pytest.raises(NameTaken, match=rf"is taken by {__name__}\.Small of 'photos/me\.jpg'"):
            blue().generate()
        assert shown(first) == "red"

    def test_a_name_is_not_free_while_the_name_of_another_object_is_not_known(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A recipe that depends on the object that has the source may have given the name."""

        class Fickle(Small):
            @property
            def format(self) -> str:  # type: ignore[override]
                return "WEBP" if type(self.source) is StoredFile else "JPEG"

        class Owned(StoredFile):
            pass

        register.generator("shop:sheet:small", Fickle)
        first = get_image("shop:sheet:small", source=Owned(Sources.names[0]))
        assert (first.name, shown(first)) == (NAME, "red")
        with pytest.raises(NameTaken):
            blue().generate()

    def test_a_name_is_free_for_a_stored_source_after_an_upload_of_its_name(self) -> None:
        """A file in memory lies nowhere: its image has a name by its content."""
        with storages["default"].open(Sources.names[1]) as file:
            upload = ContentFile(file.read(), "photos/me.tiff")
        first = get_image("shop:card:small", source=upload)
        assert (first.name == NAME, shown(first)) == (False, "blue")
        assert shown(red()) == "red"
        assert shown(get_image("shop:card:small", source=upload)) == "blue"

    def test_a_name_is_free_for_an_upload_after_a_stored_source_has_gone(
        self, made: CacheFileRecord
    ) -> None:
        """The storage of the other source can be asked, though this one has none."""
        with storages["default"].open(Sources.names[1]) as file:
            upload = ContentFile(file.read(), "photos/me.tiff")
        storages["default"].delete(Sources.names[0])
        assert shown(get_image("shop:card:small", source=upload)) == "blue"

    def test_a_name_is_free_for_a_changed_recipe_of_the_same_spec(
        self, made: CacheFileRecord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is the same image, made anew."""
        monkeypatch.setattr(Small, "processors", [ResizeToFill(15, 15)])
        assert red().width == 15
        assert shown(red()) == "red"


class TestWithoutARecord:
    """What is not recorded is not there: the name does not say whose image it is."""

    def test_a_file_without_a_record_counts_as_missing(
        self, made: CacheFileRecord, store: str
    ) -> None:
        """Losing the cache costs time, and shows nobody another one's image."""
        lose_the_records(store)
        assert not red().exists()
        assert shown(blue()) == "blue"
        assert shown(red()) == "stand-in"

    @pytest.mark.parametrize("strategy", [Optimistic, {}], ids=["optimistic", "none"])
    def test_a_strategy_that_relies_on_a_file_without_a_record_gets_it_made(
        self, made: CacheFileRecord, store: str, strategy: Any
    ) -> None:
        """No look at the storage could tell; so it is made, or another image would be shown."""
        lose_the_records(store)

        def relying(file: ImageCacheFile) -> ImageCacheFile:
            return ImageCacheFile(file.generator, cachefile_strategy=strategy)

        assert shown(relying(blue())) == "blue"
        assert shown(relying(red())) == "stand-in"
        with pytest.raises(NameTaken):
            relying(red()).read()

    def test_a_file_without_a_record_is_missing_to_a_three_method_backend_too(
        self, made: CacheFileRecord, store: str
    ) -> None:
        """The storage has a file of the name, and does not know whose."""
        file = ImageCacheFile(blue().generator, cachefile_backend=AskingBackend())
        assert shown(file) == "stand-in"
        lose_the_records(store)
        assert shown(file) == "blue"

    def test_a_batch_makes_files_without_a_record(
        self, made: CacheFileRecord, store: str, sources: Sources
    ) -> None:
        """Also where the storage, asked by the folder, decides what that is."""
        lose_the_records(store)
        results = Generation(missing_only=True, by_listing=True).run([[red()]])
        assert [result.status for result in results] == ["made"]
        assert record().status == Status.EXISTS

    def test_an_image_is_not_recorded_by_looking_for_another(self, store: str) -> None:
        """Who has read that nothing is known does not write so over what was made meanwhile."""
        with state_scope():
            file = blue()
            assert known(file) is None
            other = red()
            get_state_access().store.set_many(
                {other.cachefile_backend.get_key(other): _existing(other)}
            )
            assert not file.exists()
            assert (file.width, file.height) == (20, 20)
        assert record() == _existing(red())

    @pytest.mark.parametrize("act", ["delete", "generate by force"])
    def test_what_another_process_has_recorded_comes_first(
        self, made: CacheFileRecord, act: str
    ) -> None:
        """What this one remembers may have been true until a moment ago."""
        first, second = red(), blue()
        assert first.exists()
        theirs = _existing(second)
        key = first.cachefile_backend.get_key(first)
        get_state_access().store.set_many({key: theirs})
        if act == "delete":
            first.delete()
        else:
            with pytest.raises(NameTaken):
                first.generate(force=True)
        assert record() == theirs
        assert storages["default"].exists(NAME)

    def test_a_spec_that_names_its_files_itself_needs_no_record(self) -> None:
        """Whatever the namer of the settings may be."""

        class Own(Small):
            @property
            def cachefile_name(self) -> str:
                return f"own/{self.get_hash()}.jpg"

        assert ImageCacheFile(Own(Sources.names[0])).identity.name_is_unique
        assert not ImageCacheFile(Small(Sources.names[0])).identity.name_is_unique

    def test_names_that_say_whose_they_are_keep_to_the_storage(self, store: str) -> None:
        """An explicit name, or one that says recipe and source, needs no record."""
        explicit = ImageCacheFile(red().generator, name="CACHE/images/explicit.jpg")
        explicit.generate()
        named = ImageCacheFile(Small(Sources.names[0]), name=source_name_dot_hash(red().generator))
        named.generate()
        caches["default"].clear()
        for file in (explicit, named):
            get_state_access().drop([file.cachefile_backend.get_key(file)])
            assert file.identity.name_is_unique
            assert file.exists()

    def test_names_in_a_folder_of_old_ones_need_a_record_too(self) -> None:
        """``cache_to`` may be a folder, or a callable that says so of itself."""

        def named(instance: Any, path: str, specname: str, extension: str) -> str:
            return "thumbs/one.jpg"

        assert CacheTo("thumbs").needs_record
        assert not CacheTo(named).needs_record
        named.needs_record = True  # type: ignore[attr-defined]
        assert CacheTo(named).needs_record


def _existing(file: ImageCacheFile) -> CacheFileRecord:
    record: CacheFileRecord = new_record(file, Status.EXISTS, width=20, height=20)
    return record


class TestTogether:
    """Two images of one name in one batch."""

    @pytest.mark.parametrize("force", [False, True], ids=["", "force"])
    def test_of_two_images_of_one_name_the_first_is_made_and_the_second_refused(
        self, force: bool
    ) -> None:
        """Of two sources, and of two specs of one source."""
        files = [red(), blue(), red("shop:page:small")]
        outcome = generate_many(files, force=force)
        assert [id(file) for file in outcome.made] == [id(files[0])]
        assert [id(failure.file) for failure in outcome.failures] == [id(files[1]), id(files[2])]
        assert {type(failure.error) for failure in outcome.failures} == {NameTaken}
        assert shown(red()) == "red"

    @pytest.mark.parametrize("jobs", [1, 4])
    def test_the_second_image_of_a_name_is_refused_with_several_jobs_too(self, jobs: int) -> None:
        """Also when records are written down late."""
        files = [red(), blue()] * 3
        results = list(Generation(jobs=jobs, remember_every=100).run([files[:2], files[2:]]))
        assert sorted(result.status for result in results) == ["existing"] * 2 + ["failed"] * 3 + [
            "made"
        ]
        assert shown(red()) == "red"
        assert record().source == Sources.names[0]

    def test_a_page_shows_one_image_and_one_stand_in(self) -> None:
        """In a batch, for the first visitor, for those after, and in a process that knows nothing."""
        register.source_group("shop:card:small", Sources())
        page = (
            "{% imagebatch %}{% generateimage 'shop:card:small' source=first %}"
            "{% generateimage 'shop:card:small' source=second %}{% endimagebatch %}"
        )
        for _ in range(2):
            for _ in range(2):
                html = render(page, first=Sources.names[0], second=Sources.names[1])
                first, second = elements(html)
                assert first["src"] == f"/media/{NAME}"
                assert second["src"].startswith("data:")
                assert (second["width"], second["height"]) == ("20", "20")
            forget_state()
        assert shown(red()) == "red"

    def test_states_that_were_fetched_before_say_whose_image_it_is(
        self, made: CacheFileRecord
    ) -> None:
        """One record answers for both, and says whose image it is."""

        class Row:
            def __init__(self, small: ImageCacheFile) -> None:
                self.small = small

        with state_scope():
            first, second = prefetch_images([Row(red()), Row(blue())], "small")
            assert shown(first.small) == "red"
            assert shown(second.small) == "stand-in"

    def test_words_in_a_state_cache_do_not_say_whose_image_exists(
        self, made: CacheFileRecord
    ) -> None:
        """They are by name, and cannot say whose image exists."""
        with use_cachefile_state_cache():
            assert red().exists()
            assert not blue().exists()

    # Django lets nobody ask a database in an event loop.
    @pytest.mark.parametrize("store", ["cache"], indirect=True)
    def test_an_event_loop_starts_no_thread_for_an_image_that_is_refused(
        self, made: CacheFileRecord
    ) -> None:
        """No thread is started for an image that is refused."""

        async def ask() -> Any:
            outcome = generate_many([red(), blue()])
            return outcome, blue().url

        outcome, url = asyncio.run(ask())
        wait_for_images()
        assert [type(failure.error) for failure in outcome.failures] == [NameTaken]
        assert not outcome.made
        assert url.startswith("data:")
        assert record() == made


class TestWorkers:
    """Images that a worker makes."""

    def test_what_is_on_its_way_is_not_shown_yet(self, made: CacheFileRecord, store: str) -> None:
        """Under its URL there may be another image; it is shown when it is there."""
        lose_the_records(store)
        worker = Worker()
        file = ImageCacheFile(blue().generator, cachefile_backend=worker)
        for _ in range(2):
            assert shown(file) == "stand-in"
        assert worker.handed == [file]
        worker.generate_now(file)
        assert shown(file) == "blue"

    def test_a_changed_recipe_is_handed_over_once(
        self, made: CacheFileRecord, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is on its way is known to be, though it will take another one's place."""
        monkeypatch.setattr(Small, "processors", [ResizeToFill(15, 15)])
        worker = Worker()
        for _ in range(3):
            ImageCacheFile(red().generator, cachefile_backend=worker).generate()
        assert len(worker.handed) == 1

    def test_a_name_that_is_taken_is_not_handed_over(self, made: CacheFileRecord) -> None:
        """That it is on its way is not written over the record of the first."""
        worker = Worker()
        file = ImageCacheFile(blue().generator, cachefile_backend=worker)
        with pytest.raises(NameTaken):
            file.generate()
        assert shown(file) == "stand-in"
        assert worker.handed == []
        assert record() == made

    def test_what_was_made_meanwhile_is_not_on_its_way(self) -> None:
        """Who has read that nothing is known asks once more before it hands a file over."""
        worker = Worker()
        with state_scope():
            second = ImageCacheFile(blue().generator, cachefile_backend=worker)
            assert known(second) is None
            first = red()
            key = worker.get_key(first)
            worker.states.store.set_many({key: _existing(first)})
            with pytest.raises(NameTaken):
                second.generate()
        assert worker.handed == []
        assert record() == _existing(first)

    def test_an_image_is_not_recorded_as_on_its_way_while_another_is_made(
        self, caplog: Any, monkeypatch: Any
    ) -> None:
        """The maker of the first, who has the lock, has the last word."""
        worker = Worker()
        second = ImageCacheFile(blue().generator, cachefile_backend=worker)

        def publish_and_hand_over(*args: Any, **kwargs: Any) -> str:
            name = publish(*args, **kwargs)
            second.generate()
            key = worker.get_key(second)
            assert worker.states.store.get_many([key]) == {}
            return name

        with monkeypatch.context() as patch:
            patch.setattr("imagekit_registry.cachefiles.generation.publish", publish_and_hand_over)
            red().generate()
        assert not caplog.records
        assert worker.handed == [second]
        assert record().source == Sources.names[0]
        with pytest.raises(NameTaken):
            worker.generate_now(second)
        assert shown(red()) == "red"


class TestRaces:
    """Two images that want one name at the same moment."""

    # With databases, `tests/faults/test_stampede.py` has processes do the same.
    @pytest.mark.parametrize("store", ["cache"], indirect=True)
    @pytest.mark.parametrize("together", [False, True], ids=["one by one", "many"])
    def test_one_of_two_images_that_race_for_a_name_gets_it(self, together: bool) -> None:
        """What is recorded is what is there, and nobody else is told that it is theirs."""
        barrier = threading.Barrier(8)

        def ask(number: int) -> str:
            file = (red, blue)[number % 2]()
            barrier.wait()
            try:
                if together:
                    _raise_first(generate_many([file]))
                else:
                    file.generate()
            except NameTaken:
                return "taken"
            return ("red", "blue")[number % 2]

        for _ in range(5):
            with ThreadPoolExecutor(8) as threads:
                answers = list(threads.map(ask, range(8)))
            (winner,) = set(answers) - {"taken"}
            assert answers.count(winner) == answers.count("taken") == 4
            assert shown({"red": red, "blue": blue}[winner]()) == winner
            assert shown({"red": blue, "blue": red}[winner]()) == "stand-in"
            {"red": red, "blue": blue}[winner]().delete()


def _raise_first(outcome: Any) -> None:
    for failure in outcome.failures:
        raise failure.error
