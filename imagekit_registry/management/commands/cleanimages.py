"""``manage.py cleanimages``: remove images that nothing calls for any more."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from collections import Counter
from typing import Any

import attrs
from django.core.management.base import CommandParser, DjangoHelpFormatter

from imagekit_registry.maintenance.clean import Cleaner, Orphan, Reason
from imagekit_registry.management._commands import ImageCommand, counted, describe, duration

__all__ = ["Command"]

#: Names of a kind that are listed in words; JSON has them all.
LISTED = 20

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

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        super().add_arguments(parser)
        parser.formatter_class = _Formatter
        parser.add_argument(
            "--dry-run", action="store_true", help="Only list what would be removed."
        )
        parser.add_argument(
            "--older-than",
            metavar="DURATION",
            default="0",
            help="Leave what this command, so called, has found first since: 45s, 30m, 12h, 7d, 2w.",
        )
        parser.add_argument(
            "--unknown",
            action="store_true",
            help="Remove images without a state that no row calls for, too. What template tags need"
            " is made again when it is asked for.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
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
        found: list[Orphan] = []
        is_quiet = options["json"] or options["verbosity"] < 1
        word = "would remove" if options["dry_run"] else "removed"
        with self.progress("file", options) as step:
            cleaner.on_progress = step
            for orphan in cleaner.run():
                found.append(orphan)
                if not (orphan.error or is_quiet):
                    self.stdout.write(f"{word} {orphan.name}: {orphan.reason}")
        removed = [orphan for orphan in found if not orphan.error]
        failures = [orphan for orphan in found if orphan.error]
        document: dict[str, object] = {
            "dry_run": options["dry_run"],
            "removed": [attrs.asdict(orphan) for orphan in removed],
            "failures": [attrs.asdict(orphan) for orphan in failures],
            "kept": len(cleaner.kept),
            "noted": cleaner.noted,
            "left": cleaner.kept,
            "foreign": cleaner.foreign,
            "outside": cleaner.outside,
            "unlisted": cleaner.unlisted,
            "problems": [describe(error, spec_id) for spec_id, error in cleaner.inventory.errors],
        }
        lines = [] if is_quiet else _lines(cleaner, removed)
        self.report(options, document, lines, _complaints(cleaner, failures))


def _lines(cleaner: Cleaner, removed: list[Orphan]) -> list[str]:
    lines = []
    for names, where in (
        (cleaner.foreign, "of names that we do not give"),
        (cleaner.outside, "outside of the folder"),
        (cleaner.kept, "that no row calls for"),
    ):
        if names:
            lines.append(f"{counted(len(names), 'file')} {where}, left:")
            lines += [f"  {name}" for name in names[:LISTED]]
    if cleaner.noted:
        noted = counted(cleaner.noted, "file")
        lines.append(f"Obsolete since now: {noted}. --older-than counts from here.")
    reasons = Counter(orphan.reason for orphan in removed)
    lines += [f"  {number:,}: {reason}" for reason, number in sorted(reasons.items())]
    size = sum(orphan.size or 0 for orphan in removed)
    freed = f", {size:,} bytes that are known of" if size else ""
    verb = "would be removed" if cleaner.dry_run else "removed"
    return [*lines, f"{counted(len(removed), 'file')} {verb}{freed}."]


def _complaints(cleaner: Cleaner, failures: list[Orphan]) -> list[str]:
    lines = [f"{item.name} could not be removed: {item.error}" for item in failures]
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
