"""``manage.py checkimages``: compare what is known of images with what the storages hold."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
from django.core.management.base import CommandParser

from imagekit_registry.maintenance.check import COUNTED, Checker, Kind, Problem
from imagekit_registry.management._commands import ImageCommand, counted, select

__all__ = ["Command"]


class Command(ImageCommand):
    """Compare what is known of images with what the storages hold."""

    help = (
        "Compare the states of images with their storages, which are listed by the folder: images"
        " that are known to exist and are gone, whose recipe has changed under the same name, whose"
        " source has been overwritten, whose name another image has, and those that could not be"
        " made. With the state in the database, what template tags made is checked as well. Images"
        " that are yet to be made, of which nothing is known, or whose placeholders are not, are"
        " counted, and are nothing wrong."
        " The exit status is 1 if something is wrong and stays so."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--repair",
            action="store_true",
            help="Make again what is gone, outdated or failed, and correct and complete the states.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Look for what is wrong.

        Raises:
            CommandError: A pattern matches no id, or something is wrong and stays so.
        """
        checker = Checker(select(options["ids"]), options["ids"], options["repair"])
        problems: list[Problem] = []
        with self.progress("image", options) as step:
            checker.on_progress = step
            problems.extend(checker.run())
        left = sum(not (problem.repaired or problem.scheduled) for problem in problems)
        document: dict[str, object] = {
            "specs": checker.ids,
            **{str(kind): checker.counts[kind] for kind in COUNTED},
            "problems": [attrs.asdict(problem) for problem in problems],
            "remaining": left,
        }
        lines = _lines(checker.counts, problems) if options["verbosity"] > 0 else []
        hint = "" if options["repair"] else " Call the command with --repair to mend them."
        complaints = [f"{counted(left, 'image')} with problems.{hint}"] if left else []
        self.report(options, document, lines, complaints)


def _lines(counts: Counter[str], problems: list[Problem]) -> list[str]:
    lines = []
    for item in problems:
        done = " Repaired." if item.repaired else " Handed to a worker." if item.scheduled else ""
        name = f" ({item.file})" if item.file else ""
        where = " of ".join(filter(None, (item.spec, item.source and repr(item.source))))
        lines.append(f"{item.kind}: {where}{name}: {item.cause}.{done}")
    kinds = sorted(Counter(item.kind for item in problems).items())
    others = (
        (counts[Kind.MISSING], "yet to be made"),
        (counts[Kind.UNRECORDED], "of which nothing was known"),
        (counts[Kind.INCOMPLETE], "without their placeholders"),
        (counts[Kind.UNCHECKED], "whose backend keeps no state"),
    )
    summary = [f"{counted(counts[Kind.GOOD], 'image')} in order"]
    summary += [f"{number:,} {kind}" for kind, number in kinds]
    summary += [f"{number:,} {text}" for number, text in others if number]
    return [*lines, f"{', '.join(summary)}."]
