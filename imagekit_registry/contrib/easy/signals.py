"""The signals that easy-thumbnails sends."""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["saved_file", "thumbnail_created", "thumbnail_missed"]

#: A new file was stored as its row was saved. Sent by the model; argument ``fieldfile``.
saved_file = Signal()

#: An image was made. Sent by it, as a `ThumbnailFile`.
thumbnail_created = Signal()

#: An image was asked for that is not there and is not to be made. Sent by the thumbnailer;
#: argument ``options``.
thumbnail_missed = Signal()
