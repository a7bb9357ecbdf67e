"""What is told of a cache file beside its URL: to APIs, to pages that wait for it, by on-demand URLs."""

from __future__ import annotations

from typing import NoReturn, TypedDict, cast

from django.db.models.fields.files import FieldFile
from django.http import HttpRequest

from imagekit_registry._loading import get_by_qname
from imagekit_registry.cachefiles import existence
from imagekit_registry.cachefiles.fallbacks import Fallback
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.pending import demand_url
from imagekit_registry.cachefiles.rendering import log_failure
from imagekit_registry.exceptions import GenerationError, MissingSource
from imagekit_registry.imaging.formats import extension_to_mimetype, format_to_mimetype
from imagekit_registry.imaging.placeholders import NO_PLACEHOLDER, Placeholder
from imagekit_registry.specs import Picture, StoredFile, smallest_formats
from imagekit_registry.state import Status


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
            "placeholder": self._placeholder_dict() if is_shown else None,
            "pending": status in {Status.MISSING, Status.GENERATING},
        }
        if picture is None:
            return told
        parts = get_by_qname(_PICTURE_PARTS, "maker of pictures")(self, picture, request)
        return cast("PictureDict", {**told, **parts})

    def _placeholder_dict(self) -> dict[str, str] | None:
        return self.placeholder.as_dict() or None

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
