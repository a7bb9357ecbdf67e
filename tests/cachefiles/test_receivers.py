"""What becomes of cache files when their sources change and go."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.core.signals import request_finished
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from PIL import Image

from imagekit_registry import ImageSpec, get_image, register
from imagekit_registry.cachefiles import ImageCacheFile, namers
from imagekit_registry.cachefiles.deletion import Look
from imagekit_registry.cachefiles.strategies import EagerThenJustInTime, JustInTime, Strategy
from imagekit_registry.exceptions import UnreadableImage
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.signals import source_deleted
from imagekit_registry.specs import refer_to
from imagekit_registry.specs.sourcegroups import ImageFieldSourceGroup
from imagekit_registry.state import get_state_access
from imagekit_registry.testing import forget_state
from tests.pages import elements, render
from tests.storages import RemoteStorage
from tests.testapp.models import Album, AlbumPhoto, Concrete, ConcreteChild, Plain

pytestmark = pytest.mark.django_db(transaction=True)

TAGS = (
    "{% thumbnail '70x50' photo %}"
    "{% thumbnail '70x50' photo format='WEBP' %}"
    "{% generateimage 'tests:tag' source=photo %}"
)


class OverwritingStorage(FileSystemStorage):
    """A storage that puts a new file in the place of an old one, as many projects' do."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Make room for the new file."""
        self.delete(name)
        return name


class Tag(ImageSpec):
    """A spec that no field has."""

    processors = [ResizeToFill(33, 22)]
    format = "JPEG"


@pytest.fixture(params=["cache", "database", "database, cloud"])
def state(request: Any, settings: Any) -> str:
    """Keep the state in each store; files in a storage that cannot list need the ledger."""
    store, _, cloud = request.param.partition(", ")
    settings.IMAGEKIT_STATE_STORE = store
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": f"{__name__}.OverwritingStorage"},
        "cloud": {"BACKEND": "tests.storages.RemoteStorage"},
    }
    if cloud:
        settings.IMAGEKIT_DEFAULT_FILE_STORAGE = "cloud"
    register.generator("tests:tag", Tag)
    return str(request.param)


@pytest.fixture
def cached(state: str, media: Path) -> Callable[[], set[str]]:
    """Return a function that gives the names of all cache files."""

    def names() -> set[str]:
        if "cloud" in state:
            contents: dict[str, bytes] = storages["cloud"].contents  # type: ignore[attr-defined]
            return set(contents)
        folder = media / "CACHE"
        return {str(path.relative_to(media)) for path in folder.rglob("*") if path.is_file()}

    return names


def upload(colour: str, name: str = "a.jpg") -> ContentFile[bytes]:
    """Return an image of one colour."""
    content = io.BytesIO()
    Image.new("RGB", (160, 120), colour).save(content, "PNG" if name.endswith("png") else "JPEG")
    return ContentFile(content.getvalue(), name)


@pytest.fixture
def row(cached: Any) -> Concrete:
    """Return a saved row of which a page has shown fields, tags, and a tag of a field."""
    row = ConcreteChild.objects.create(
        image=upload("white"), album=Album.objects.create(title="all")
    )
    show(row)
    assert len(cached()) == 6
    forget_state()
    return ConcreteChild.objects.get(pk=row.pk)


def show(row: Any) -> list[Any]:
    page = TAGS + "{% thumbnail '9x9' row.small %}"
    html = render(page, row=row, photo=row.image)
    assert row.small.url
    assert row.implicit.url
    return elements(html)


def is_dark(file: ImageCacheFile) -> bool:
    with file.open() as opened, Image.open(opened) as image:
        return image.convert("L").resize((1, 1)).getpixel((0, 0)) == 0


class TestGone:
    """Whatever was made of an image goes with it: by fields, by tags, of what fields made."""

    @pytest.mark.parametrize(
        "remove",
        [
            pytest.param(lambda row: row.delete(), id="deleted"),
            pytest.param(lambda row: ConcreteChild.objects.all().delete(), id="by a queryset"),
            pytest.param(lambda row: row.album.delete(), id="by a cascade"),
            pytest.param(lambda row: save(row, image=""), id="cleared"),
            pytest.param(lambda row: save(row, image=upload("white", "b.png")), id="replaced"),
            pytest.param(lambda row: save(row, ["image"], image=""), id="by update_fields"),
        ],
    )
    def test_files_go_after_the_commit_and_never_on_a_rollback(
        self, row: Concrete, cached: Any, remove: Callable[[Any], None]
    ) -> None:
        """The page goes on showing what a rollback has kept."""
        before = cached()
        with transaction.atomic():
            remove(ConcreteChild.objects.get(pk=row.pk))
            assert cached() == before
            transaction.set_rollback(True)
        assert cached() == before
        with transaction.atomic():
            remove(row)
            assert cached() == before
        assert cached() == set()

    def test_files_of_others_stay(self, row: Concrete, cached: Any) -> None:
        """Also those that share the folder, or were put there by somebody else."""
        others = [
            get_image("tests:tag", source=storages["default"].save(name, upload("white")))
            for name in ("abstract/a.png", "abstract/ab.jpg", "a.jpg")
        ]
        for file in others:
            file.generate()
        row.delete()
        assert cached() == {file.name for file in others}

    def test_images_of_two_sources_that_share_a_folder_go_together(
        self, row: Concrete, cached: Any
    ) -> None:
        """A PNG beside a JPEG of its name, deleted in one transaction."""
        other = Concrete.objects.create(image=upload("white", "a.png"))
        show(other)
        folders = {namers.folder_of(str(each.image)) for each in (row, other)}
        assert len(folders) == 1
        with transaction.atomic():
            row.delete()
            other.delete()
        assert cached() == set()

    def test_a_row_that_is_saved_for_another_reason_changes_nothing(
        self, row: Concrete, cached: Any
    ) -> None:
        """Nor does `update_fields` without the image."""
        before = cached()
        row.title = "x"
        row.save()
        save(row, ["title"], image="")
        assert cached() == before

    def test_strategies_decide_whether_files_go_with_their_source(
        self, row: Concrete, cached: Any, settings: Any
    ) -> None:
        """One that is not interested in sources that go keeps the files."""
        before = cached()
        settings.IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY = f"{__name__}.keeping"
        row.delete()
        assert cached() == before

    def test_files_of_many_sources_are_found_by_one_look(
        self, row: Concrete, state: str, django_assert_num_queries: Any
    ) -> None:
        """For any number of sources: by one query where the store is a ledger."""
        sources = {str(each): each for each in map(refer_to, (row.image, row.small))}
        with django_assert_num_queries(0 if state == "cache" else 1):
            assert len(Look().find(sources)) == 6

    def test_specs_of_fields_are_told_once(self, row: Concrete, settings: Any) -> None:
        """Though several groups have the image, and the ledger knows all files."""
        told.clear()
        settings.IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY = f"{__name__}.telling"
        row.delete()
        assert sorted(name for name in told if name.startswith("testapp:")) == [
            "testapp:abstractphoto:implicit",
            "testapp:abstractphoto:small",
        ]


told: list[str] = []
telling = {"on_source_deleted": lambda file: told.append(file.spec_id)}
keeping = {"on_existence_required": lambda file: file.generate()}


class TestMany:
    """Many rows in one transaction."""

    @pytest.fixture
    def rows(self, cached: Any) -> list[ConcreteChild]:
        """Return twenty rows whose images a page has shown."""
        rows = [
            ConcreteChild.objects.create(image=upload("white", f"{number}.jpg"))
            for number in range(20)
        ]
        for row in rows:
            assert row.small.url
            assert row.implicit.url
        return rows

    def test_rows_that_are_deleted_together_cost_a_few_queries(
        self, rows: list[ConcreteChild], state: str, cached: Any
    ) -> None:
        """The records of all are looked for, marked and removed at once, as far as they lie in a database."""
        with CaptureQueriesContext(connection) as queries:
            ConcreteChild.objects.all().delete()
        asked = [query["sql"] for query in queries if "cachefilerecordrow" in query["sql"]]
        assert len(asked) == (4 if "database" in state else 0)
        assert not cached()

    def test_only_what_is_committed_goes(self, rows: list[ConcreteChild], cached: Any) -> None:
        """What a savepoint has brought back stays, the last as well as the first."""
        left = {str(rows[0].small.name), str(rows[19].small.name)}
        with transaction.atomic():
            with suppress(RuntimeError), transaction.atomic():
                rows[0].delete()
                raise RuntimeError
            for row in rows[1:19]:
                row.delete()
            with suppress(RuntimeError), transaction.atomic():
                rows[19].delete()
                raise RuntimeError
        assert {name for name in cached() if name.endswith("png")} >= left
        assert len(cached()) == 4

    def test_a_receiver_that_fails_keeps_no_images_of_the_rows_before_it(
        self, rows: list[ConcreteChild], cached: Any
    ) -> None:
        """Django calls no callback after one that has failed."""

        def fail(source: Any, **kwargs: Any) -> None:
            if source.name == rows[10].image.name:
                raise RuntimeError("a project's own")

        source_deleted.connect(fail)
        try:
            with pytest.raises(RuntimeError, match="a project's own"):
                ConcreteChild.objects.all().delete()
        finally:
            source_deleted.disconnect(fail)
        assert len(cached()) <= 40 - 2 * 10


class TestNew:
    """Rows whose image nobody has seen yet."""

    def test_a_new_row_costs_one_query_and_no_call_of_a_storage(
        self, state: str, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a new name nothing is known, and so there is nothing to remove."""
        deleted: list[str] = []
        storage = storages["cloud" if "cloud" in state else "default"]
        row = Concrete()
        row.image.save("new.jpg", upload("white"), save=False)
        monkeypatch.setattr(type(storage), "delete", lambda self, name: deleted.append(name))
        with CaptureQueriesContext(connection) as queries:
            row.save()
        asked = [query["sql"] for query in queries if "cachefilerecordrow" in query["sql"]]
        assert len(asked) == (1 if "database" in state else 0)
        assert deleted == []


@pytest.mark.usefixtures("cached")
def test_a_generator_that_takes_its_source_from_elsewhere_is_told() -> None:
    """What it calls its source need not be what the group has announced."""

    def other(source: Any) -> ImageSpec:
        return Tag(source="elsewhere.jpg")

    register.generator("tests:other", other)
    register.source_group("tests:other", ImageFieldSourceGroup(Plain, "image"))
    plain = Plain.objects.create(image=upload("white"))
    plain.delete()
    assert not Plain.objects.exists()


def save(row: Any, update_fields: list[str] | None = None, **values: Any) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.save(update_fields=update_fields)


class TestReplaced:
    """A new image under the very same name."""

    def test_a_replaced_source_is_what_every_image_is_made_of_from_then_on(
        self, row: Concrete, cached: Any
    ) -> None:
        """The URLs stay, and whoever asks for them gets the new image."""
        before = cached()
        urls = [img["src"] for img in show(row)]
        assert not is_dark(get_image("tests:tag", source=row.image))
        save(row, image=upload("black"))
        assert row.image.name == "abstract/a.jpg"
        assert cached() == set()
        assert [img["src"] for img in show(row)] == urls
        assert cached() == before
        for file in (
            row.small,
            get_image("tests:tag", source=row.image),
            get_image("imagekit:thumbnail", source=row.image, width=70, height=50),
            get_image("imagekit:thumbnail", source=row.small, width=9, height=9),
        ):
            assert is_dark(file), file.name

    def test_images_of_a_replaced_source_are_made_at_once_where_they_can_be(
        self, row: Concrete, cached: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A tag's spec that needs nothing but the source has a strategy as others do."""
        monkeypatch.setattr(Tag, "cachefile_strategy", EagerThenJustInTime)
        save(row, image=upload("black"))
        file = get_image("tests:tag", source=row.image)
        assert cached() == {file.published_name}
        assert is_dark(file)

    def test_a_replaced_source_leaves_no_former_image_if_a_developer_is_shown_an_error(
        self, row: Concrete, cached: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
    ) -> None:
        """What tags made goes, though what a field makes of the new image is an error."""
        settings.IMAGEKIT_ON_ERROR = "raise"
        monkeypatch.setattr(type(row.small.generator), "cachefile_strategy", EagerThenJustInTime)
        with pytest.raises(UnreadableImage):
            save(row, image=ContentFile(b"no image", "a.jpg"))
        tagged = get_image("tests:tag", source=row.image)
        assert tagged.name not in cached()

    def test_a_broken_source_that_is_replaced_leaves_no_failure(self, row: Concrete) -> None:
        """The fallback was shown for another minute, for there was no file to find the record by."""
        save(row, image=ContentFile(b"no image", "a.jpg"))
        assert Concrete.objects.get().small.url.startswith("data:")
        save(row, image=upload("black"))
        assert is_dark(Concrete.objects.get().small)

    def test_an_image_of_a_replaced_source_has_a_new_validator(
        self, row: Concrete, state: str
    ) -> None:
        """Browsers that ask whether their copy is good are told that it is not."""
        if "cloud" not in state:
            path = Path(row.small.path)
            os.utime(path, (1_000_000_000, 1_000_000_000))
        url, before = row.small.url, _validator(row.small)
        save(row, image=upload("black"))
        assert row.small.url == url
        assert _validator(row.small) != before


@pytest.mark.parametrize("is_forgotten", [False, True], ids=["recorded", "forgotten"])
@pytest.mark.parametrize("format", ["smallest", "auto"])
class TestChosenFormats:
    """Images that lie under another name than their specs give them."""

    @pytest.fixture
    def row(self, cached: Any, format: str, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Return a saved row whose image was published with the extension of its format."""
        monkeypatch.setattr(type(Concrete().small.generator), "format", format)
        row = Concrete.objects.create(image=_transparent((255, 255, 255, 200)))
        assert row.small.url
        assert row.small.published_name != row.small.name
        return row

    def test_a_replaced_source_is_what_is_shown(
        self, row: Concrete, state: str, is_forgotten: bool
    ) -> None:
        """The former file was neither deleted nor found to be older than its source."""
        if is_forgotten and "cloud" in state:
            pytest.skip("nobody asks a cloud for the times of files")
        if is_forgotten:
            os.utime(row.small.path, (1_000_000_000, 1_000_000_000))
            get_state_access().drop([row.small.identity.key])
        save(row, image=_transparent((0, 0, 0, 200)))
        assert is_dark(Concrete.objects.get().small)

    def test_nothing_of_a_deleted_source_is_left(
        self, row: Concrete, cached: Any, is_forgotten: bool
    ) -> None:
        """The file went on to be public."""
        if is_forgotten:
            get_state_access().drop([row.small.identity.key])
        row.delete()
        assert cached() == set()


def _transparent(colour: tuple[int, int, int, int]) -> ContentFile[bytes]:
    content = io.BytesIO()
    Image.new("RGBA", (160, 120), colour).save(content, "PNG")
    return ContentFile(content.getvalue(), "a.png")


def _validator(file: ImageCacheFile) -> object:
    """Return what servers make validators of: a cloud of the content, others of times."""
    if isinstance(file.storage, RemoteStorage):
        return file.storage.contents[file.published_name]
    return Path(file.path).stat().st_mtime


class TestReplacedWithinATransaction:
    """The file is the new one as soon as the row is saved, and no rollback takes that back."""

    @pytest.mark.parametrize("ends", ["commit", "rollback"])
    def test_an_image_replaced_in_a_transaction_is_shown_at_once_and_after_it(
        self, row: Concrete, cached: Any, ends: str
    ) -> None:
        """By fields, by tags, and in what a `save()` of the project's stores of them."""
        with transaction.atomic():
            save(row, image=upload("black"))
            show(row)
            assert is_dark(row.small)
            assert is_dark(get_image("tests:tag", source=row.image))
            transaction.set_rollback(ends == "rollback")
        self.check(row)

    def test_an_image_replaced_in_a_transaction_is_shown_after_a_rollback_by_who_looks_first(
        self, row: Concrete
    ) -> None:
        """Nobody has looked within the transaction, and another process looks after it."""
        with transaction.atomic():
            save(row, image=upload("black"))
            transaction.set_rollback(True)
        request_finished.send(type(self))
        forget_state()
        self.check(row)

    def test_an_image_replaced_twice_in_a_transaction_is_shown_each_time(
        self, row: Concrete
    ) -> None:
        """Also if a tag has shown it for the first time between the two."""
        with transaction.atomic():
            save(row, image=upload("black"))
            file = get_image("imagekit:thumbnail", source=row.image, width=8, height=8)
            assert is_dark(file)
            save(row, image=upload("white"))
            assert not is_dark(file)

    def check(self, row: Concrete) -> None:
        show(row)
        assert is_dark(row.small)
        for width, height in ((70, 50), (9, 9)):
            source = row.image if width == 70 else row.small
            file = get_image("imagekit:thumbnail", source=source, width=width, height=height)
            assert is_dark(file), file.name


class TestShared:
    """Several rows may name one file: a default image, a copy, a row of another model."""

    @pytest.fixture(params=["copy", "another model", "a field without specs"])
    def other(self, request: Any, row: Concrete) -> Any:
        """Return another row that names the image of the first."""
        if request.param == "copy":
            made = ConcreteChild.objects.get(pk=row.pk)
            made.pk = made.id = None
            made._state.adding = True
            made.save()
            return made
        if request.param == "another model":
            return AlbumPhoto.objects.create(image=row.image.name)
        return Plain.objects.create(image=row.image.name)

    @pytest.mark.parametrize(
        "remove",
        [
            pytest.param(lambda row: row.delete(), id="deleted"),
            pytest.param(lambda row: save(row, image=upload("white", "b.png")), id="replaced"),
            pytest.param(lambda row: save(row, image=""), id="cleared"),
        ],
    )
    def test_images_stay_until_no_row_names_the_file(
        self, row: Concrete, other: Any, cached: Any, remove: Callable[[Any], None]
    ) -> None:
        """Pages that are kept somewhere go on showing them."""
        show(row)
        before = cached()
        remove(row)
        assert before <= cached()
        other.delete()
        assert not before & cached()

    def test_images_of_a_shared_file_go_with_the_last_rows(
        self, row: Concrete, other: Any, cached: Any
    ) -> None:
        """Of one transaction."""
        with transaction.atomic():
            row.delete()
            other.delete()
        assert cached() == set()

    def test_rows_are_asked_for_once_for_all_that_go(self, row: Concrete) -> None:
        """One query for each column, however many rows are deleted."""

        def count(rows: int) -> int:
            ConcreteChild.objects.all().delete()
            for number in range(rows):
                ConcreteChild.objects.create(image=f"abstract/{number}.jpg")
            with CaptureQueriesContext(connection) as queries:
                ConcreteChild.objects.all().delete()
            return sum("DISTINCT" in query["sql"] for query in queries)

        assert count(20) == count(2) > 0

    def test_images_of_a_shared_file_stay_if_the_rows_cannot_be_asked(
        self, row: Concrete, cached: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
    ) -> None:
        """In doubt nothing is removed; it is told."""

        def fail(*args: Any) -> Any:
            raise DatabaseError("no table")

        monkeypatch.setattr("imagekit_registry.specs._rows._names_in_column", fail)
        before = cached()
        row.delete()
        assert cached() == before
        assert "no table" in caplog.text

    def test_models_without_a_table_name_nothing(self, row: Concrete, cached: Any) -> None:
        """One that is not migrated, or that a test has made, keeps nobody's images."""
        with connection.schema_editor() as editor:
            editor.delete_model(Plain)
        try:
            row.delete()
            assert cached() == set()
        finally:
            with connection.schema_editor() as editor:
                editor.create_model(Plain)


class TestTagsAlone:
    """A model without specs, whose images only tags show."""

    @pytest.fixture
    def plain(self, cached: Any) -> Plain:
        """Return a row whose image three tags have shown, to another process."""
        row = Plain.objects.create(image=upload("white"))
        render(TAGS, photo=row.image)
        assert len(cached()) == 3
        forget_state()
        return Plain.objects.get(pk=row.pk)

    @pytest.mark.parametrize(
        "remove",
        [
            pytest.param(lambda row: row.delete(), id="the row is deleted"),
            pytest.param(lambda row: row.image.delete(), id="the file is deleted"),
        ],
    )
    def test_what_was_made_of_an_image_goes_with_it(
        self, plain: Plain, cached: Any, remove: Callable[[Any], None]
    ) -> None:
        """Nothing has to be registered for that."""
        remove(plain)
        assert cached() == set()

    def test_an_image_under_the_same_name_is_shown(self, plain: Plain) -> None:
        """A storage that overwrites is the default of some clouds."""
        save(plain, image=upload("black"))
        assert plain.image.name == "plain/a.jpg"
        render(TAGS, photo=plain.image)
        assert is_dark(get_image("tests:tag", source=plain.image))

    def test_a_name_that_a_rollback_has_freed_is_shown_anew(self, cached: Any) -> None:
        """What the transaction has shown was of another image."""
        with transaction.atomic():
            row = Plain.objects.create(image=upload("white"))
            render(TAGS, photo=row.image)
            transaction.set_rollback(True)
        row = Plain.objects.create(image=upload("black"))
        render(TAGS, photo=row.image)
        assert is_dark(get_image("tests:tag", source=row.image))

    def test_a_group_that_feeds_no_spec_is_told_once(self, plain: Plain, cached: Any) -> None:
        """Whoever has said that a model is to be watched need not change it."""
        ImageFieldSourceGroup.shared(Plain, "image")
        plain.delete()
        assert cached() == set()


@pytest.mark.parametrize("strategy", [JustInTime, Strategy])
def test_a_strategy_that_is_a_property_is_asked(
    row: Concrete, monkeypatch: pytest.MonkeyPatch, strategy: type[Strategy]
) -> None:
    """The property itself was taken for a strategy, and no row could be deleted."""
    monkeypatch.setattr(Tag, "cachefile_strategy", property(lambda self: strategy()))
    file = get_image("tests:tag", source=row.image)
    row.delete()
    assert file.storage.exists(file.published_name) == (strategy is Strategy)


@pytest.mark.parametrize("processors", [None, [lambda image: image]], ids=["fails", "lambda"])
def test_a_spec_whose_own_code_fails_keeps_no_row_from_changing(
    row: Concrete, cached: Any, monkeypatch: pytest.MonkeyPatch, processors: Any
) -> None:
    """The exception left `save` and `delete`, after the commit; so did that of a lambda."""

    def fail(self: object) -> Any:
        raise KeyError("row has no size")

    monkeypatch.setattr(type(row.small.generator), "processors", processors or property(fail))
    save(row, image=upload("black"))
    save(Concrete(image=upload("black", "b.jpg")))
    assert is_dark(row.implicit)
    row.delete()
    assert cached() == set()


def test_a_ledger_that_does_not_answer_breaks_nothing(
    row: Concrete, state: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """The row is saved; one line says what has failed."""
    from imagekit_registry.state import DatabaseStateStore

    def fail(*args: Any) -> Any:
        raise ConnectionError("no database")

    monkeypatch.setattr(DatabaseStateStore, "by_source", fail)
    save(row, image=upload("black"))
    assert is_dark(row.small)
    complaints = [message for message in caplog.messages if "no database" in message]
    assert len(complaints) == (state != "cache")


def test_a_file_that_cannot_be_removed_is_told(
    row: Concrete, state: str, cached: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """The row is deleted, and each file that is left over is named, or its spec and source."""
    storage: Any = ImageCacheFile(Tag(row.image)).storage

    def fail(name: str) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(storage, "delete", fail)
    before = cached()
    row.delete()
    assert cached() == before
    told = {message for message in caplog.messages if "read-only" in message}
    assert len(told) == len(before)
