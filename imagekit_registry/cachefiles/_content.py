"""What is told of a cache file beside its URL, and its content, which is opened when it is first read."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, NoReturn, Self, TypedDict, TypeVar, cast

from django.core.files.base import File
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest

from imagekit_registry._loading import get_by_qname
from imagekit_registry.cachefiles import existence
from imagekit_registry.cachefiles.fallbacks import Fallback, fallback_for, keep
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.pending import demand_url, is_spent, wait_for
from imagekit_registry.cachefiles.rendering import log_failure
from imagekit_registry.cachefiles.threads import is_in_event_loop
from imagekit_registry.cachefiles.urls import has_fixed_url, url_of
from imagekit_registry.exceptions import GenerationError, MissingSource, PublishError, located
from imagekit_registry.imaging.formats import extension_to_mimetype, format_to_mimetype
from imagekit_registry.imaging.placeholders import NO_PLACEHOLDER, Placeholder
from imagekit_registry.signals import content_required
from imagekit_registry.specs import Picture, StoredFile, smallest_formats
from imagekit_registry.state import CacheFileRecord, Status

T = TypeVar("T")

REACH_IT = "Check that the storage of the cache files can be reached."


class ImageDict(TypedDict):
    """What an API tells of an image; ``as_dict()`` of a cache file gives it."""

    url: str | None
    width: int | None
    height: int | None
    type: str | None
    size: int | None
    placeholder: dict[str, str] | None
    pending: bool


class SourceDict(TypedDict):
    """Files that a browser may choose from, as ``<source>`` has them."""

    srcset: str
    sizes: str
    media: str
    type: str
    width: int | None
    height: int | None


class PictureDict(ImageDict):
    """What an API tells of a picture; ``as_dict(picture=...)`` of a cache file gives it."""

    srcset: str
    sizes: str
    sources: list[SourceDict]


#: What knows that stands above this room, whose files it offers: here it is an address.
_PICTURE_PARTS = "imagekit_registry.html.picture_parts"


class ToldFile(CacheFile):
    """What its record and its fallback tell of a cache file."""

    _fallback: Fallback | None

    @property
    def media_type(self) -> str:
        """The media type, such as ``image/jpeg``; ``application/octet-stream`` if unknown."""
        format = self.state.format or self.spec.format
        # Which is the smallest shows when it is made.
        if format and not smallest_formats(format):
            return format_to_mimetype(format) or "application/octet-stream"
        dot = (self.name or "").rfind(".")
        extension = self.name[dot:] if self.name and dot >= 0 else ""
        return extension_to_mimetype(extension) or "application/octet-stream"

    @property
    def placeholder(self) -> Placeholder:
        """What is shown until the image has loaded, as its spec asked for it; by its record alone.

        It is false, and all of it is empty, while there is no image, or where its record has none.

        Raises:
            MissingSource: The generator has no source.
            GenerationError: The image could not be made, and failures are to be raised.

        Example:
            >>> file = get_image(
            ...     "imagekit:thumbnail", source=photo.image, width=90, placeholder="color"
            ... )
            >>> file.placeholder.css
            'background:#...'
        """
        self._require_existence()
        record = existence.known(self) if self._fallback is None else None
        is_there = record is not None and record.status == Status.EXISTS
        return Placeholder.decode(record.placeholder) if record and is_there else NO_PLACEHOLDER

    def tolist(self) -> str | None:
        """Return the URL, or None if there is no image to show.

        By this name Django REST framework's JSON encoder asks for what a value is written as, such
        as that of a spec field that a serializer only names.
        """
        return self.url if self else None

    def as_dict(
        self, request: HttpRequest | None = None, picture: Picture | None = None
    ) -> ImageDict:
        """Return what an API tells of the image; what cannot be had is told as well, not raised.

        Args:
            request: The request that is answered; with it URLs are absolute.
            picture: How the image is offered, over what its spec says; without it, only the image is
                told of.

        Returns:
            ``url`` (that of the fallback, or None, if the image cannot be had), ``width`` and
            ``height`` in pixels, ``type`` (the media type), ``size`` in bytes, ``placeholder`` (a
            dict of those that there are), and whether it is ``pending``: yet to be made. What is
            not known is None. With *picture* also ``srcset``, ``sizes`` and ``sources``, a list of
            dicts of what ``<source>`` has; each is empty where there is nothing to choose.

        Example:
            >>> photo.thumbnail.as_dict()
            {'url': '/media/...', 'width': 200, 'height': 150, 'type': 'image/jpeg', ...}
        """
        shown = Fallback()
        if self.name:
            try:
                shown = self.shown()
            except GenerationError as error:
                log_failure(error)
        record = existence.known(self) if shown.url else None
        status = Status.EXISTS if record is None else record.status
        is_shown = bool(shown.url) and self._fallback is None
        url = shown.url
        if request is not None and url and not url.startswith("data:"):
            url = request.build_absolute_uri(url)
        told: ImageDict = {
            "url": url or None,
            "width": None if shown.width is None else int(shown.width),
            "height": None if shown.height is None else int(shown.height),
            "type": self.media_type if is_shown else None,
            "size": record.size if is_shown and record is not None else None,
            "placeholder": (self.placeholder.as_dict() or None) if is_shown else None,
            "pending": status in {Status.MISSING, Status.GENERATING},
        }
        if picture is None:
            return told
        parts = get_by_qname(_PICTURE_PARTS, "maker of pictures")(self, picture, request)
        return cast("PictureDict", {**told, **parts})

    def demand_url(self, expires: float | None = None) -> str:
        """Return the URL under which the image is made and sent when somebody asks for it.

        Nothing is made for that; whether the image exists makes no difference.

        Args:
            expires: Seconds for which the URL is good; None: as ``IMAGEKIT_SERVING["EXPIRES"]`` says.

        Raises:
            MissingSource: The generator has no source.
            InvalidArgument: No URL can say what is to be made: the spec is not registered, or its
                source is in no storage of ``STORAGES``.
            InvalidConfiguration: The project's URLs do not include ``imagekit_registry.serving.urls``.

        Example:
            >>> photo.thumbnail.demand_url()
            '/images/.../photos:photo:thumbnail/.../bulldog.jpg'
        """
        if not self.name:
            self._refuse_without_source()
        return demand_url(self, expires)

    # How it is had.

    def shown(self) -> Fallback:
        """Return URL, width and height together."""
        raise NotImplementedError

    def _require_existence(self) -> object:
        raise NotImplementedError

    def _refuse_without_source(self) -> NoReturn:
        if isinstance(self.source, FieldFile | StoredFile):
            raise MissingSource(
                f"An image of {self.spec_id} was asked for, but it has no source: the image field is"
                " empty. Check the field before, or check whether the image is true.",
                is_empty_field=True,
            )
        raise MissingSource(
            f"An image of {self.spec_id} was asked for, but it has no source: that is {self.source!r}."
            " Give it the file of an image field or the name of a file, by a variable that there is."
        )


class StoredContent(ToldFile):
    """The content of a cache file, which its strategy may have made before it is read."""

    _file: IO[bytes] | None

    @property
    def published_name(self) -> str:
        """The name in the storage: `name`, unless the storage insisted on another.

        Raises:
            FileNotFoundError: The image does not exist, and another one may have the name.
        """
        return self._name_by(existence.known(self))

    def _name_by(self, record: CacheFileRecord | None) -> str:
        """Return the name in the storage by what is known of the file."""
        exists = record is not None and record.status == Status.EXISTS
        is_told = exists or self.identity.name_is_unique
        if not is_told and self.cachefile_backend.states is not None:
            raise FileNotFoundError(
                f"{self.spec_id}: no image of {self.spec.source} is recorded as {self.name!r}"
            )
        name = record.published_name if record is not None else ""
        return name or self.name or self._refuse_without_source()

    def _url_by(self, record: CacheFileRecord | None, kept: Fallback | None) -> str:
        """Return the URL by what is known of the file, and by what is kept of it, if anything is."""
        name = self._name_by(record)
        try:
            url = url_of(self, name, self.spec.url_provider)
        except Exception as error:  # noqa: BLE001 -- what client libraries raise
            cause = f"the storage gives no URL for {name!r}"
            failure = located(self.identity, cause, wrap=PublishError, hint=REACH_IT).error(error)
            self._fallback = fallback_for(self, failure)
            return self._fallback.url
        if kept is None:
            keep(self, record, url if has_fixed_url(self) else "")
        return url

    @property
    def size(self) -> int:
        """The size in bytes.

        Raises:
            MissingSource: The generator has no source.
            PublishError: The storage does not tell.
        """
        if self._file is not None and not self._file.closed:
            return int(File(self._file).size)
        self._require_existence()
        record = existence.known(self)
        if record is not None and record.size is not None:
            return record.size
        size = self._ask_storage(self.storage.size, "the size of")
        if record is not None and record.status == Status.EXISTS:
            existence.complete(self, record, size=size)
        return size

    @property
    def path(self) -> str:
        """The path in the local file system, of storages that have paths."""
        self._require_existence()
        return self.storage.path(self.published_name)

    def open(self, mode: str | None = "rb", *args: object, **kwargs: object) -> Self:
        """Open the content for reading, at its start.

        Raises:
            ValueError: *mode* is one for writing: a cache file is written by its backend.
        """
        if set(mode or "") - set("rb"):
            raise ValueError(f"A cache file can be opened for reading only, not in mode {mode!r}.")
        if self._file is None or self._file.closed:
            self._file = self._open()
        else:
            self._file.seek(0)
        return self

    @property
    def closed(self) -> bool:
        """Whether the content is not open."""
        return self._file is None or self._file.closed

    def close(self) -> None:
        """Close the content, if it is open."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _get_file(self) -> Any:
        if self._file is None:
            self._file = self._open()
        return self._file

    def _set_file(self, file: Any) -> None:
        self._file = file

    def _del_file(self) -> None:
        self._file = None

    file = property(_get_file, _set_file, _del_file)

    def delete(self) -> None:
        """Remove the file from its storage, and what is known of it; at once.

        No rollback brings the file back: it is made again when it is asked for. In a transaction
        ``transaction.on_commit(file.delete)`` leaves it until the commit, as is done for strategies.

        Raises:
            PublishError: The storage does not remove it.
        """
        self.close()
        self._fallback = None
        if self.name:
            self.cachefile_backend.delete(self)

    # How it is had.

    def generate(self, force: bool = False) -> None:
        """Have the file made by its backend."""
        raise NotImplementedError

    def _require_content(self) -> None:
        if content_required.receivers:
            content_required.send(sender=self, file=self)
        self.cachefile_strategy.on_content_required(self)

    def _is_recorded(self, may_make: bool) -> bool:
        """Return whether what is under the name is this image; if that is not known it may be made.

        A strategy that relies on its existence, or a backend that asks the storage for the name,
        cannot tell.

        Raises:
            GenerationError: The image cannot be made; another one may have its name.
        """
        if self.cachefile_backend.states is None or not self.name:
            return True
        if not existence.is_known_to_exist(self) and may_make:
            self.generate()
        return existence.is_known_to_exist(self)

    def _is_on_its_way(self, may_make: bool) -> bool:
        """Return whether something else is shown until the image is there."""
        if not self.identity.name_is_unique:
            return not self._is_recorded(may_make)
        if may_make and self.spec.fallback is None and self.spec.pending is None:
            return False
        is_made_later = self.cachefile_backend.is_async or is_in_event_loop()
        if (may_make and not is_made_later) or self.cachefile_backend.exists(self):
            return False
        if may_make:
            wait_for(self)
        return not existence.is_known_to_exist(self)

    def _open(self) -> IO[bytes]:
        self._require_content()
        if not self.identity.name_is_unique:
            self._is_recorded(self.cachefile_strategy.may_make and not is_spent(self))
        return self._ask_storage(lambda name: self.storage.open(name, "rb"), "the content of")

    def _ask_storage(self, ask: Callable[[str], T], what: str) -> T:
        """Return what ``ask(name)`` gives; a file that has gone is made again, if it is wanted.

        Raises:
            FileNotFoundError: The file has gone, and its strategy does not make it again.
            PublishError: The storage does not answer.
        """
        cause = f"the storage does not give {what} {self.name!r}"
        with located(
            self.identity, cause, wrap=PublishError, hint=REACH_IT, passes=FileNotFoundError
        ):
            try:
                return ask(self.published_name)
            except FileNotFoundError:
                # The state said that it exists. The storage is right.
                existence.invalidate(self)
                self._require_content()
                return ask(self.published_name)
