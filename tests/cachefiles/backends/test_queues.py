"""Backends that tell workers through queues."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import caches
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction

from imagekit_registry._breaker import breaker_of
from imagekit_registry.cachefiles import ImageCacheFile, generate_many, get_image
from imagekit_registry.cachefiles.backends import (
    RQ,
    Async,
    Celery,
    Dramatiq,
    QueueBackend,
    Tasks,
    load_backend,
)
from imagekit_registry.cachefiles.threads import run_in_background
from imagekit_registry.exceptions import (
    GenerationError,
    InvalidFileBackendError,
    InvalidMessage,
    SourceUnavailable,
    how_to_install,
)
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.signals import generation_failed
from imagekit_registry.specs import ImageSpec
from imagekit_registry.state import StateAccess, get_state_access
from imagekit_registry.testing import forget_state, wait_for_images
from imagekit_registry.workers import make_images
from tests.conftest import require_service
from tests.pages import Banner, elements, registered, render, served
from tests.settings import _is_up
from tests.testapp.models import Photo


class ListQueue(QueueBackend):
    """A queue in a list, whose messages went through JSON."""

    requires = ("json",)
    extra = "test"

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Any] = []
        self.error: Exception | None = None
        self.tries = 0

    def send(self, message: dict[str, Any]) -> None:
        self.tries += 1
        if self.error is not None:
            raise self.error
        self.messages.append(json.loads(json.dumps(message)))

    def work(self) -> None:
        """Be the worker, until the queue is empty."""
        while self.messages:
            forget_state()
            make_images(self.messages.pop(0))


@pytest.fixture(autouse=True)
def no_memory() -> Iterator[None]:
    """Let no test know of the queues that failed in another."""
    forget_state()
    yield
    forget_state()


@pytest.fixture
def queue(monkeypatch: Any) -> ListQueue:
    """Return the backend that every spec uses in a test."""
    queue = ListQueue()
    monkeypatch.setattr(ImageSpec, "cachefile_backend", queue)
    return queue


@pytest.fixture
def name(stored_photo: Any) -> str:
    """Return the name of a stored photograph."""
    return str(stored_photo())


@pytest.fixture
def banner(queue: ListQueue) -> Iterator[str]:
    """Return the id of a spec whose images workers make."""
    with registered(banner=Banner):
        yield "tests:banner"


@contextmanager
def logged_failures(into: list[str]) -> Iterator[None]:
    """Write down the sources of what could not be made while the context lasts."""

    def note(source: str, **kwargs: Any) -> None:
        into.append(source)

    generation_failed.connect(note)
    try:
        yield
    finally:
        generation_failed.disconnect(note)


@contextmanager
def storage_opens(name: str) -> Iterator[list[str]]:
    """Give the list of what is opened under a name in the default storage."""
    storage, opened = storages["default"], []
    open_ = storage.open

    def note(wanted: str, mode: str = "rb") -> Any:
        opened.extend([wanted] if wanted == name else [])
        return open_(wanted, mode)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "open", note)
        yield opened


class Boom:
    """A processor that raises."""

    def process(self, image: Any) -> Any:
        raise ValueError("boom")


class Explosive(ImageSpec):
    """A spec that nobody has registered, and that fails."""

    processors = [Boom()]


PAGE = "{% generateimage 'tests:banner' source=photo %}{% thumbnail '90x60' photo crop=1 %}"


class TestMessages:
    """What is put into the queue."""

    def test_images_are_made_by_the_worker(self, banner: str, name: str, queue: ListQueue) -> None:
        """The page asks, and shows where the images will be."""
        before = elements(render(PAGE, photo=name))
        queue.work()
        forget_state()
        after = elements(render(PAGE, photo=name))
        assert [served(tag["src"]).size for tag in after] == [(120, 40), (90, 60)]
        assert before == after
        assert queue.messages == []

    def test_one_message_is_sent_for_an_image(
        self, banner: str, name: str, queue: ListQueue
    ) -> None:
        """However many pages ask for it meanwhile."""
        for _ in range(3):
            forget_state()
            render(PAGE, photo=name)
        assert len(queue.messages) == 2

    def test_a_picture_is_made_by_the_worker_in_all_its_renditions(
        self, banner: str, name: str, queue: ListQueue
    ) -> None:
        """One message, of one decode; until then only the image's own address is shown."""
        page = (
            "{% picture 'tests:banner' source=photo formats='WEBP PNG' widths='40 80' -- alt='' %}"
        )
        before = render(page, photo=name)
        assert not storages["default"].exists("CACHE")
        assert (len(elements(before)), elements(before, "source")) == (1, [])
        assert "srcset" not in elements(before)[0]
        (message,) = queue.messages
        assert len(message["images"]) == 7
        with storage_opens(name) as opens:
            queue.work()
        assert len(opens) == 1
        forget_state()
        after = render(page, photo=name)
        assert queue.messages == []
        # PNG is made, and not offered: it has more bytes than what it would be offered before.
        (webp,) = elements(after, "source")
        (img,) = elements(after)
        assert img["src"] == elements(before)[0]["src"]
        for element, format in ((webp, "WEBP"), (img, "JPEG")):
            found = [served(part.split()[0]) for part in element["srcset"].split(", ")]
            assert [(image.format, image.width) for image in found] == [(format, 40), (format, 80)]

    def test_a_thumbnail_is_made_by_the_worker_in_all_its_densities(
        self, stored_photo: Any, queue: ListQueue
    ) -> None:
        """One message, as for the picture; each source of a batch has its own."""
        tag = "{% thumbnail '30x20' photo srcset='2 3' %}"
        page = "{% imagebatch %}{% for photo in photos %}" + tag + "{% endfor %}{% endimagebatch %}"
        render(page, photos=[stored_photo(), stored_photo("coffee.png")])
        assert [len(message["images"]) for message in queue.messages] == [3, 3]

    @pytest.mark.django_db(transaction=True)
    def test_images_of_a_new_source_go_into_one_message(
        self, queue: ListQueue, photos: Any, monkeypatch: Any
    ) -> None:
        """So that the worker decodes the source once for all of them."""
        for spec_id in ("thumbnail", "banner", "with_spec"):
            generator = get_image(f"testapp:photo:{spec_id}", source=None).generator
            strategy = "imagekit_registry.cachefiles.strategies.Optimistic"
            monkeypatch.setattr(type(generator), "cachefile_strategy", strategy)
        content = ContentFile((photos / "rocket.jpg").read_bytes(), "rocket.jpg")
        photo = Photo.objects.create(original_image=content)
        (message,) = queue.messages
        assert {image["spec"] for image in message["images"]} == {
            "testapp:photo:thumbnail",
            "testapp:photo:banner",
            "testapp:photo:with_spec",
        }
        queue.work()
        assert all(file.exists() for file in (photo.thumbnail, photo.banner, photo.with_spec))

    def test_nothing_is_sent_of_what_exists(self, banner: str, name: str, queue: ListQueue) -> None:
        """Though the state was lost: who asks for many files at once has the storage asked."""
        file = get_image(banner, source=name)
        queue.generate_now(file)
        caches["default"].clear()
        forget_state()
        outcome = generate_many([file, get_image(banner, source=name)])
        assert (len(outcome.existing), outcome.made, queue.messages) == (2, (), [])

    def test_a_changed_recipe_is_sent_once(self, name: str, queue: ListQueue) -> None:
        """Also under a name that does not change with it: pages do not send it each time."""

        def named(spec: type[ImageSpec]) -> type[ImageSpec]:
            return type(spec.__name__, (spec,), {"namer": staticmethod(lambda generator: "a.jpg")})

        with registered(banner=named(Banner)):
            assert get_image("tests:banner", source=name).url
            queue.work()
        wider = type("Wider", (Banner,), {"processors": [ResizeToFill(160, 40)]})
        with registered(banner=named(wider)):
            for _ in range(3):
                forget_state()
                assert get_image("tests:banner", source=name).url
            assert len(queue.messages) == 1
            queue.work()
            assert served("/media/a.jpg").size == (160, 40)

    @pytest.mark.django_db(transaction=True)
    def test_nothing_is_sent_before_the_commit(self, queue: ListQueue, name: str) -> None:
        """A worker would not find the row."""
        with transaction.atomic():
            photo = Photo.objects.create(original_image=name)
            assert photo.banner.url
            assert queue.messages == []
        assert len(queue.messages) == 1

    @pytest.mark.django_db(transaction=True)
    def test_nothing_is_sent_after_a_rollback(self, queue: ListQueue, name: str) -> None:
        """There is no row to make an image of."""
        with transaction.atomic():
            photo = Photo.objects.create(original_image=name)
            assert photo.banner.url
            transaction.set_rollback(True)
        assert queue.messages == []

    @pytest.mark.django_db(transaction=True, databases=["default", "postgresql"])
    def test_nothing_is_sent_before_the_commit_of_the_row_behind(
        self, banner: str, queue: ListQueue, name: str
    ) -> None:
        """An image of an image hangs on a row as well, be it in another database."""
        require_service("PostgreSQL", "postgresql" in django_settings.DATABASES)
        with transaction.atomic(using="postgresql"):
            photo = Photo(original_image=name)
            photo.save(using="postgresql")
            assert get_image(banner, source=photo.banner).url
            assert queue.messages == []
        assert len(queue.messages) == 1

    def test_an_image_that_fails_here_keeps_no_other_from_being_told(
        self, banner: str, queue: ListQueue, name: str
    ) -> None:
        """Though both are of one source."""
        failing = ImageCacheFile(Explosive(source=name))
        outcome = generate_many([failing, get_image(banner, source=name)])
        assert failing in [failure.file for failure in outcome.failures]
        queue.work()
        assert get_image(banner, source=name).exists()

    def test_what_cannot_be_told_is_made_at_once(
        self, banner: str, queue: ListQueue, photos: Any
    ) -> None:
        """A worker cannot find a file that was uploaded and not stored."""
        upload = ContentFile((photos / "rocket.jpg").read_bytes(), "upload.jpg")
        file = get_image(banner, source=upload)
        assert served(file.url).size == (120, 40)
        assert queue.messages == []

    def test_what_failed_here_is_not_tried_by_each_page(
        self, banner: str, queue: ListQueue, settings: Any
    ) -> None:
        """Its failure is remembered as that of a worker is."""
        settings.IMAGEKIT_ON_ERROR = "raise"
        failed: list[str] = []
        with logged_failures(failed):
            for _ in range(3):
                upload = ContentFile(b"no image", "upload.jpg")
                with pytest.raises(GenerationError):
                    _ = get_image(banner, source=upload).url
        assert len(failed) == 1

    def test_the_queue_can_be_named(self, settings: Any) -> None:
        """For the project, or for one backend."""
        backend = ListQueue()
        names = [backend.queue]
        settings.IMAGEKIT_QUEUE = "images"
        names.append(backend.queue)
        backend.queue_name = "slow"
        names.append(backend.queue)
        assert names == [None, "images", "slow"]


class TestLostState:
    """A cache that has forgotten everything, or that does not answer."""

    @pytest.mark.parametrize("fallback", [None, "empty"])
    def test_what_is_there_is_shown_at_once(
        self, fallback: str | None, queue: ListQueue, name: str
    ) -> None:
        """The storage knows; no worker is asked, and nothing stands in meanwhile."""
        with registered(banner=type("Waiting", (Banner,), {"fallback": fallback})):
            assert get_image("tests:banner", source=name).name
            page = "{% generateimage 'tests:banner' source=p %}"
            render(page, p=name)
            queue.work()
            caches["default"].clear()
            forget_state()
            assert get_image("tests:banner", source=name)
            caches["default"].clear()
            forget_state()
            (tag,) = elements(render(page, p=name))
        assert served(tag["src"]).size == (120, 40)
        assert queue.messages == []

    def test_a_cache_that_is_down_floods_no_queue(
        self, banner: str, queue: ListQueue, name: str, settings: Any
    ) -> None:
        """Each page looks into the storage, and none of them asks for what is there."""
        assert get_image(banner, source=name).url
        queue.work()
        settings.CACHES = {"default": {"BACKEND": "tests.faults.test_outages.DeadCache"}}
        for _ in range(3):
            forget_state()
            (tag,) = elements(render("{% generateimage 'tests:banner' source=p %}", p=name))
            assert served(tag["src"]).size == (120, 40)
        assert queue.messages == []


class TestOutages:
    """A queue that cannot be reached."""

    def test_pages_show_what_stands_in_while_a_queue_is_down(
        self, banner: str, name: str, queue: ListQueue, settings: Any
    ) -> None:
        """And the image is asked for again when the queue is back."""
        settings.IMAGEKIT_ON_ERROR = "placeholder"
        queue.error = ConnectionError("refused")
        (tag,) = elements(render("{% generateimage 'tests:banner' source=p %}", p=name))
        assert tag["src"].startswith("data:image/svg+xml")
        breaker_of.cache_clear()
        queue.error = None
        (tag,) = elements(render("{% generateimage 'tests:banner' source=p %}", p=name))
        queue.work()
        assert served(tag["src"]).size == (120, 40)

    def test_the_error_of_a_queue_says_which_image_and_why(
        self, banner: str, name: str, queue: ListQueue, settings: Any
    ) -> None:
        """Spec, source, cause and what to do."""
        settings.IMAGEKIT_ON_ERROR = "raise"
        queue.error = ConnectionError("refused")
        with pytest.raises(GenerationError, match=r"refused.*queue can be reached") as caught:
            _ = get_image(banner, source=name).url
        assert (caught.value.spec_id, caught.value.source) == (banner, name)
        assert isinstance(caught.value.__cause__, ConnectionError)

    def test_a_page_of_many_images_tries_once(
        self, queue: ListQueue, stored_photo: Any, settings: Any, caplog: Any
    ) -> None:
        """A broker that is gone is not waited for image by image, nor logged so."""
        settings.IMAGEKIT_ON_ERROR = "placeholder"
        queue.error = TimeoutError("no answer")
        names = [stored_photo(name=f"photos/{number}.jpg") for number in range(8)]
        with caplog.at_level(logging.WARNING, "imagekit_registry"):
            page = "{% for p in photos %}{% thumbnail '30x30' p %}{% endfor %}"
            tags = elements(render(page, photos=names))
        assert len(tags) == 8
        assert queue.tries == 1
        (message,) = caplog.messages
        assert "no answer" in message

    @pytest.mark.django_db(transaction=True)
    def test_a_queue_that_is_down_breaks_no_commit(self, queue: ListQueue, name: str) -> None:
        """What goes wrong after a commit is logged, and the image is asked for again."""
        queue.error = ConnectionError("refused")
        with transaction.atomic():
            photo = Photo.objects.create(original_image=name)
            assert photo.banner.url
        queue.error = None
        forget_state()
        assert photo.banner.url
        assert len(queue.messages) == 1


class TestWorker:
    """What a worker does with messages."""

    @pytest.mark.django_db
    @pytest.mark.parametrize("change", ["deleted", "replaced", "recipe", "unregistered"])
    def test_what_nobody_wants_any_more_is_passed_over(
        self, change: str, queue: ListQueue, name: str, stored_photo: Any, media: Any
    ) -> None:
        """Source and recipe may be others by the time that the worker comes."""
        with registered(banner=Banner):
            photo = Photo.objects.create(original_image=name)
            assert get_image("tests:banner", source=photo.original_image).url
            if change == "deleted":
                Photo.objects.all().delete()
            elif change == "replaced":
                Photo.objects.update(original_image=stored_photo("rocket.jpg", "photos/new.jpg"))
        messages, queue.messages = queue.messages, []
        other = type("Other", (Banner,), {"format": "PNG"})
        specs = {} if change == "unregistered" else {"banner": Banner}
        with registered(**({"banner": other} if change == "recipe" else specs)):
            for message in messages:
                make_images(message)
        assert list(media.rglob("CACHE/**/*.*")) == []

    def test_a_failure_is_told_to_the_queue(
        self, banner: str, name: str, queue: ListQueue, media: Any, settings: Any
    ) -> None:
        """So that it shows in the queue's own monitoring; pages show what stands in."""
        settings.IMAGEKIT_ON_ERROR = "placeholder"
        file = get_image(banner, source=name)
        assert file.url
        (media / name).unlink()
        with pytest.raises(SourceUnavailable, match=r"tests:banner of 'photos/rocket\.jpg'"):
            queue.work()
        assert get_image(banner, source=name).url.startswith("data:image/svg+xml")
        assert queue.messages == []

    def test_what_exists_is_not_made_twice(
        self, banner: str, name: str, queue: ListQueue, media: Any
    ) -> None:
        """A message that comes twice costs a look."""
        assert get_image(banner, source=name).url
        (message,) = queue.messages
        queue.work()
        (path,) = media.rglob("CACHE/**/*.jpg")
        before = path.stat()
        make_images(message)
        assert path.stat() == before

    def test_a_worker_takes_a_message_for_newer_than_what_it_remembers(
        self, banner: str, name: str, queue: ListQueue
    ) -> None:
        """The site may have removed what the worker made a moment ago."""
        file = get_image(banner, source=name)
        assert file.url
        (message,) = queue.messages
        queue.work()
        file.storage.delete(file.name or "")
        # What another process does to the state, this one is not told of.
        StateAccess(get_state_access().store).drop([queue.get_key(file)])
        make_images(message)
        assert file.storage.exists(file.name or "")

    def test_nothing_is_made_of_a_forged_message(self, banner: str, name: str, media: Any) -> None:
        """The worker's queue is no way in."""
        file = get_image(banner, source=name)
        image = {
            "spec": banner,
            "arguments": {},
            "digest": file.digest,
            "source": {"storage": "default", "name": name},
        }
        with pytest.raises(InvalidMessage):
            make_images({"version": 1, "force": False, "images": [image], "signature": "x"})
        assert list(media.rglob("CACHE/**/*.*")) == []

    def test_an_image_of_an_image_is_made_whole(self, queue: ListQueue, name: str) -> None:
        """The first one is made, too, if it is not there."""
        with registered(banner=Banner, again=Banner):
            first = get_image("tests:banner", source=name)
            second = get_image("tests:again", source=first)
            assert second.url
            queue.work()
            queue.work()
            assert served(second.url).size == (120, 40)


class TestAsyncViews:
    """Pages of async views."""

    def test_the_event_loop_waits_for_no_broker(
        self, banner: str, name: str, queue: ListQueue
    ) -> None:
        """A thread of its own puts the message into the queue."""

        async def view() -> str:
            return get_image(banner, source=name).url

        url = asyncio.run(view())
        wait_for_images()
        queue.work()
        assert served(url).size == (120, 40)

    def test_two_messages_that_begin_alike_are_both_sent(
        self, banner: str, name: str, queue: ListQueue, monkeypatch: Any
    ) -> None:
        """Though the first is still on its way to the broker."""
        is_over = threading.Event()
        send = queue.send

        def wait_and_send(message: dict[str, Any]) -> None:
            assert is_over.wait(60)
            send(message)

        monkeypatch.setattr(queue, "send", wait_and_send)
        first = get_image(banner, source=name)
        second = get_image("imagekit:thumbnail", source=name, width=9)

        async def view() -> None:
            queue.hand_over([first], force=True)
            queue.hand_over([first, second], force=True)

        asyncio.run(view())
        is_over.set()
        wait_for_images()
        assert sorted(len(message["images"]) for message in queue.messages) == [1, 2]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_forked_process_has_threads_of_its_own(self) -> None:
        """Those of its parent are not there: a server may load the site before it forks."""
        reading, writing = os.pipe()

        def answer() -> None:
            os.write(writing, b"done")

        run_in_background("parent", lambda: None)
        child = os.fork()
        if not child:
            try:
                run_in_background("child", answer)
                wait_for_images()
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            assert pipe.read() == b"done"
        os.waitpid(child, 0)
        wait_for_images()


class TestLibraries:
    """The backends that are shipped."""

    @pytest.mark.parametrize("backend", [Celery, RQ, Dramatiq, Tasks], ids=lambda cls: cls.__name__)
    def test_what_is_not_installed_is_named(self, backend: Any, monkeypatch: Any) -> None:
        """With the extra that installs it, and what Python says of it."""
        monkeypatch.setattr(backend, "requires", ("no_such_library",))
        with pytest.raises(
            InvalidFileBackendError,
            match=f"No module named.*{re.escape(how_to_install(backend.extra))}",
        ):
            backend()

    def test_async_is_an_old_name_of_a_backend(self) -> None:
        """It warns, and works."""
        with pytest.warns(DeprecationWarning, match="Celery"):
            assert isinstance(load_backend(Async), Celery)

    def test_an_eager_celery_makes_images_at_once(
        self, name: str, settings: Any, monkeypatch: Any
    ) -> None:
        """As test suites of projects have it."""
        from celery import current_app

        monkeypatch.setitem(current_app.conf, "task_always_eager", True)
        settings.IMAGEKIT_DEFAULT_CACHEFILE_BACKEND = "imagekit_registry.cachefiles.backends.Celery"
        with registered(banner=Banner):
            assert served(get_image("tests:banner", source=name).url).size == (120, 40)

    def test_an_eager_celery_that_raises_is_a_queue_that_is_well(
        self, name: str, settings: Any, monkeypatch: Any
    ) -> None:
        """One bad image says nothing about the next one."""
        from celery import current_app

        monkeypatch.setitem(current_app.conf, "task_always_eager", True)
        monkeypatch.setitem(current_app.conf, "task_eager_propagates", True)
        settings.IMAGEKIT_ON_ERROR = "raise"
        settings.IMAGEKIT_DEFAULT_CACHEFILE_BACKEND = "imagekit_registry.cachefiles.backends.Celery"
        with registered(banner=Banner):
            with pytest.raises(SourceUnavailable, match="does not exist"):
                _ = get_image("tests:banner", source="photos/none.jpg").url
            assert served(get_image("tests:banner", source=name).url).size == (120, 40)

    def test_immediate_tasks_make_images_at_once(self, name: str, settings: Any) -> None:
        """As Django's default backend of tasks has it."""
        settings.IMAGEKIT_DEFAULT_CACHEFILE_BACKEND = "imagekit_registry.cachefiles.backends.Tasks"
        with registered(banner=Banner):
            assert served(get_image("tests:banner", source=name).url).size == (120, 40)


class TestWaiting:
    """How many messages wait, for an operator."""

    def test_the_messages_that_wait_for_celery_are_counted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By RabbitMQ itself; a queue that nobody has made is an error of the broker's."""
        celery = pytest.importorskip("celery")
        require_service("RabbitMQ", _is_up(5672))
        app = celery.Celery("counting", broker="amqp://guest:guest@127.0.0.1:5672//")
        # What is put is there when it is counted.
        app.conf.broker_transport_options = {"confirm_publish": True}
        monkeypatch.setattr("celery.current_app", app)
        backend = Celery()
        backend.queue_name = f"imagekit-tests-{uuid.uuid4().hex}"
        with pytest.raises(app.connection_for_write().channel_errors):
            backend.waiting()
        with app.connection_for_write() as connection, connection.channel() as channel:
            queue = connection.SimpleQueue(backend.queue_name)
            for number in range(3):
                queue.put({"message": number})
            try:
                assert backend.waiting() == 3
            finally:
                queue.close()
                channel.queue_delete(backend.queue_name)

    def test_the_jobs_that_wait_for_rq_are_counted(self, settings: Any) -> None:
        """By Redis; one that does not answer is an error of its client's."""
        django_rq = pytest.importorskip("django_rq")
        require_service("Redis", "redis" in django_settings.CACHES)
        name = f"imagekit-tests-{uuid.uuid4().hex}"
        settings.RQ_QUEUES = {name: {"HOST": "127.0.0.1", "PORT": 6379, "DB": 9}}
        backend = RQ()
        backend.queue_name = name
        assert backend.waiting() == 0
        backend.send({"images": [{"spec": "tests:banner"}]})
        try:
            assert backend.waiting() == 1
        finally:
            django_rq.get_queue(name).delete()

    def test_a_queue_that_cannot_be_counted_says_nothing(self) -> None:
        """Rather than a number that is none."""
        assert ListQueue().waiting() is None
