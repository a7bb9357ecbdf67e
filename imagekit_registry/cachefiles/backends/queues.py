"""The queues that workers are told through: Celery's, RQ's, Dramatiq's and Django's own."""

from __future__ import annotations

import warnings
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error

from imagekit_registry._loading import get_by_qname
from imagekit_registry.cachefiles.backends.asynchronous import QueueBackend

__all__ = ["RQ", "Async", "Celery", "Dramatiq", "Tasks"]

# What workers run stands above this room, which it uses: here it is an address in a message.
_CELERY_JOB = "imagekit_registry.workers.celery.make_images"
_RQ_JOB = "imagekit_registry.workers.make_images"
_DRAMATIQ_JOB = "imagekit_registry.workers.dramatiq.make_images"
_TASKS_JOB = "imagekit_registry.workers.django_tasks.make_images"


def _unusable(text: str, hint: str, obj: object) -> CheckMessage:
    return Error(text, hint=hint, obj=obj, id="imagekit.E019")


class Celery(QueueBackend):
    """Have images made by Celery.

    Its workers find what they run by ``app.autodiscover_tasks()``; it is called
    ``imagekit_registry.make_images``.

    Raises:
        InvalidFileBackendError: Celery is not installed.

    Example:
        >>> class Large(ImageSpec):
        ...     cachefile_backend = "imagekit_registry.cachefiles.backends.Celery"
    """

    requires = ("celery",)
    extra = "celery"

    def send(self, message: dict[str, object]) -> None:
        """Put *message* into Celery's queue, as JSON."""
        # A page waits. Celery's own default is to try again for seconds.
        once_more = {"max_retries": 1, "interval_start": 0, "interval_max": 0}
        task = get_by_qname(_CELERY_JOB, "Celery task")
        task.apply_async(args=(message,), queue=self.queue, retry_policy=once_more)

    def waiting(self) -> int | None:
        """Return how many messages the broker holds in the queue."""
        from celery import current_app

        if current_app.conf.task_always_eager:
            return None
        queue = self.queue or current_app.conf.task_default_queue
        with current_app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_max=0)
            with connection.channel() as channel:
                return int(channel.queue_declare(queue, passive=True).message_count)

    def check(self) -> list[CheckMessage]:
        """Return an error if the app's workers do not accept JSON."""
        from celery import current_app

        accepted = set(current_app.conf.accept_content or ())
        if accepted & {"json", "application/json"}:
            return []
        text = f"Celery accepts {sorted(accepted)}, and the messages of this backend are JSON."
        return [_unusable(text, "Add 'json' to accept_content of the Celery app.", type(self))]


class Async(Celery):
    """The former name of `Celery`."""

    def __init__(self) -> None:
        warnings.warn(
            "The backend Async is deprecated; write Celery.", DeprecationWarning, stacklevel=2
        )
        super().__init__()


class RQ(QueueBackend):
    """Have images made by RQ, through django-rq.

    Messages are JSON, not pickles, which RQ's are by default. Name the serializer
    ``rq.serializers.JSONSerializer`` to the queue, in ``RQ_QUEUES``, and to its workers.

    Attributes:
        failure_ttl: Seconds for which RQ keeps what it knows of a job that failed; the state of
            the file says so as well.

    Raises:
        InvalidFileBackendError: django-rq is not installed.
    """

    requires = ("django_rq",)
    extra = "rq"
    failure_ttl: int = 86_400

    def send(self, message: dict[str, Any]) -> None:
        """Put *message* into RQ's queue, as JSON."""
        from django_rq import get_queue
        from rq.serializers import JSONSerializer

        get_queue(self.queue or "default", serializer=JSONSerializer).enqueue_call(
            _RQ_JOB,
            args=(message,),
            result_ttl=0,
            failure_ttl=self.failure_ttl,
            description=", ".join(sorted({image["spec"] for image in message["images"]})),
        )

    def waiting(self) -> int:
        """Return how many jobs wait in the queue."""
        from django_rq import get_queue
        from rq.serializers import JSONSerializer

        return len(get_queue(self.queue or "default", serializer=JSONSerializer))

    def check(self) -> list[CheckMessage]:
        """Return an error if the queue is unknown, or if its messages would be unpickled."""
        from rq.serializers import JSONSerializer, resolve_serializer

        name, queues = self.queue or "default", getattr(django_settings, "RQ_QUEUES", {})
        if name not in queues:
            known = ", ".join(map(repr, queues)) or "none"
            hint = f"Add it, or let IMAGEKIT_QUEUE name another one (there is {known})."
            return [_unusable(f"RQ_QUEUES has no queue {name!r}.", hint, type(self))]
        if resolve_serializer(queues[name].get("SERIALIZER")) is JSONSerializer:
            return []
        return [
            _unusable(
                f"The workers of RQ's queue {name!r} read pickles, and the messages of this backend"
                " are JSON.",
                f"Write 'SERIALIZER': 'rq.serializers.JSONSerializer' in RQ_QUEUES[{name!r}], and"
                " start its workers with --serializer rq.serializers.JSONSerializer. A queue of its"
                " own for images, named by IMAGEKIT_QUEUE, leaves others as they are.",
                type(self),
            )
        ]


class Dramatiq(QueueBackend):
    """Have images made by Dramatiq.

    ``manage.py rundramatiq`` of django-dramatiq finds what its workers run; plain ``dramatiq`` is
    told: ``dramatiq imagekit_registry.tasks``. It is called ``imagekit_registry.make_images``.

    Raises:
        InvalidFileBackendError: Dramatiq is not installed.
    """

    requires = ("dramatiq",)
    extra = "dramatiq"

    def send(self, message: dict[str, object]) -> None:
        """Put *message* into Dramatiq's queue, as JSON."""
        actor = get_by_qname(_DRAMATIQ_JOB, "Dramatiq actor")
        sent = actor.message(message)
        actor.broker.enqueue(sent.copy(queue_name=self.queue) if self.queue else sent)

    def check(self) -> list[CheckMessage]:
        """Return an error if Dramatiq would pickle the messages."""
        import dramatiq

        if not isinstance(dramatiq.get_encoder(), dramatiq.PickleEncoder):
            return []
        text = "Dramatiq pickles messages, and unpickles what lies in its queues."
        return [_unusable(text, "Leave DRAMATIQ_ENCODER at its default, JSON.", type(self))]


class Tasks(QueueBackend):
    """Have images made by ``django.tasks``; in Django 5.2 by the package django-tasks.

    Attributes:
        alias: What runs them, of those in ``TASKS``.

    Raises:
        InvalidFileBackendError: Neither is installed.
    """

    requires = ("django.tasks", "django_tasks")
    extra = "tasks"
    alias: str = "default"

    def send(self, message: dict[str, object]) -> None:
        """Put *message* into the queue of a backend of tasks."""
        self._task().enqueue(message)

    def check(self) -> list[CheckMessage]:
        """Return an error if ``TASKS`` has no such alias, or no such queue."""
        try:
            self._task()
        except Exception as problem:  # noqa: BLE001 -- the project's backend is made in here
            hint = (
                "Let IMAGEKIT_QUEUE name one of the QUEUES of the alias in TASKS, or add it there."
            )
            return [_unusable(f"{type(problem).__name__}: {problem}", hint, type(self))]
        return []

    def _task(self) -> Any:
        task = get_by_qname(_TASKS_JOB, "task")
        return task.using(backend=self.alias, queue_name=self.queue or task.queue_name)
