"""Form fields: uploads that are processed before the form is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imagekit_registry.exceptions import InvalidArgumentType
from imagekit_registry.forms._formfield import ProcessedUploadField
from imagekit_registry.imaging import Limits
from imagekit_registry.specs import SpecHost

__all__ = ["ProcessedImageField"]


class ProcessedImageField(ProcessedUploadField, SpecHost):
    """An image field of a form whose cleaned value is the processed upload.

    Args:
        processors: What is done to the image, in this order.
        format: Pillow's name of the format to write; None: the upload's own.
        options: Options of Pillow's ``Image.save`` for the format.
        autoconvert: Whether the mode is converted to one that the format holds.
        spec_id: The id under which the spec is registered. A form field is not told its name, so
            it must be given.
        spec: A spec, in place of attributes of one.
        auto_orient: Whether the EXIF orientation is applied before the processors.
        color: ``"srgb"`` converts embedded colour profiles, ``"keep"`` leaves them.
        metadata: What is kept of it: ``"strip"``, ``"copyright"`` or ``"keep"``.
        animated: Whether an animation stays one where the format can hold it.
        background: The colour under transparent parts where the format has no transparency.
        limits: Limits for uploads to this field alone.
        decode_small: Whether the upload may be decoded at a fraction of its size.
        **kwargs: What Django's form ``ImageField`` takes, such as ``required``.

    Raises:
        InvalidArgumentType: *spec_id* is missing, or a spec is given together with attributes.

    Example:
        >>> class AvatarForm(forms.Form):
        ...     avatar = ProcessedImageField(
        ...         [ResizeToFill(200, 200)], format="JPEG", spec_id="accounts:avatar"
        ...     )
    """

    def __init__(
        self,
        processors: Sequence[Any] | None = None,
        format: str | None = None,
        options: Mapping[str, Any] | None = None,
        autoconvert: bool = True,
        spec_id: str | None = None,
        spec: Any = None,
        *,
        auto_orient: bool | None = None,
        color: str | None = None,
        metadata: str | None = None,
        animated: bool | None = None,
        background: Any = None,
        limits: Limits | None = None,
        decode_small: bool | None = None,
        **kwargs: Any,
    ) -> None:
        if spec_id is None:
            raise InvalidArgumentType(
                "A ProcessedImageField of a form needs a spec_id, such as 'accounts:avatar': a"
                " form field is not told its name."
            )
        SpecHost.__init__(
            self,
            spec=spec,
            spec_id=spec_id,
            processors=processors,
            format=format,
            options=options,
            # True is what a spec has by itself, so it contradicts no given spec.
            autoconvert=None if spec is not None and autoconvert else autoconvert,
            auto_orient=auto_orient,
            color=color,
            metadata=metadata,
            animated=animated,
            background=background,
            limits=limits,
            decode_small=decode_small,
        )
        ProcessedUploadField.__init__(self, **kwargs)
