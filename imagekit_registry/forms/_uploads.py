"""Uploads that a spec has processed before anything was stored."""

from __future__ import annotations

import io
import posixpath
from typing import Any

from django.core.files.uploadedfile import InMemoryUploadedFile
from PIL import Image

from imagekit_registry.exceptions import GenerationError, MissingSource, ProcessingError
from imagekit_registry.imaging.formats import extension_to_mimetype, suggest_extension
from imagekit_registry.specs import SpecHost

__all__ = ["ProcessedUpload", "process_upload"]


class ProcessedUpload(InMemoryUploadedFile):
    """What a spec has made of an upload: a file in memory that knows its name, size and type.

    Args:
        content: The image.
        name: Its file name; the extension suits the format.
        format: Pillow's name of the format, if known.
        processed_by: The id of the spec, so that the upload is not processed by it once more.
    """

    image: Image.Image | None = None

    def __init__(
        self, content: io.BytesIO, name: str, format: str | None, processed_by: str | None
    ) -> None:
        super().__init__(
            file=content,
            field_name=None,
            name=name,
            content_type=extension_to_mimetype(posixpath.splitext(name)[1])
            or "application/octet-stream",
            size=content.getbuffer().nbytes,
            charset=None,
        )
        self.extension = posixpath.splitext(name)[1]
        self.format = format
        self.processed_by = processed_by


def process_upload(host: SpecHost, content: Any, name: str) -> ProcessedUpload:
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
