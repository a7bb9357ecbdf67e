"""Model fields: images made of another field's image, and images processed when uploaded."""

from __future__ import annotations

from imagekit_registry.forms.fields import ProcessedUpload
from imagekit_registry.models.fields._focal import FocalPointField
from imagekit_registry.models.fields._processed import ProcessedImageField, ProcessedImageFieldFile
from imagekit_registry.models.fields._spec import (
    ImageSpecField,
    related_model,
    spec_fields_of,
)
from imagekit_registry.processors.anchors import FocalPoint

__all__ = [
    "FocalPoint",
    "FocalPointField",
    "ImageSpecField",
    "ProcessedImageField",
    "ProcessedImageFieldFile",
    "ProcessedUpload",
    "related_model",
    "spec_fields_of",
]
