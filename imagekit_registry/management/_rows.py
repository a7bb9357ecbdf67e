"""What part of all images ``generateimages`` makes: of which rows, and how many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from django.apps import apps
from django.core.exceptions import FieldError, ValidationError
from django.core.management.base import CommandError
from django.db.models import Model, Q, QuerySet
from django.db.models.fields.files import FieldFile

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.existence import fetch
from imagekit_registry.maintenance.inventory import (
    Errors,
    batches_of_rows,
    every_batch,
    expected_count,
    feeds_of,
    has_pictures,
)
from imagekit_registry.management._commands import Arguments, Options

_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


#: The options that choose a part.
ARGUMENTS: Arguments = {
    "--model": {
        "metavar": "APP.MODEL",
        "help": "Only what the image fields of this model feed, in the order of its rows: shop.Photo.",
    },
    "--filter": {
        "action": "append",
        "default": [],
        "metavar": "LOOKUP=VALUE",
        "help": "Only those rows, as of a queryset: pk__gte=1000. May be given several times; values of"
        " __in are parted by commas.",
    },
    "--limit": {
        "type": int,
        "metavar": "N",
        "help": "Stop when N images were made or handed to workers; those of one source are not parted,"
        " and with --jobs those that threads have taken by then, up to four of each, are made as well."
        " Called again, the command goes on, since what exists is passed over.",
    },
}


class Part:
    """The part that the options of a command choose.

    Args:
        options: The options.
        ids: The ids of the specs that are meant.

    Attributes:
        is_cut: Whether the limit has left something.

    Raises:
        CommandError: There is no such model, it feeds nothing, or the options make no sense.
    """

    def __init__(self, options: Options, ids: Sequence[str]) -> None:
        self._ids, self._limit = ids, options["limit"]
        self._rows = _rows_of(options)
        #: The first row of a batch that may not be done, and of the one after it.
        self._begun: list[object] = []
        self.is_cut = False
        if self._limit is not None and self._limit < 1:
            raise CommandError("Give a number from 1 on for --limit.")
        if self._limit and options["force"] and self._rows is None:
            raise CommandError(
                "--force with --limit would make the same images each time. Give --model as well: then"
                " the command says where to go on."
            )
        if self._rows is not None and not feeds_of(self._rows.model, ids):
            raise CommandError(
                f"No image field of {options['model']} feeds any of the specs that are meant."
            )

    def count(self) -> int | None:
        """Return how many images there are at most; None if somebody does not say."""
        if self._rows is None:
            return expected_count(self._ids)
        feeds = feeds_of(self._rows.model, self._ids)
        is_known = not has_pictures(spec_id for _, spec_id in feeds)
        return self._rows.count() * len(feeds) if is_known else None

    def batches(self, errors: Errors, made: Callable[[], int]) -> Iterator[list[ImageCacheFile]]:
        """Yield the files, up to the limit.

        Args:
            errors: Where to write down what goes wrong.
            made: Tells how many images were made until now.
        """
        batches = (
            every_batch(self._ids, errors)
            if self._rows is None
            else batches_of_rows(self._rows, self._ids, errors)
        )
        for batch in batches:
            self._begun = [*self._begun[-1:], *map(_row_of, batch[:1])]
            if self._limit is None:
                yield batch
                continue
            fetch(batch)  # together, for this process to remember
            by_source: dict[str, list[ImageCacheFile]] = {}
            for file in batch:
                by_source.setdefault(file.identity.source, []).append(file)
            for files in by_source.values():
                if made() >= self._limit:
                    self.is_cut, self._begun = True, [_row_of(files[0])]
                    return
                yield files

    @property
    def next(self) -> str:
        """The lookup to go on with; empty if no rows are chosen, or none is known.

        What comes before it is done. The last batch but one may still be with threads.
        """
        pk = self._begun[0] if self._rows is not None and self._begun else None
        return f"pk__gte={pk}" if pk is not None else ""


def _row_of(file: ImageCacheFile) -> object:
    """Return the key of the row that holds the source of a file, or that of its source's source."""
    source: object = file.source
    while isinstance(source, ImageCacheFile):
        source = source.source
    return source.instance.pk if isinstance(source, FieldFile) else None


def _rows_of(options: Options) -> QuerySet[Model] | None:
    label = options["model"]
    if not label:
        if options["filter"]:
            raise CommandError("--filter chooses rows of a model. Give --model as well.")
        return None
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError) as error:
        text = f"There is no model {label!r} ({error}). Write the app and the model: shop.Photo."
        raise CommandError(text) from error
    lookups = map(_lookup, options["filter"])
    try:
        rows: QuerySet[Model] = model._base_manager.filter(*lookups).order_by("pk")
    except (FieldError, TypeError, ValidationError, ValueError) as error:
        text = f"The rows of {label} cannot be chosen by {' '.join(options['filter'])}: {error}"
        raise CommandError(text) from error
    return rows


def _lookup(text: str) -> Q:
    name, separator, value = text.partition("=")
    if not separator:
        raise CommandError(f"{text!r} is no lookup. Write one such as pk__gte=1000.")
    if name.endswith("__in"):
        return Q((name, value.split(",")))
    if name.endswith("__isnull"):
        if value.lower() not in _FLAGS:
            raise CommandError(f"{text!r} is neither true nor false. Write {name}=true or =false.")
        return Q((name, _FLAGS[value.lower()]))
    return Q((name, value))
