"""A site and its worker: what a page shows before, meanwhile and afterwards, as JSON.

Run as a process of its own, since it needs settings of its own; see test_workers.py.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.core.files.base import ContentFile  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from imagekit_registry.cachefiles import get_image  # noqa: E402
from imagekit_registry.cachefiles.backends import Message, get_default_cachefile_backend  # noqa: E402
from imagekit_registry.testing import forget_state  # noqa: E402
from tests.pages import elements, render, served  # noqa: E402
from tests.testapp.models import Photo  # noqa: E402
from tests.workers._settings import BACKEND, TAG  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT / "demo" / "photos"
SECONDS = 60

PAGE = (
    "{% generateimage 'testapp:photo:thumbnail' source=photo.original_image %}"
    "{% thumbnail '120x80' photo.original_image anchor='tr' %}"
)


class Exploit:
    """An object whose pickle leaves a file behind when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


# The four queues: how their workers are started, what lies in them, and how anything is put there.


class CeleryQueue:
    """Celery on RabbitMQ, with a pool of processes."""

    command = "-m celery -A tests.workers._celery worker -c 1 --without-gossip --without-mingle"

    def __init__(self) -> None:
        from tests.workers._celery import app

        self.app = app

    @contextmanager
    def channel(self) -> Iterator[Any]:
        with self.app.connection_for_write() as connection:
            yield connection.default_channel

    def worker(self) -> list[str]:
        return [*self.command.split(), "-n", TAG, "-Q", TAG]

    def messages(self) -> list[str]:
        found = []
        with self.channel() as channel:
            self.app.amqp.queues.select_add(TAG)(channel).declare()
            while (message := channel.basic_get(TAG)) is not None:
                found.append(message)
            for message in found:
                channel.basic_reject(message.delivery_tag, requeue=True)
        bodies = [message.body for message in found]
        return [body if isinstance(body, str) else bytes(body).decode() for body in bodies]

    def put(self, argument: Any) -> None:
        self.app.send_task("imagekit_registry.make_images", args=[argument], queue=TAG)

    def put_pickle(self, exploit: Exploit) -> None:
        with self.channel() as channel:
            self.app.amqp.Producer(channel).publish(
                pickle.dumps(([exploit], {}, {})),
                exchange="",
                routing_key=TAG,
                content_type="application/x-python-serialize",
                content_encoding="binary",
                headers={"task": "imagekit_registry.make_images", "id": "poison", "lang": "py"},
            )

    def clear(self) -> None:
        with self.channel() as channel:
            channel.queue_delete(TAG)


class RqQueue:
    """RQ, through django-rq."""

    def __init__(self) -> None:
        import django_rq
        from rq.serializers import DefaultSerializer

        self.queue = django_rq.get_queue(TAG)
        self.pickling = django_rq.get_queue(TAG, serializer=DefaultSerializer)

    def worker(self) -> list[str]:
        serializer = "rq.serializers.JSONSerializer"
        return ["-m", "django", "rqworker", TAG, "--serializer", serializer]

    def messages(self) -> list[str]:
        connection = self.queue.connection
        data: Any = [connection.hget(f"rq:job:{id}", "data") for id in self.queue.job_ids]
        return [zlib.decompress(item).decode("latin-1") for item in data]

    def put(self, argument: Any) -> None:
        self.queue.enqueue_call("imagekit_registry.workers.make_images", args=(argument,))

    def put_pickle(self, exploit: Exploit) -> None:
        self.pickling.enqueue_call("imagekit_registry.workers.make_images", args=(exploit,))

    def clear(self) -> None:
        self.queue.delete(delete_jobs=True)


class DramatiqQueue:
    """Dramatiq on Redis, through django-dramatiq."""

    def __init__(self) -> None:
        from imagekit_registry.workers.dramatiq import make_images

        self.actor = make_images
        self.broker: Any = make_images.broker

    def worker(self) -> list[str]:
        return ["-m", "django", "rundramatiq", "--processes", "1", "--threads", "2"]

    def messages(self) -> list[str]:
        found = self.broker.client.hgetall(f"{TAG}:{TAG}.msgs").values()
        return [item.decode("latin-1") for item in found]

    def put(self, argument: Any) -> None:
        self.actor.send(argument)

    def put_pickle(self, exploit: Exploit) -> None:
        client = self.broker.client
        client.hset(f"{TAG}:{TAG}.msgs", "poison", pickle.dumps(exploit))
        client.rpush(f"{TAG}:{TAG}", "poison")

    def clear(self) -> None:
        for key in self.broker.client.scan_iter(f"{TAG}*"):
            self.broker.client.delete(key)


class TasksQueue:
    """django.tasks on the database."""

    def __init__(self) -> None:
        from django_tasks_db.models import DBTaskResult

        from imagekit_registry.workers.django_tasks import make_images

        self.rows = DBTaskResult.objects
        self.task = make_images.using(queue_name=TAG)

    def worker(self) -> list[str]:
        return ["-m", "django", "db_worker", "--queue-name", TAG, "--interval", "0.1"]

    def messages(self) -> list[str]:
        return [json.dumps(row.args_kwargs) for row in self.rows.all()]

    def put(self, argument: Any) -> None:
        self.task.enqueue(argument)

    def put_pickle(self, exploit: Exploit) -> None:
        self.task.enqueue(pickle.dumps(exploit, protocol=0).decode("latin-1"))

    def clear(self) -> None:
        self.rows.all().delete()


QUEUES = {"Celery": CeleryQueue, "RQ": RqQueue, "Dramatiq": DramatiqQueue, "Tasks": TasksQueue}


@contextmanager
def worker(arguments: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker while the context lasts."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()


def wait_for(condition: Callable[[], Any]) -> bool:
    """Return whether something has come true within a while."""
    ends_at = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > ends_at:
            return False
        time.sleep(0.1)
    return True


def store(photo: str, title: str) -> Photo:
    """Return a row with a real photograph."""
    content = ContentFile((PHOTOS / photo).read_bytes(), f"{title}.jpg")
    return Photo.objects.create(title=title, original_image=content)


def show(photo: Photo) -> list[dict[str, Any]]:
    """Render the page as a process that remembers nothing, and return its images."""
    forget_state()
    shown = elements(render(PAGE, photo=Photo.objects.get(pk=photo.pk)))
    return [{name: tag.get(name) for name in ("src", "width", "height")} for tag in shown]


def path_of(tag: dict[str, Any]) -> Path:
    return Path(settings.MEDIA_ROOT, tag["src"].removeprefix("/media/"))


def cache_files() -> list[str]:
    root = Path(settings.MEDIA_ROOT)
    return sorted(str(path.relative_to(root)) for path in root.rglob("CACHE/**/*.*"))


def poisons(good: dict[str, Any], mark: Path) -> list[Any]:
    """Return what an enemy could write in place of a message."""
    image = good["images"][0]
    stranger = {**image, "source": {"storage": "default", "name": "../../secret.png"}}
    return [
        None,
        "not a message",
        [good],
        {},
        {**good, "images": [stranger]},
        {**good, "force": True},
        {**good, "version": 2},
        {**good, "signature": "0" * 43},
        {**good, "images": [{"spec": "os.system", "arguments": {"command": f"touch {mark}"}}]},
        pickle.dumps(Exploit(mark), protocol=0).decode("latin-1"),
    ]


def run(folder: Path) -> dict[str, Any]:
    """Play the scenario, and return what was seen."""
    report: dict[str, Any] = {}
    call_command("migrate", run_syncdb=True, verbosity=0)
    queue: Any = QUEUES[BACKEND]()
    log = folder / "worker.log"
    try:
        photo = store("rocket.jpg", "rocket")
        with transaction.atomic():
            report["first"] = show(photo)
            report["sent_before_commit"] = len(queue.messages())
        report["again"] = show(photo)
        report["messages"] = queue.messages()
        report["files_before"] = cache_files()
        with worker(queue.worker(), log) as process:
            report["made"] = wait_for(lambda: all(path_of(tag).exists() for tag in report["first"]))
            report["settled"] = wait_for(lambda: all(is_made(photo)))
            report["then"] = show(photo)
            report["sizes"] = [
                served(tag["src"]).size for tag in report["then"] if path_of(tag).exists()
            ]

            mark = folder / "run"
            good = json_message(photo)
            for poison in poisons(good, mark):
                queue.put(poison)
            queue.put_pickle(Exploit(mark))
            other = store("hubble_deep_field.jpg", "hubble")
            # Visitors come again: what a queue has lost with the poison is sent again.
            report["made_after_poison"] = wait_for(
                lambda: all(path_of(tag).exists() for tag in show(other))
            )
            report["alive"] = process.poll() is None
            report["ran"] = mark.exists()

            broken = Photo.objects.create(title="broken", original_image="photos/none.jpg")
            failing = get_image("testapp:photo:thumbnail", source=broken.original_image)
            show(broken)
            report["failed"] = wait_for(lambda: is_failed(failing))
            report["broken"] = show(broken)
            report["error"] = failing.state.error
    finally:
        report["log"] = log.read_text(errors="replace") if log.exists() else ""
        queue.clear()
    report["files_after"] = cache_files()
    return report


def json_message(photo: Photo) -> dict[str, Any]:
    """Return a message as the backend puts it into the queue."""
    from imagekit_registry.cachefiles.backends.messages import describe

    file = get_image("testapp:photo:thumbnail", source=photo.original_image)
    image = describe(file)
    assert image is not None
    return Message([image]).encode()


def is_made(photo: Photo) -> list[bool]:
    forget_state()
    backend = get_default_cachefile_backend()
    files = [photo.thumbnail]
    return [backend.get_state(file, check_if_unknown=False) == "exists" for file in files]


def is_failed(file: Any) -> bool:
    forget_state()
    return bool(file.state.status == "failed")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(Path(sys.argv[1]))))
