"""Signals: what happens to sources and cache files."""

from __future__ import annotations

from django.dispatch import Signal

__all__ = [
    "content_required",
    "existence_required",
    "generated",
    "generation_failed",
    "looked_up",
    "retired",
    "source_deleted",
    "source_moved",
    "source_saved",
    "source_written",
    "sources_deleted",
    "sources_saved",
]

#: The content of a cache file is about to be read. Sent by the file; argument ``file``.
content_required = Signal()

#: Something relies on the existence of a cache file (its URL, its size). Argument ``file``.
existence_required = Signal()

#: A new image stands in a source field, and its row is committed. Sent by the source group;
#: argument ``source``, and ``is_one_of_many`` if ``sources_saved`` follows.
source_saved = Signal()

#: An image has left a source field: replaced, cleared or its row deleted, and that is committed.
#: Sent by the source group; argument ``source``, and ``is_one_of_many`` if ``sources_deleted`` follows.
source_deleted = Signal()

#: The same of all images that the rows of one transaction have let go of or hold anew, once, after
#: each was announced by itself. Argument ``sources``: pairs of a source group and a source.
sources_deleted = Signal()
sources_saved = Signal()

#: The focal point of an image was moved, and that is committed. Sent by the source group; arguments
#: ``source`` and ``former``, the same image with the point that it had.
source_moved = Signal()

#: A new image was saved to a source field within a transaction that is not committed yet: the file
#: may be another one already. Sent by the source group; argument ``source``.
source_written = Signal()

#: A cache file was made. Arguments ``file``, ``spec_id``, ``source`` (name), ``seconds``, ``bytes`` and
#: ``name``: the one that it has in its storage.
generated = Signal()

#: A cache file could not be made. Arguments ``file``, ``spec_id``, ``source`` (name), ``seconds``,
#: ``cause`` (a sentence) and ``error`` (the exception).
generation_failed = Signal()

#: A state store or a storage was asked about files; what a process remembers itself is not told. Sent
#: by the store's or the storage's class; arguments ``outcome``, and ``count``, the number of files of
#: which it is true: ``"record"`` (the store has one), ``"no_record"``, ``"file"`` (the storage has it),
#: ``"no_file"`` and ``"no_answer"`` (of either).
looked_up = Signal()

#: URLs of images are not right any more: the images were deleted, or others have taken their places.
#: Sent when that is done; argument ``urls``, a list.
retired = Signal()
