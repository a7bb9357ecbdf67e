"""``manage.py cleanimages``: remove images that nothing calls for any more."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import attrs
from django.core.management.base import CommandParser, DjangoHelpFormatter

from imagekit_registry.maintenance.clean import Cleaner, Left, Orphan, Reason
from imagekit_registry.maintenance.inventory import expected_count
from imagekit_registry.management._commands import (
    LISTED,
    ImageCommand,
    counted,
    describe,
    duration,
    flag,
)
from imagekit_registry.registry import generator_registry

__all__ = ["Command"]

_REASONS = "\n".join(f" - {reason};" for reason in Reason)
_HELP = f"""\
Remove images that nothing calls for any more, from IMAGEKIT_CACHEFILE_DIR. One goes if

{_REASONS}

What is known are the states of images: of all that were made with IMAGEKIT_STATE_STORE = 'database',
else of those in the folder. What is not certain stays, and is listed.

Never removed: what lies outside the folder; names that none of our namers makes; what a row has in
a file field; what was made since the command began; temporary files younger than an hour.
"""


class _Formatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the description."""


class Command(ImageCommand):
    """Remove images that nothing calls for any more."""

    help = _HELP

    arguments = {
        "--dry-run": flag("Only list what would be removed."),
        "--older-than": {
            "metavar": "DURATION",
            "default": "0",
            "help": "Leave what this command, so called, has found first since: 45s, 30m, 12h, 7d, 2w.",
        },
        "--unknown": flag(
            "Remove images without a state that no row calls for, too. What template tags need is"
            " made again when it is asked for."
        ),
    }

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        super().add_arguments(parser)
        parser.formatter_class = _Formatter

    def handle(self, *args: object, **options: Any) -> None:
        """Remove the orphans.

        Raises:
            CommandError: Something could not be removed, or not be found out.
        """
        # Ids of specs that are gone are meant as well, so they need not be registered.
        cleaner = Cleaner(
            patterns=options["ids"],
            older_than=duration(options["older_than"]),
            dry_run=options["dry_run"],
            unknown=options["unknown"],
        )
        found = _Found(self.tell)
        word = "would remove" if options["dry_run"] else "removed"
        with self.progress("file", _expected) as step:
            cleaner.on_progress, cleaner.on_left = step, found.leave
            for orphan in cleaner.run():
                found.take(
                    orphan, "" if self.is_quiet else f"{word} {orphan.name}: {orphan.reason}"
                )
        errors = cleaner.inventory.errors
        for spec_id, error in errors if self.is_json else ():
            self.tell("problem", describe(error, spec_id))
        document: dict[str, object] = {
            "dry_run": options["dry_run"],
            "removed": found.removed.total(),
            "failures": found.failures,
            "kept": found.left[Left.KEPT],
            "noted": cleaner.noted,
            **{str(why): found.left[why] for why in Left},
            "unlisted": cleaner.unlisted,
            "problems": len(errors),
        }
        lines = [] if self.is_quiet else _lines(cleaner, found)
        self.report(document, lines, _complaints(cleaner, found.failures))


def _expected() -> int | None:
    """Return how many files are named, and looked at; about as many as are called for, twice."""
    named = expected_count(generator_registry.get_ids())
    return None if named is None else 2 * named


@attrs.define
class _Found:
    """What a cleaning has found, counted; told as it is found.

    Args:
        tell: Tells of one finding.

    Attributes:
        removed: How many files, by the reason.
        size: Their bytes, as far as is known.
        failures: How many could not be removed.
        left: How many are left, by the reason; and the names of the first.
    """

    tell: Callable[..., None]
    removed: Counter[Reason] = attrs.field(factory=Counter, init=False)
    size: int = attrs.field(default=0, init=False)
    failures: int = attrs.field(default=0, init=False)
    left: Counter[Left] = attrs.field(factory=Counter, init=False)
    names: dict[Left, list[str]] = attrs.field(factory=lambda: defaultdict(list), init=False)

    def take(self, orphan: Orphan, text: str) -> None:
        """Take note of an orphan that was removed, or could not be."""
        if orphan.error:
            self.failures += 1
            text = f"{orphan.name} could not be removed: {orphan.error}"
            self.tell("failure", attrs.asdict(orphan), text, is_error=True)
        else:
            self.removed[orphan.reason] += 1
            self.size += orphan.size or 0
            self.tell("removed", attrs.asdict(orphan), text)

    def leave(self, why: Left, name: str) -> None:
        """Take note of a file that is left."""
        self.left[why] += 1
        self.tell(why, {"file": name})
        if len(self.names[why]) < LISTED:
            self.names[why].append(name)


def _lines(cleaner: Cleaner, found: _Found) -> list[str]:
    lines = []
    for why, where in (
        (Left.FOREIGN, "of names that we do not give"),
        (Left.OUTSIDE, "outside of the folder"),
        (Left.KEPT, "that no row calls for"),
    ):
        if found.left[why]:
            lines.append(f"{counted(found.left[why], 'file')} {where}, left:")
            lines += [f"  {name}" for name in found.names[why]]
    if cleaner.noted:
        noted = counted(cleaner.noted, "file")
        lines.append(f"Obsolete since now: {noted}. --older-than counts from here.")
    lines += [f"  {number:,}: {reason}" for reason, number in sorted(found.removed.items())]
    freed = f", {found.size:,} bytes that are known of" if found.size else ""
    verb = "would be removed" if cleaner.dry_run else "removed"
    return [*lines, f"{counted(found.removed.total(), 'file')} {verb}{freed}."]


def _complaints(cleaner: Cleaner, failures: int) -> list[str]:
    lines = [f"{counted(failures, 'file')} could not be removed."] if failures else []
    # That a storage cannot list is no fault; its records are there for it.
    unlisted = [text for text in cleaner.unlisted if "NotImplementedError" not in text]
    lines += [f"Not listed: {text}" for text in unlisted]
    errors = cleaner.inventory.errors
    if errors:
        lines.append(
            "Some files could not be named, so that only what has lost its source or its spec was"
            " removed:"
        )
        lines += [f"  {error}" for _, error in errors[:LISTED]]
    return lines
