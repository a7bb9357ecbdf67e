"""Form fields: uploads that are processed before the form is saved."""

from __future__ import annotations

import io
import logging
import math
import posixpath
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, Unpack

from django import forms
from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.files.uploadedfile import InMemoryUploadedFile
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _
from PIL import Image

from imagekit_registry import imaging
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import (
    GenerationError,
    InvalidArgumentType,
    LimitExceeded,
    MissingSource,
    ProcessingError,
    SourceUnavailable,
    UnknownFormat,
    UnreadableImage,
)
from imagekit_registry.imaging.formats import (
    extension_to_mimetype,
    format_to_mimetype,
    suggest_extension,
)
from imagekit_registry.processors import Processor
from imagekit_registry.specs import (
    FieldAttributes,
    ImageSpec,
    SpecHost,
    default_limits,
    open_source,
    show_attributes,
    split_attributes,
)

if TYPE_CHECKING:
    from imagekit_registry.imaging import Header, Limits

__all__ = [
    "ERROR_MESSAGES",
    "ProcessedImageField",
    "ProcessedUpload",
    "explain_failure",
    "explain_limit",
    "process_upload",
]

#: What is said to the person who uploads, by the code of the error.
ERROR_MESSAGES = {
    "invalid_image": forms.ImageField.default_error_messages["invalid_image"],
    "too_many_pixels": _(
        "The image has too many pixels. At most %(limit)s are allowed, such as %(side)s by"
        " %(side)s: make it smaller and upload it again."
    ),
    "too_many_bytes": _("The file is too large. At most %(limit)s are allowed."),
    "too_many_frames": _(
        "The animation has too many frames. At most %(limit)s are allowed: shorten it and"
        " upload it again."
    ),
    "too_complex": _(
        "The image is too large or too complex to be processed. Upload a smaller one."
    ),
    "unprocessable": _("The image could not be processed. Upload another one."),
}

_logger = logging.getLogger("imagekit_registry.forms")


class ProcessedUpload(InMemoryUploadedFile):
    """What a spec has made of an upload: a file in memory that knows its name, size and type.

    Args:
        content: The image.
        name: Its file name; the extension suits the format.
        format: Pillow's name of the format, if known.
        processed_by: The id of the spec, so that the upload is not processed by it once more.

    Attributes:
        upload: What was uploaded, for validators; None if nobody is to see it any more.
    """

    image: Image.Image | None = None
    upload: File[Any] | None = None

    def __init__(
        self, content: io.BytesIO, name: str, format: str | None, processed_by: str | None
    ) -> None:
        self.extension = posixpath.splitext(name)[1]
        self.format = format
        self.processed_by = processed_by
        media_type = extension_to_mimetype(self.extension) or "application/octet-stream"
        self._data = content.getvalue()  # shared, not copied
        super().__init__(content, None, name, media_type, len(self._data), charset=None)

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> Self:
        """Open it at its start; a storage may have closed it, when it had saved it."""
        if self.closed:
            self.file = io.BytesIO(self._data)
        self.seek(0)
        return self


def process_upload(host: SpecHost, content: object, name: str) -> ProcessedUpload:
    """Return what the spec of *host* makes of an upload; nothing is stored.

    Args:
        host: A field with a spec.
        content: The uploaded file; it is left open, at the position that it had.
        name: Its file name.

    Raises:
        GenerationError: It is no image, beyond the limits, or could not be processed.
    """
    spec = host.get_spec(source=content)
    try:
        result = spec.generate()
    except GenerationError as error:
        raise error.located(host.spec_id, name) from error.__cause__
    except MissingSource:
        raise
    except Exception as error:
        raise ProcessingError(
            f"the generator raised {type(error).__name__}: {error}",
            spec_id=host.spec_id,
            source=name,
        ) from error
    result.seek(0)
    buffer = result if isinstance(result, io.BytesIO) else io.BytesIO(result.read())
    format = getattr(result, "format", None) or getattr(spec, "format", None)
    stem = posixpath.splitext(name)[0]
    processed_name = f"{stem}{suggest_extension(name, format)}"
    return ProcessedUpload(buffer, processed_name, format, host.spec_id)


class _Arguments(FieldAttributes, total=False):
    """What the field takes by name: its spec's attributes, and what Django's field takes."""

    required: bool
    widget: forms.Widget | type[forms.Widget] | None
    label: object
    initial: object
    help_text: object
    error_messages: Mapping[str, object] | None
    show_hidden_initial: bool
    validators: Sequence[Callable[..., None]]
    localize: bool
    disabled: bool
    label_suffix: str | None
    template_name: str | None
    bound_field_class: type[forms.BoundField] | None
    max_length: int | None
    allow_empty_file: bool


class ProcessedImageField(forms.ImageField, SpecHost):
    """An image field of a form whose cleaned value is the processed upload.

    Args:
        processors, format, options, autoconvert: As in `SpecAttributes`.
        spec_id: The id under which the spec is registered. A form field is not told its name, so
            it must be given.
        spec: A spec, in place of attributes of one.
        **kwargs: `SpecAttributes`, but for those of cache files, and what Django's form
            ``ImageField`` takes, such as ``required``.

    Raises:
        InvalidArgumentType: *spec_id* is missing, or a spec is given together with attributes.

    Example:
        >>> class AvatarForm(forms.Form):
        ...     avatar = ProcessedImageField(
        ...         [ResizeToFill(200, 200)], format="JPEG", spec_id="accounts:avatar"
        ...     )
    """

    default_error_messages = ERROR_MESSAGES
    #: False in a model's form: its field processes the upload when the form has filled in the row.
    is_processing = True

    @show_attributes(FieldAttributes)
    def __init__(
        self,
        processors: Sequence[Processor] | None = None,
        format: str | None = None,
        options: Mapping[str, object] | None = None,
        autoconvert: bool | None = True,
        spec_id: str | None = None,
        spec: Callable[..., object] | None = None,
        **kwargs: Unpack[_Arguments],
    ) -> None:
        if spec_id is None:
            raise InvalidArgumentType(
                "A ProcessedImageField of a form needs a spec_id, such as 'accounts:avatar': a"
                " form field is not told its name."
            )
        attributes, others = split_attributes(kwargs)
        if spec is not None and autoconvert:
            # True is what a spec has by itself, so it contradicts no given spec.
            autoconvert = None
        SpecHost.__init__(
            self,
            spec,
            spec_id,
            processors=processors,
            format=format,
            options=options,
            autoconvert=autoconvert,
            **attributes,
        )
        forms.ImageField.__init__(self, **others)

    def to_python(self, data: Any) -> Any:
        """Return the upload, if it is an image within the limits; only its header is read.

        Raises:
            ValidationError: It is not.
        """
        upload = forms.FileField.to_python(self, data)
        if upload is None:
            return None
        try:
            with open_source(upload) as file:
                header = imaging.read_header(file, _limits_of(self, upload))
        except GenerationError as error:
            raise explain_failure(error, self, upload, self.error_messages) from error
        _annotate(upload, header)
        return upload

    def clean(self, data: Any, initial: Any = None) -> Any:
        """Return the processed upload; what was stored before if there is none.

        Raises:
            ValidationError: The upload is no image, or could not be processed.
        """
        upload = super().clean(data, initial)
        if not upload or upload is initial or isinstance(upload, ProcessedUpload):
            return upload
        if not self.is_processing:
            return upload
        try:
            processed = process_upload(self, upload, upload.name)
        except GenerationError as error:
            raise explain_failure(error, self, upload, self.error_messages) from error
        processed.upload = upload
        with suppress(Exception):
            processed.image = Image.open(processed)
        processed.seek(0)
        return processed


def _limits_of(host: SpecHost, upload: File[Any]) -> Limits:
    spec = host.get_spec(source=upload)
    return (spec.limits if isinstance(spec, ImageSpec) else None) or default_limits()


def explain_failure(
    error: GenerationError, host: SpecHost, upload: File[Any], messages: Mapping[str, Any]
) -> ValidationError:
    """Return *error* in words for the person who uploads.

    Args:
        error: Why the upload could not be processed.
        host: The field with the spec.
        upload: What was uploaded.
        messages: The words, as in `ERROR_MESSAGES`.

    Raises:
        GenerationError: *error* itself, if it is for the developer and failures are raised.
    """
    if isinstance(error, UnreadableImage | SourceUnavailable):
        return ValidationError(messages["invalid_image"], code="invalid_image")
    if isinstance(error, LimitExceeded):
        code, params = explain_limit(error.limit, _limits_of(host, upload))
        return ValidationError(messages[code], code=code, params=params)
    if conf.ON_ERROR == "raise":
        raise error
    _logger.error("%s", error, exc_info=error)
    return ValidationError(messages["unprocessable"], code="unprocessable")


def explain_limit(limit: str, limits: Limits) -> tuple[str, dict[str, str] | None]:
    """Return the key of what is said of a limit in `ERROR_MESSAGES`, and its parameters.

    Args:
        limit: Which was exceeded, as `LimitExceeded` has it.
        limits: All of them.
    """
    if limit == "pixels" and limits.max_pixels:
        side = math.isqrt(limits.max_pixels)
        return "too_many_pixels", {"limit": f"{limits.max_pixels:,}", "side": f"{side:,}"}
    if limit == "bytes" and limits.max_bytes:
        return "too_many_bytes", {"limit": filesizeformat(limits.max_bytes)}
    if limit == "frames" and limits.max_frames:
        return "too_many_frames", {"limit": f"{limits.max_frames:,}"}
    return "too_complex", None


def _annotate(upload: Any, header: Header) -> None:
    """Set what Django's field sets on an upload, for validators: its image and content type."""
    with suppress(UnknownFormat):
        upload.content_type = format_to_mimetype(header.format)
    # Above this many pixels Pillow warns, and warnings may be errors; our own limits are checked.
    if header.width * header.height < (Image.MAX_IMAGE_PIXELS or 0):
        with suppress(Exception):
            format = "JPEG" if header.format == "MPO" else header.format
            upload.image = Image.open(upload, formats=[format])
    upload.seek(0)
