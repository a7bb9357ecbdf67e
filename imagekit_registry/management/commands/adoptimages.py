"""``manage.py adoptimages``: take over what another library has made."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from imagekit_registry.maintenance.adopt import LIBRARIES, Adoption, Outcome
from imagekit_registry.management._commands import ImageCommand, counted, describe, flag, select

__all__ = ["Command"]


class Command(ImageCommand):
    """Take over the images that another library has made."""

    help = (
        "Give the images that another library has made their names and records here, so that they are"
        " not made again: those of rows, by the recipes that this project asks for. Former files are"
        " left as they are. One whose source has changed since is left out."
    )

    arguments = {
        "--from": {
            "dest": "library",
            "required": True,
            "choices": sorted(LIBRARIES),
            "help": "The library that has made them.",
        },
        "--dry-run": flag("Only count what would be taken over."),
    }

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        super().add_arguments(parser)
        way = parser.add_mutually_exclusive_group()
        link = "Give files a second name (a hard link), which takes no room and works on one disk."
        way.add_argument("--link", **flag(link))
        way.add_argument("--copy", **flag("Copy files; this is the default."))

    def handle(self, *args: object, **options: Any) -> None:
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
        with self.progress("file") as step:
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
        adopted = counts.pop("adopted")
        others = [f"{n:,} {kind}" for kind, n in counts.items() if n]
        summary = ", ".join([f"{counted(adopted, 'image')} {verb}adopted", *others])
        lines = [] if self.is_quiet else [*adoption.notes, f"{summary}."]
        self.report(document, lines, [str(error) for error in adoption.errors])
