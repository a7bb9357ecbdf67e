"""Model fields, and the table of cache files."""

from __future__ import annotations

from imagekit_registry.models.fields import (
    FocalPoint,
    FocalPointField,
    ImageSpecField,
    ProcessedImageField,
)
from imagekit_registry.models.records import CacheFileRecordRow

__all__ = [
    "CacheFileRecordRow",
    "FocalPoint",
    "FocalPointField",
    "ImageSpecField",
    "ProcessedImageField",
]
