"""The field whose image is processed before it is stored."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from django.core import checks
from django.core.files.base import File
from django.core.files.storage import Storage
from django.db import models
from django.db.models.fields.files import ImageFieldFile
from django.db.models.signals import class_prepared, pre_save

from imagekit_registry.exceptions import NotRegistered
from imagekit_registry.forms.fields import ProcessedImageField as ProcessedFormField
from imagekit_registry.forms.fields import ProcessedUpload, process_upload
from imagekit_registry.models.fields._spec import default_spec_id, spec_id_errors
from imagekit_registry.processors import Processor
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import FieldAttributes, SpecHost, show_attributes, split_attributes


class ProcessedImageFieldFile(ImageFieldFile):
    """A stored image; what is saved to it goes through the field's spec first."""

    field: ProcessedImageField
    _committed: bool

    def save(self, name: str, content: File[Any], save: bool = True) -> None:
        """Process *content* and store the result.

        Args:
            name: The file's name; its extension will follow the format.
            content: The upload.
            save: Whether to save the model instance as well.

        Raises:
            GenerationError: *content* is no image, beyond the limits, or could not be processed;
                nothing is stored then.
        """
        processed = self.field.process(content, name)
        if self._committed and not self.closed and self.__dict__.get("_file") is not content:
            self.close()  # the image that is replaced
        if not isinstance(processed, ProcessedUpload):
            super().save(name, processed, save)
            return
        self._replace_content(processed)
        super().save(_with_extension_of(name, processed), processed, save)
        processed.seek(0)

    save.alters_data = True  # type: ignore[attr-defined]

    def process(self) -> None:
        """Process an upload that is not stored yet, so that its dimensions are the final ones."""
        processed = self.field.process(self.file, str(self.name))
        if isinstance(processed, ProcessedUpload):
            self._replace_content(processed)
            self.name = _with_extension_of(str(self.name), processed)

    def _replace_content(self, content: ProcessedUpload) -> None:
        if self.__dict__.get("_file") is not None:
            self.file = content
        self.__dict__.pop("_dimensions_cache", None)


def _with_extension_of(name: str, upload: ProcessedUpload) -> str:
    return f"{posixpath.splitext(name)[0]}{upload.extension}"


class _Arguments(FieldAttributes, total=False):
    """What the field takes by name: its spec's attributes, and what Django's field takes."""

    upload_to: str | Path | Callable[..., str | Path]
    storage: Storage | Callable[[], Storage] | None
    max_length: int | None
    blank: bool
    null: bool
    default: object
    db_default: object
    help_text: object
    validators: Iterable[Callable[..., None]]
    error_messages: Mapping[str, object] | None
    editable: bool
    unique: bool
    primary_key: bool
    db_index: bool
    db_column: str | None
    db_comment: str | None
    db_tablespace: str | None
    choices: object
    unique_for_date: str | None
    unique_for_month: str | None
    unique_for_year: str | None


class ProcessedImageField(models.ImageField, SpecHost):
    """An image field that runs its spec over an upload before anything is stored.

    The original is not kept: use it to bring uploads into one format, or to a reasonable size. In
    migrations it is a field like any other, without its recipe.

    Args:
        processors, format, options, autoconvert: As in `SpecAttributes`.
        verbose_name, name: As for Django's ``ImageField``.
        width_field: Name of the field that gets the width of the processed image, in pixels.
        height_field: Name of the field that gets the height of the processed image, in pixels.
        spec: A spec, in place of attributes of one.
        spec_id: The id under which the spec is registered; ``app:model:field`` if None.
        **kwargs: `SpecAttributes`, but for those of cache files, and what Django's ``ImageField``
            takes, such as ``upload_to``.

    Raises:
        InvalidArgumentType: A spec is given together with attributes of one.

    Example:
        >>> class Profile(models.Model):
        ...     avatar = ProcessedImageField(
        ...         [ResizeToFill(200, 200)], format="JPEG", upload_to="avatars"
        ...     )
    """

    attr_class = ProcessedImageFieldFile
    width_field: str | None
    height_field: str | None

    @show_attributes(FieldAttributes)
    def __init__(
        self,
        processors: Sequence[Processor] | None = None,
        format: str | None = None,
        options: Mapping[str, object] | None = None,
        verbose_name: Any = None,
        name: str | None = None,
        width_field: str | None = None,
        height_field: str | None = None,
        autoconvert: bool | None = None,
        spec: Callable[..., object] | None = None,
        spec_id: str | None = None,
        **kwargs: Unpack[_Arguments],
    ) -> None:
        if spec is None and spec_id is None and autoconvert is None:
            # A field without any recipe still checks its uploads.
            autoconvert = True
        attributes, others = split_attributes(kwargs)
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
        models.ImageField.__init__(self, verbose_name, name, width_field, height_field, **others)
        self._is_historical = False

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """Leave the recipe out of migrations: it changes nothing in the database."""
        name, _, args, kwargs = super().deconstruct()
        return name, "imagekit_registry.models.ProcessedImageField", args, kwargs

    def contribute_to_class(  # type: ignore[override]
        self, cls: type[models.Model], name: str, private_only: bool = False
    ) -> None:
        """Take a place on a model: register the spec."""
        # Migrations make models of their own, which must not register anything.
        self._is_historical = cls.__module__ == "__fake__"
        if not self._is_historical:
            self.set_spec_id(self.spec_id or default_spec_id(cls, name))
        elif not self.spec_id:
            self.spec_id = default_spec_id(cls, name)
        super().contribute_to_class(cls, name, private_only=private_only)
        if not cls._meta.abstract:
            # Before the row is saved: its fields are saved in their order, and the dimensions must
            # be known before the first; and a bad upload must not break a transaction.
            pre_save.connect(self._process_early, sender=cls)
            class_prepared.connect(self._adopt_subclass)

    def _adopt_subclass(self, sender: type[models.Model], **kwargs: object) -> None:
        if sender is not self.model and issubclass(sender, self.model):
            pre_save.connect(self._process_early, sender=sender)

    def _process_early(
        self,
        sender: type[models.Model],
        instance: models.Model,
        raw: bool,
        update_fields: Iterable[str] | None = None,
        **kwargs: object,
    ) -> None:
        value = instance.__dict__.get(self.attname)
        if raw or not isinstance(value, File) or getattr(value, "_committed", False):
            return
        if update_fields is not None and self.name not in update_fields:
            return
        file = getattr(instance, self.attname)
        if file:
            file.process()
            self.update_dimension_fields(instance, force=True)

    def process(self, content: File[Any], name: str) -> File[Any]:
        """Return what the spec makes of *content*, or *content* itself if it is done already.

        Raises:
            GenerationError: It is no image, beyond the limits, or could not be processed.
        """
        if isinstance(content, ProcessedUpload) and content.processed_by == self.spec_id:
            return content
        try:
            generator_registry.lookup(str(self.spec_id))
        except NotRegistered:
            if self._is_historical:
                return content
            raise
        return process_upload(self, content, name)

    def formfield(self, **kwargs: Any) -> Any:
        """Return a form field that processes the upload, so that its errors are shown there."""
        form_class = partial(ProcessedFormField, spec_id=str(self.spec_id), autoconvert=None)
        return super().formfield(**{"form_class": form_class, **kwargs})

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Return what is wrong with this field, for Django's system checks."""
        where = f"{self.model._meta.label}.{self.name}"
        return [*super().check(**kwargs), *spec_id_errors(self, where)]
