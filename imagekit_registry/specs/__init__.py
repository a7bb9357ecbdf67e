"""What to make: image specs, their recipes and digests, and the sources that feed them."""

from __future__ import annotations

from imagekit_registry.exceptions import MissingSource
from imagekit_registry.specs._base import (
    BaseImageSpec,
    BrokenSpec,
    adapt_generator,
    default_limits,
    format_options,
    load_decoder,
    load_placeholders,
    load_resizer,
    smallest_formats,
)
from imagekit_registry.specs._detection import suggested_point
from imagekit_registry.specs._digest import canonical_text, digest
from imagekit_registry.specs._host import (
    FieldAttributes,
    FileAttributes,
    SpecAttributes,
    SpecHost,
    create_spec_class,
    is_made_of_arguments,
    show_attributes,
    split_attributes,
)
from imagekit_registry.specs._picture import WEB_FORMATS, Picture, Source, settle_picture
from imagekit_registry.specs._rows import (
    iterate_rows,
    keep_points_in,
    note_moved_point,
    point_column,
    point_of,
)
from imagekit_registry.specs._sources import (
    SourceReader,
    SourceReference,
    StoredFile,
    fingerprint,
    has_generator,
    has_source,
    is_open,
    is_stored,
    name_of,
    open_source,
    reading,
    refer_to,
    reference_of,
    storage_of,
)
from imagekit_registry.specs._spec import ImageSpec, generate_together, rendering_by

__all__ = [
    "WEB_FORMATS",
    "BaseImageSpec",
    "BrokenSpec",
    "FieldAttributes",
    "FileAttributes",
    "ImageSpec",
    "MissingSource",
    "Picture",
    "Source",
    "SourceReader",
    "SourceReference",
    "SpecAttributes",
    "SpecHost",
    "StoredFile",
    "adapt_generator",
    "canonical_text",
    "create_spec_class",
    "default_limits",
    "digest",
    "fingerprint",
    "format_options",
    "generate_together",
    "has_generator",
    "has_source",
    "is_made_of_arguments",
    "is_open",
    "is_stored",
    "iterate_rows",
    "keep_points_in",
    "load_decoder",
    "load_placeholders",
    "load_resizer",
    "name_of",
    "note_moved_point",
    "open_source",
    "point_column",
    "point_of",
    "reading",
    "refer_to",
    "reference_of",
    "rendering_by",
    "settle_picture",
    "show_attributes",
    "smallest_formats",
    "split_attributes",
    "storage_of",
    "suggested_point",
]
