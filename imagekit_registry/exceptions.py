"""Every error that imagekit_registry raises: one tree, rooted in `ImageKitError`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import ParamSpec, Protocol, TypeVar

import attrs
from django.core.exceptions import ImproperlyConfigured

__all__ = [
    "AlreadyRegistered",
    "EncodingError",
    "GenerationError",
    "ImageKitError",
    "InvalidArgument",
    "InvalidArgumentType",
    "InvalidConfiguration",
    "InvalidFileBackendError",
    "InvalidMessage",
    "LimitExceeded",
    "LockTimeout",
    "MissingGeneratorId",
    "MissingSource",
    "NameTaken",
    "NotCanonical",
    "NotRegistered",
    "Place",
    "ProcessingError",
    "PublishError",
    "RetryLater",
    "SourceNotFound",
    "SourceUnavailable",
    "UnknownExtension",
    "UnknownExtensionError",
    "UnknownFormat",
    "UnknownFormatError",
    "UnreadableImage",
    "answer_or",
    "how_to_install",
    "located",
    "logged",
]

P = ParamSpec("P")
T = TypeVar("T")


class ImageKitError(Exception):
    """The root of the tree: catch it to catch whatever this library raises on purpose."""


class AlreadyRegistered(ImageKitError):
    """Another generator is registered under this id."""


class NotRegistered(ImageKitError, LookupError):
    """No generator is registered under this id."""


class MissingGeneratorId(ImageKitError):
    """A field or other spec host was asked for its spec before it had an id."""


class InvalidArgument(ImageKitError, ValueError):
    """An argument has a value that its callee cannot use; the message names the argument."""


class InvalidArgumentType(ImageKitError, TypeError):
    """An argument has a type that its callee cannot use; the message names the argument."""


class NotCanonical(ImageKitError, TypeError):
    """A recipe holds a value that cannot be written down the same way on every host."""


class InvalidConfiguration(ImageKitError, ImproperlyConfigured):
    """A setting names something that does not exist or cannot be used."""


class InvalidFileBackendError(InvalidConfiguration):
    """A cache file backend cannot be used: it is no backend, or what it needs is not installed."""


class InvalidMessage(ImageKitError, ValueError):
    """What a worker found in its queue is no message of ours, or one that somebody has changed."""


class UnknownFormat(ImageKitError, ValueError):
    """Pillow knows no image format of this name."""


class UnknownExtension(ImageKitError, ValueError):
    """Pillow knows no image format with this file name extension."""


UnknownFormatError = UnknownFormat
UnknownExtensionError = UnknownExtension


class MissingSource(ImageKitError, ValueError):
    """A spec was asked for an image but has no source (the image field is empty).

    Django's template engine shows nothing for a variable that raises it, and our tags show nothing
    for an empty field, also where other errors are raised.

    Attributes:
        is_empty_field: Whether the source is an image field without an image, which is no mistake.
    """

    silent_variable_failure = True

    def __init__(self, message: str = "", *, is_empty_field: bool = False) -> None:
        super().__init__(message)
        self.is_empty_field = is_empty_field


class GenerationError(ImageKitError):
    """An image could not be made.

    Args:
        cause: What went wrong, as a sentence without a full stop.
        spec_id: Which spec was at work; filled in by the room that knows it.
        source: The name of the source image; filled in by the room that knows it.
        hint: What to do about it, as a sentence.

    Example:
        >>> error = UnreadableImage("the data ends too early", hint="Upload the file again.")
        >>> str(error.located("shop:product:thumbnail", "photos/a.jpg"))
        "shop:product:thumbnail of 'photos/a.jpg': the data ends too early. Upload the file again."
    """

    def __init__(
        self,
        cause: str,
        *,
        spec_id: str | None = None,
        source: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.spec_id = spec_id
        self.source = source
        self.hint = hint
        #: Whether the log has it already: who makes an image and who shows it would both tell.
        self.is_logged = False

    def located(self, spec_id: str | None, source: str | None) -> GenerationError:
        """Add what the raiser could not know, keeping what is known; return the error itself."""
        self.spec_id = self.spec_id or spec_id
        self.source = self.source or source
        return self

    def __str__(self) -> str:
        """Say spec, source, cause and remedy in one line."""
        where = self.spec_id or ""
        if self.source:
            where = f"{where} of {self.source!r}" if where else repr(self.source)
        text = f"{where}: {self.cause}" if where else self.cause
        return f"{text}. {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling, for worker pools: the keyword arguments are part of the state."""
        return (type(self), (self.cause,), self.__dict__)


class Place(Protocol):
    """**Protocol:** what tells where something went wrong: a spec, or a cache file's identity."""

    @property
    def spec_id(self) -> str | None:
        """The id of the spec."""

    @property
    def source_name(self) -> str | None:
        """The name of the source."""


@attrs.frozen
class located:  # noqa: N801 -- read as a verb: with located(...)
    """Turn whatever leaves the block into an exception of ours, with spec, source and cause.

    Exceptions of ours pass; what they do not say of spec and source is added.

    Args:
        place: What has spec id and source name.
        cause: What went wrong, as a sentence without a full stop; the exception is added to it.
        wrap: The class of the exception.
        hint: What to do about it, as a sentence.
        passes: The class of exceptions that the caller wants to see as they are.

    Example:
        >>> with located(photo.thumbnail.identity, "the queue does not take it"):
        ...     raise ConnectionError("refused")
        Traceback (most recent call last):
        ...
        imagekit_registry.exceptions.GenerationError: gallery:photo:thumbnail of ...
    """

    place: Place
    cause: str
    wrap: type[GenerationError] = attrs.field(default=GenerationError, kw_only=True)
    hint: str = attrs.field(default="", kw_only=True)
    passes: type[Exception] = attrs.field(default=ImageKitError, kw_only=True)

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Raise an exception of ours in place of *error*."""
        if isinstance(error, GenerationError):
            error.located(self.place.spec_id, self.place.source_name)
        elif isinstance(error, Exception) and not isinstance(error, ImageKitError | self.passes):
            raise self.error(error)

    def error(self, cause: Exception) -> GenerationError:
        """Return the exception of ours that tells of *cause*."""
        error = self.wrap(
            f"{self.cause} ({type(cause).__name__}: {cause})",
            spec_id=self.place.spec_id,
            source=self.place.source_name,
            hint=self.hint,
        )
        error.__cause__ = cause
        return error


def how_to_install(extra: str) -> str:
    """Return the command that installs what an extra of ours needs, wherever we were installed from.

    Example:
        >>> how_to_install("vips")
        "pip install 'pyvips>=3.0' 'pyvips-binary>=8.16'"
    """
    # It takes a while, and something has failed.
    from importlib.metadata import PackageNotFoundError, requires

    try:
        lines = requires("imagekit-registry") or ()
    except PackageNotFoundError:
        lines = ()
    parts = [line.partition(";") for line in lines]
    needed = [part[0].strip() for part in parts if f'extra == "{extra}"' in part[2]]
    what = needed or [f"imagekit-registry[{extra}]"]
    return f"pip install {' '.join(map(repr, what))}"


def answer_or(default: T, ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what ``ask(*args, **kwargs)`` gives; *default* if it raises whatever it may.

    For questions to storages, plugins and projects' code: many cannot answer, each in its own way.

    Example:
        >>> answer_or(None, photo.image.storage.get_modified_time, photo.image.name)
        datetime.datetime(...)
    """
    try:
        return ask(*args, **kwargs)
    except Exception:  # noqa: BLE001 -- see above
        return default


class logged(AbstractContextManager[None, bool]):  # noqa: N801 -- as contextlib.suppress
    """Log a warning of what is raised within, in the place of raising it.

    For what may fail without being missed: storages and clients of queues do, each in its own way.

    Args:
        logger: The logger of the room that it happens in.
        message: The first half of the line, which goes on with the exception.
        *args: What belongs into the message.

    Example:
        >>> with logged(logging.getLogger("photos"), "%r is left over", "bulldog.jpg"):
        ...     raise PermissionError("the storage is read-only")
    """

    def __init__(self, logger: logging.Logger, message: str, *args: object) -> None:
        self._logger = logger
        self._message = message
        self._args = args

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        """Return whether the exception ends here: not if somebody wants the process to end."""
        if not isinstance(error, Exception):
            return False
        self._logger.warning(f"{self._message}: %s", *self._args, error)  # noqa: G004
        return True


class SourceUnavailable(GenerationError, OSError):
    """The source image's file is not in its storage, or the storage does not give it."""


class SourceNotFound(SourceUnavailable, FileNotFoundError):
    """The source image's file is not in its storage."""

    #: What records say of it.
    CAUSE = "the source file does not exist in its storage"


class UnreadableImage(GenerationError, OSError):
    """The source is not an image, is damaged, or is of a format that is not allowed."""


class LimitExceeded(GenerationError):
    """The source or the result is larger (bytes, pixels, frames, seconds) than the limits allow.

    Args:
        cause: As for every `GenerationError`.
        limit: Which limit: ``"bytes"``, ``"pixels"``, ``"memory"``, ``"frames"``, ``"seconds"``,
            ``"output"``, or empty for one that has no setting.
        **context: As for every `GenerationError`.
    """

    def __init__(self, cause: str, *, limit: str = "", **context: str) -> None:
        super().__init__(cause, **context)
        self.limit = limit


class ProcessingError(GenerationError):
    """A processor raised an exception, or returned something that is no image."""


class EncodingError(GenerationError):
    """The result cannot be written in the format, or with the options, that the spec asks for."""


class PublishError(GenerationError, OSError):
    """The storage of the cache files does not take the finished image, or gives no answer."""


class NameTaken(PublishError):
    """Another source's image, or another spec's, has the file name that this one would get.

    It happens with namers whose names do not say recipe and source.
    """


class LockTimeout(GenerationError):
    """Somebody else is making this image and was not done within the time one waits for it."""


class RetryLater(GenerationError, OSError):
    """Making this image failed a short while ago; it is not tried again before the back-off ends.

    It is a ``FileNotFoundError`` if there was no source, and `LimitExceeded` if that was the reason.
    """
