"""``manage.py adoptimages``: take over what another library has made."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from imagekit_registry.maintenance.adopt import LIBRARIES, Adoption, Outcome
from imagekit_registry.management._commands import ImageCommand, counted, describe, select

__all__ = ["Command"]


class Command(ImageCommand):
    """Take over the images that another library has made."""

    help = (
        "Give the images that another library has made their names and records here, so that they are"
        " not made again: those of rows, by the recipes that this project asks for. Former files are"
        " left as they are. One whose source has changed since is left out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--from",
            dest="library",
            required=True,
            choices=sorted(LIBRARIES),
            help="The library that has made them.",
        )
        way = parser.add_mutually_exclusive_group()
        way.add_argument(
            "--link",
            action="store_true",
            help="Give files a second name (a hard link), which takes no room and works on one disk.",
        )
        way.add_argument("--copy", action="store_true", help="Copy files; this is the default.")
        parser.add_argument(
            "--dry-run", action="store_true", help="Only count what would be taken over."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Take over what there is.

        Raises:
            CommandError: A pattern matches no id, or something could not be taken over.
        """
        adoption = Adoption(
            options["library"],
            select(options["ids"]) if options["ids"] else (),
            link=options["link"],
            dry_run=options["dry_run"],
        )
        with self.progress("file", options) as step:
            adoption.on_progress = step
            adoption.run()
        counts = {str(outcome): adoption.counts[outcome] for outcome in Outcome}
        document: dict[str, object] = {
            "dry_run": options["dry_run"],
            "library": options["library"],
            **counts,
            "errors": [describe(error) for error in adoption.errors],
            "notes": adoption.notes,
        }
        verb = "would be " if options["dry_run"] else ""
        adopted, others = (
            counts.pop("adopted"),
            [f"{n:,} {kind}" for kind, n in counts.items() if n],
        )
        summary = ", ".join([f"{counted(adopted, 'image')} {verb}adopted", *others])
        lines = [*adoption.notes, f"{summary}."] if options["verbosity"] > 0 else []
        self.report(document, lines, [str(error) for error in adoption.errors])
