"""``manage.py generateimages``: make the images of all sources, or of some rows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldError, ValidationError
from django.core.management.base import CommandError
from django.db.models import Model, Q, QuerySet
from django.db.models.fields.files import FieldFile

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.bulk import Generation
from imagekit_registry.cachefiles.existence import fetch
from imagekit_registry.cachefiles.listing import Hashes
from imagekit_registry.cachefiles.results import ResultStatus
from imagekit_registry.exceptions import ImageKitError
from imagekit_registry.maintenance.again import Lost
from imagekit_registry.maintenance.inventory import (
    Errors,
    batches_of_rows,
    every_batch,
    expected_count,
    fed_ids,
    feeds_of,
    has_pictures,
)
from imagekit_registry.maintenance.waiting import Waiting
from imagekit_registry.management._commands import (
    ImageCommand,
    Options,
    counted,
    describe,
    flag,
    select,
)
from imagekit_registry.state import get_state_access

__all__ = ["Command"]

#: What is said of a spec for template tags.
UNFED = "Its images are made as tags show them; to make them here, register a source group."
#: Records that are written down together.
REMEMBER_EVERY = 500
_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


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
            if self._rows is not None:
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


class Command(ImageCommand):
    """Make the images of all sources."""

    help = (
        "Make the images of specs, for every source that feeds them: those that do not exist yet,"
        " as far as their states tell. What specs share a source is made of one decode. Failures"
        " are told as they come; the exit status is 1 if there were any."
    )

    arguments = {
        "--jobs": {
            "type": int,
            "default": 1,
            "metavar": "N",
            "help": "Number of threads that make images (default: 1); as many as there are cores.",
        },
        "--force": flag("Make images that exist, too: each is replaced."),
        "--missing": flag(
            "Let the storage say what is missing, by listing its folders, whatever the states say;"
            " leave alone what failed a short while ago."
        ),
        "--dry-run": flag("Only list what would be made; write nothing."),
        "--verify": flag(
            "With --missing: look for the files of all known images, also those of template tags."
            " What cannot be made here is made by the next page that shows it."
        ),
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
        "--wait": flag(
            "Wait until workers have made what was handed to them; give up when they have made"
            " nothing for IMAGEKIT_LOCK_TIMEOUT seconds."
        ),
    }

    def handle(self, *args: object, **options: Any) -> None:
        """Make the images.

        Raises:
            CommandError: A pattern matches no id, or some images could not be made.
        """
        _refuse(options)
        ids = select(options["ids"])
        part = Part(options, ids)
        generation = _generation(options)
        counts: Counter[ResultStatus] = Counter()
        # Several rows may call for one image, and what is lost be called for as well.
        wanted = Hashes()
        errors: Errors = []
        failed = 0
        waiting = Waiting()
        lost = Lost(options["ids"], options["dry_run"])
        with self.progress("image", part.count) as step:
            made = partial(_count_new, counts)
            results = generation.run(part.batches(errors, made))
            for result in chain(results, lost.make_again() if options["verify"] else ()):
                step(1)
                counts[result.status] += 1
                name = str(result.file.name)
                if result.error is not None:
                    failed += self._fail(result.error, file=name)
                elif result.status == ResultStatus.WANTED:
                    if name not in wanted:
                        what = {"spec": result.file.spec_id, "file": name}
                        self.tell("wanted", what, f"would make {name}")
                    wanted.add(name)
                elif result.status == ResultStatus.SCHEDULED and options["wait"]:
                    waiting.add(result.file)
                if options["verbosity"] > 1 and not options["json"]:
                    self.stdout.write(f"{result.status:8} {name}")
                if errors:
                    failed += self._fail_all(errors)
            failed += sum(self._fail(e, file=name) for name, e in waiting.run() if e is not None)
        failed += self._fail_all(errors)
        counts[ResultStatus.WANTED] = len(wanted)
        # Without ids, those for tags alone are not meant.
        unfed = [spec_id for spec_id in ids if options["ids"] and spec_id not in fed_ids()]
        document: dict[str, object] = {
            "specs": ids,
            "dry_run": options["dry_run"],
            "made": counts[ResultStatus.MADE],
            "scheduled": counts[ResultStatus.SCHEDULED],
            "existing": counts[ResultStatus.EXISTING],
            "unfed": unfed,
            "left_to_pages": lost.left,
            "next": part.next if part.is_cut or self.is_interrupted else "",
            "failed": failed,
        }
        lines = [f"{spec_id}: no source feeds this spec. {UNFED}" for spec_id in unfed]
        lines.append(self._summary(counts, failed, options["dry_run"]))
        lines += _more(part, lost, self.is_interrupted)
        complaints = [f"{counted(failed, 'image')} could not be made."] if failed else []
        complaints += [f"{name}: its storage does not answer." for name in lost.unreachable]
        self.report(document, [] if self.is_quiet else lines, complaints)

    def _fail(self, error: ImageKitError, spec_id: str = "", file: str = "") -> int:
        """Tell of one image that could not be made."""
        self.tell("failure", describe(error, spec_id, file), str(error), is_error=True)
        return 1

    def _fail_all(self, errors: Errors) -> int:
        """Tell of what could not be named since the last time."""
        told = [self._fail(error, spec_id) for spec_id, error in errors]
        errors.clear()
        return len(told)

    def _summary(self, counts: Counter[ResultStatus], failed: int, dry_run: bool) -> str:
        existing, scheduled = counts[ResultStatus.EXISTING], counts[ResultStatus.SCHEDULED]
        if dry_run:
            return f"{counted(counts[ResultStatus.WANTED], 'image')} would be made; {existing:,} exist."
        later = f" {scheduled:,} handed to workers," if scheduled else ""
        return (
            f"{counted(counts[ResultStatus.MADE], 'image')} made,{later} {existing:,} existed,"
            f" {failed:,} failed, in {time.monotonic() - self.started:.1f} s."
        )


def _refuse(options: Options) -> None:
    """Raise an error for options that make no sense together."""
    if options["force"] and options["missing"]:
        raise CommandError("Give either --force or --missing: they contradict each other.")
    if not 1 <= options["jobs"] <= 256:
        raise CommandError("Give a number from 1 to 256 for --jobs.")
    if options["verify"] and (not options["missing"] or options["model"] or options["limit"]):
        raise CommandError("Give --verify with --missing, and without --model and --limit.")
    if options["verify"] and not get_state_access().store.is_ledger:
        raise CommandError(
            "--verify looks at all states, and IMAGEKIT_STATE_STORE = 'database' alone can list them."
            " A cache can forget them: manage.py forgetimages."
        )


def _count_new(counts: Counter[ResultStatus]) -> int:
    new = (ResultStatus.MADE, ResultStatus.SCHEDULED, ResultStatus.WANTED)
    return sum(counts[status] for status in new)


def _more(part: Part, lost: Lost, is_interrupted: bool) -> Iterator[str]:
    """Say what is left, and where to go on."""
    if lost.left:
        yield f"{counted(lost.left, 'image')} more: made by the next pages that show them."
    if part.is_cut or (is_interrupted and part.next):
        reached = "The limit is reached. " if part.is_cut else ""
        go_on = f" with --filter {part.next}" if part.next else ""
        yield f"{reached}Call the command again{go_on} for the rest."


def _generation(options: Options) -> Generation:
    return Generation(
        jobs=options["jobs"],
        force=options["force"],
        retry=not options["missing"],
        missing_only=options["missing"],
        dry_run=options["dry_run"],
        by_listing=True,
        remember_every=REMEMBER_EVERY,
    )
