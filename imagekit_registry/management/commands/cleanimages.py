"""``manage.py cleanimages``: remove images that nothing calls for any more."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import attrs
from django.core.management.base import CommandError, CommandParser, DjangoHelpFormatter

from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.maintenance.clean import Cleaner, Leftover
from imagekit_registry.maintenance.inventory import compile_pattern
from imagekit_registry.management._commands import (
    ImageCommand,
    Progress,
    counted,
    describe,
    duration,
    interrupted,
)

__all__ = ["Command"]

#: Names of a kind that are listed in words; JSON has them all.
LISTED = 20

_HELP = """\
Remove images that nothing calls for any more, from IMAGEKIT_CACHEFILE_DIR.

An image goes if what is known of it proves that it is left over:
 - its source does not exist any more;
 - its spec is fed by rows, and no row has its source, or the recipe has changed since;
 - its spec is used by template tags alone, takes nothing but a source, and has changed since;
 - no spec of its id is registered any more;
 - it is the temporary file of a process that was killed, and older than an hour.
What is known are the states of images: all of them are gone through if IMAGEKIT_STATE_STORE is
'database' (the ledger, for storages that cannot list, too); else those of the files in the folder.
Of an image without a state only its name is known; it goes if no storage has a source of that
name. What else no row calls for may come from a template tag, and stays, unless --unknown is given.

Never removed: what lies outside the folder; names that none of our namers makes; what a row has in
a file field; what was made since the command began. Whatever is removed by mistake is made again when it is asked for.
"""


class _Formatter(DjangoHelpFormatter):
    """Keeps the lines of the description."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text


class Command(ImageCommand):
    """Remove images that nothing calls for any more."""

    help = _HELP

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return the parser, whose description keeps its lines."""
        kwargs.setdefault("formatter_class", _Formatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--dry-run", action="store_true", help="Only list what would be removed."
        )
        parser.add_argument(
            "--older-than",
            metavar="DURATION",
            default="0",
            help="Leave what was made since: 45s, 30m, 12h, 7d, 2w.",
        )
        parser.add_argument(
            "--unknown",
            action="store_true",
            help="Remove images without a state that no row calls for, too. What template tags need"
            " is made again when it is asked for.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Remove what is left over.

        Raises:
            CommandError: Something could not be removed, or not be found out.
        """
        started = time.monotonic()
        # Ids of specs that are gone are meant as well, so they need not be registered.
        cleaner = Cleaner(
            patterns=[compile_pattern(pattern) for pattern in options["ids"]],
            older_than=duration(options["older_than"]),
            dry_run=options["dry_run"],
            unknown=options["unknown"],
        )
        removed: list[Leftover] = []
        is_interrupted = False
        quiet = options["json"] or options["verbosity"] < 1
        try:
            with Progress(self, "file", quiet=quiet) as progress:
                cleaner.on_progress = progress.step
                for leftover in cleaner.run():
                    removed.append(leftover)
                    if not options["json"] and options["verbosity"] > 0:
                        self._say(leftover, options["dry_run"])
        except KeyboardInterrupt:
            is_interrupted = True
        except InvalidConfiguration as error:
            raise CommandError(str(error)) from error
        done = [item for item in removed if not item.error]
        failed = [item for item in removed if item.error]
        document = {
            "command": "cleanimages",
            "dry_run": options["dry_run"],
            "interrupted": is_interrupted,
            "removed": [attrs.asdict(item) for item in done],
            "failures": [attrs.asdict(item) for item in failed],
            "kept": cleaner.kept,
            "foreign": cleaner.foreign,
            "outside": cleaner.outside,
            "unlisted": cleaner.unlisted,
            "problems": [describe(error, id) for id, error in cleaner.inventory.problems],
            "seconds": round(time.monotonic() - started, 3),
        }
        lines = _lines(cleaner, done, options["dry_run"]) if options["verbosity"] > 0 else []
        self.report(document, lines, options["json"])
        if is_interrupted:
            raise interrupted()
        complaints = _complaints(cleaner, failed)
        if complaints:
            raise CommandError("\n".join(complaints))

    def _say(self, leftover: Leftover, dry_run: bool) -> None:
        if not leftover.error:
            word = "would remove" if dry_run else "removed"
            self.stdout.write(f"{word} {leftover.name}: {leftover.reason}")


def _lines(cleaner: Cleaner, done: list[Leftover], dry_run: bool) -> list[str]:
    lines = []
    if cleaner.foreign:
        lines.append(f"{counted(len(cleaner.foreign), 'file')} of names that we do not give, left:")
        lines += [f"  {name}" for name in cleaner.foreign[:LISTED]]
    if cleaner.outside:
        lines.append(f"{counted(len(cleaner.outside), 'file')} outside of the folder, left:")
        lines += [f"  {name}" for name in cleaner.outside[:LISTED]]
    if cleaner.kept:
        lines.append(f"{counted(cleaner.kept, 'file')} that no row calls for, left.")
    size = sum(item.size or 0 for item in done)
    freed = f", {size:,} bytes that are known of" if size else ""
    verb = "would be removed" if dry_run else "removed"
    lines += [
        f"  {number:,}: {reason}"
        for reason, number in sorted(Counter(item.reason for item in done).items())
    ]
    return [*lines, f"{counted(len(done), 'file')} {verb}{freed}."]


def _complaints(cleaner: Cleaner, failed: list[Leftover]) -> list[str]:
    lines = [f"{item.name} could not be removed: {item.error}" for item in failed]
    # That a storage cannot list is no fault; the ledger is there for it.
    unlisted = [text for text in cleaner.unlisted if "NotImplementedError" not in text]
    lines += [f"Not listed: {text}" for text in unlisted]
    problems = cleaner.inventory.problems
    if problems:
        lines.append(
            "Some files could not be named, so that only what has lost its source or its spec was"
            " removed:"
        )
        lines += [f"  {error}" for _, error in problems[:LISTED]]
    return lines
