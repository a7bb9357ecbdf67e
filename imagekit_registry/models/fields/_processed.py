"""The field whose image is processed before it is stored."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard, Unpack

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.core.files.base import File
from django.core.files.storage import Storage
from django.db import models
from django.db.models.fields.files import FieldFile, ImageFieldFile
from django.db.models.signals import pre_save

from imagekit_registry.exceptions import GenerationError, ProcessingError
from imagekit_registry.forms.fields import (
    ERROR_MESSAGES,
    ProcessedUpload,
    explain_failure,
    process_upload,
)
from imagekit_registry.forms.fields import ProcessedImageField as ProcessedFormField
from imagekit_registry.models.fields._spec import call_when_prepared
from imagekit_registry.processors import Processor
from imagekit_registry.specs import FieldAttributes, SpecHost, show_attributes, split_attributes

#: Where an upload keeps what was made of it when it was validated, until it is stored.
_MADE = "_imagekit_made"


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
        processed = self.field.process(content, name, self.instance)
        if self._committed and not self.closed and self.__dict__.get("_file") is not content:
            self.close()  # the image that is replaced
        if not isinstance(processed, ProcessedUpload):
            super().save(name, processed, save)
            return
        self._replace_content(processed)
        super().save(_with_extension_of(name, processed), processed, save)
        processed.open()

    save.alters_data = True  # type: ignore[attr-defined]

    def process(self) -> None:
        """Process an upload that is not stored yet, so that its dimensions are the final ones."""
        processed = self.field.process(self.file, str(self.name), self.instance)
        if isinstance(processed, ProcessedUpload):
            self._replace_content(processed)
            self.name = _with_extension_of(str(self.name), processed)

    def _replace_content(self, content: ProcessedUpload) -> None:
        if self.__dict__.get("_file") is not None:
            self.file = content
        self.__dict__.pop("_dimensions_cache", None)


class _UploadForRow:
    """An upload as a spec's source: the file itself, but for the row and the field it is given to."""

    def __init__(self, upload: File[Any], instance: models.Model | None, field: object) -> None:
        self.upload, self.field = upload, field
        self._instance = instance
        self.is_recipe_by_row = False

    @property
    def instance(self) -> models.Model | None:
        """The row; who asks for it has a recipe that depends on it."""
        self.is_recipe_by_row = True
        return self._instance

    def __getattr__(self, name: str) -> Any:
        return getattr(self.upload, name)


def _is_upload(value: object) -> TypeGuard[File[bytes]]:
    return isinstance(value, File) and not getattr(value, "_committed", False)


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
    default_error_messages = ERROR_MESSAGES
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
            processors=processors,
            format=format,
            options=options,
            autoconvert=autoconvert,
            **attributes,
        )
        # Registered when the field takes its place: those of migrations have recipes of the past.
        self.spec_id = spec_id
        models.ImageField.__init__(self, verbose_name, name, width_field, height_field, **others)
        self._is_historical = False

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """Leave the recipe out of migrations: it changes nothing in the database."""
        name, path, args, kwargs = super().deconstruct()
        if type(self) is ProcessedImageField:
            path = "imagekit_registry.models.ProcessedImageField"
        return name, path, args, kwargs

    def contribute_to_class(  # type: ignore[override]
        self, cls: type[models.Model], name: str, private_only: bool = False
    ) -> None:
        """Take a place on a model: register the spec."""
        # Migrations make models of their own, which must not register anything.
        self._is_historical = cls.__module__ == "__fake__"
        if not self._is_historical:
            self._set_spec_id(cls, name)
        super().contribute_to_class(cls, name, private_only=private_only)
        if not cls._meta.abstract:
            call_when_prepared(cls, self._precede_saving, heirs=True)

    def _precede_saving(self, sender: type[models.Model], **kwargs: object) -> None:
        """Process uploads before a row is saved, or at least before their dimensions are.

        Before the row: a bad upload must not break a transaction.
        """
        if not issubclass(sender, self.model):
            return
        pre_save.connect(self._process_early, sender=sender)
        for column in sender._meta.concrete_fields:
            if sender is self.model and column.name in {self.width_field, self.height_field}:
                save = partial(self._save_dimension, column.pre_save)
                column.pre_save = save  # type: ignore[method-assign]

    def _save_dimension(
        self, save: Callable[[models.Model, bool], object], instance: models.Model, add: bool
    ) -> object:
        self._process_early(instance)
        return save(instance, add)

    def _process_early(
        self,
        instance: models.Model,
        raw: bool = False,
        update_fields: Iterable[str] | None = None,
        **kwargs: object,
    ) -> None:
        if raw or (update_fields is not None and self.name not in update_fields):
            return
        if not _is_upload(instance.__dict__.get(self.attname)):
            return
        file = getattr(instance, self.attname)
        if file and file.field != self:
            # It was taken from another row or field, which knows its own recipe at most.
            setattr(instance, self.attname, file.file)
            file = getattr(instance, self.attname)
        if file:
            file.process()
            self.update_dimension_fields(instance, force=True)

    @property
    def validators(self) -> list[Callable[..., None]]:
        """What Django and others run over an upload: the given ones, and whether it can be stored."""
        return [*super().validators, self._check_upload]

    def run_validators(self, value: Any) -> None:
        """Run the validators over what was uploaded, even if a form has processed it already.

        Raises:
            ValidationError: One of them refuses it, or it cannot be processed.
        """
        content = value.__dict__.get("_file") if isinstance(value, FieldFile) else None
        if isinstance(content, ProcessedUpload) and content.upload:
            shown = self.attr_class(value.instance, self, str(content.upload.name))
            shown.file, shown._committed = content.upload, False
            content.upload.__dict__[_MADE] = content
            value = shown
        super().run_validators(value)

    def _check_upload(self, value: object) -> None:
        if not _is_upload(value) or self._is_historical:
            return
        content: File[Any] = value.file if isinstance(value, FieldFile) else value
        instance = value.instance if isinstance(value, FieldFile) else None
        if self._made_of(content) is not None:
            return
        source = _UploadForRow(content, instance, self)
        try:
            made = process_upload(self, source, str(value.name))
        except GenerationError as error:
            if instance is None and source.is_recipe_by_row and isinstance(error, ProcessingError):
                return  # Only the row can tell.
            raise explain_failure(error, self, content, self.error_messages) from error
        if not source.is_recipe_by_row:
            # What depends on the row is made anew when it is saved: the row may change until then.
            content.__dict__[_MADE] = made

    def _made_of(self, content: File[Any]) -> ProcessedUpload | None:
        """Return what the spec has made of *content*, if it has."""
        made = content if isinstance(content, ProcessedUpload) else content.__dict__.get(_MADE)
        return made if made is not None and made.processed_by == self.spec_id else None

    def process(
        self, content: File[Any], name: str, instance: models.Model | None = None
    ) -> File[Any]:
        """Return what the spec makes of *content*, or *content* itself if it is done already.

        Args:
            content: The upload.
            name: Its file name.
            instance: The row that it is given to, for recipes that depend on it.

        Raises:
            GenerationError: It is no image, beyond the limits, or could not be processed.
        """
        if self._is_historical:
            try:
                # What the field of the migration has become.
                field = apps.get_model(self.model._meta.label)._meta.get_field(self.name)
            except (LookupError, FieldDoesNotExist):
                return content
            is_ours = isinstance(field, ProcessedImageField)
            return field.process(content, name, instance) if is_ours else content
        made = self._made_of(content)
        content.__dict__.pop(_MADE, None)
        return made or process_upload(self, _UploadForRow(content, instance, self), name)

    def formfield(self, **kwargs: Any) -> Any:
        """Return a form field that checks the upload; it is processed when the row is validated."""
        form_class = partial(ProcessedFormField, spec_id=str(self.spec_id), autoconvert=None)
        field = super().formfield(**{"form_class": form_class, **kwargs})
        if isinstance(field, ProcessedFormField):
            field.is_processing = False
        return field
