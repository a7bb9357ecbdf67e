"""The form field of uploads that a spec processes."""

from __future__ import annotations

import logging
import math
from contextlib import suppress
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _
from PIL import Image

from imagekit_registry.conf import conf
from imagekit_registry.exceptions import (
    GenerationError,
    LimitExceeded,
    SourceUnavailable,
    UnknownFormat,
    UnreadableImage,
)
from imagekit_registry.forms._uploads import ProcessedUpload, process_upload
from imagekit_registry.imaging import Header, Limits, read_header
from imagekit_registry.imaging.formats import format_to_mimetype
from imagekit_registry.specs import SpecHost, default_limits, open_source

__all__ = ["ProcessedUploadField"]

_logger = logging.getLogger("imagekit_registry.forms")


class ProcessedUploadField(forms.ImageField):
    """A form field whose upload is checked against the limits and processed by a spec.

    Args:
        host: What has the spec; this field itself if None.
        **kwargs: What Django's ``ImageField`` takes.
    """

    default_error_messages = {
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

    def __init__(self, *, host: SpecHost | None = None, **kwargs: Any) -> None:
        self._host = host
        super().__init__(**kwargs)

    @property
    def host(self) -> SpecHost:
        """What has the spec."""
        return self._host or self  # type: ignore[return-value]

    def to_python(self, data: Any) -> Any:
        """Return the upload, if it is an image within the limits; only its header is read.

        Raises:
            ValidationError: It is not.
        """
        upload: Any = forms.FileField.to_python(self, data)
        if upload is None:
            return None
        limits = self._limits_for(upload)
        try:
            with open_source(upload) as file:
                header = read_header(file, limits)
        except GenerationError as error:
            raise self._explain(error, limits) from error
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
        try:
            processed = process_upload(self.host, upload, upload.name)
        except GenerationError as error:
            raise self._explain(error, self._limits_for(upload)) from error
        with suppress(Exception):
            processed.image = Image.open(processed)
        processed.seek(0)
        return processed

    def _limits_for(self, upload: Any) -> Limits:
        spec = self.host.get_spec(source=upload)
        return getattr(spec, "limits", None) or default_limits()

    def _explain(self, error: GenerationError, limits: Limits) -> ValidationError:
        """Return *error* in words for the person who uploads.

        Raises:
            GenerationError: *error* itself, if it is for the developer and failures are raised.
        """
        if isinstance(error, UnreadableImage | SourceUnavailable):
            return ValidationError(self.error_messages["invalid_image"], code="invalid_image")
        if isinstance(error, LimitExceeded):
            code, params = _limit_params(error.limit, limits)
            return ValidationError(self.error_messages[code], code=code, params=params)
        if conf.ON_ERROR == "raise":
            raise error
        _logger.error("%s", error, exc_info=error)
        return ValidationError(self.error_messages["unprocessable"], code="unprocessable")


def _limit_params(limit: str, limits: Limits) -> tuple[str, dict[str, Any] | None]:
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
