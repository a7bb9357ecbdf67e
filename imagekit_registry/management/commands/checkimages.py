"""``manage.py checkimages``: compare what is known of images with what the storages hold."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import attrs
from django.core.management.base import CommandError, CommandParser

from imagekit_registry.maintenance.check import Checker, Problem
from imagekit_registry.maintenance.inventory import compile_pattern
from imagekit_registry.management._commands import (
    ImageCommand,
    Progress,
    counted,
    interrupted,
)

__all__ = ["Command"]


class Command(ImageCommand):
    """Compare what is known of images with what the storages hold."""

    help = (
        "Compare the states of images with their storages, which are listed by the folder: images"
        " that are known to exist and are gone, whose recipe has changed under the same name, whose"
        " source has been overwritten, whose name another image has, and those that could not be"
        " made. With the state in the database, what template tags made is checked as well. Images"
        " that are yet to be made, or of which nothing is known, are counted, and are nothing wrong."
        " The exit status is 1 if something is wrong and stays so."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--repair",
            action="store_true",
            help="Make again what is gone, outdated or failed, and correct the states.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Look for what is wrong.

        Raises:
            CommandError: A pattern matches no id, or something is wrong and stays so.
        """
        started = time.monotonic()
        patterns = [compile_pattern(pattern) for pattern in options["ids"]]
        ids = self.select(options["ids"])
        checker = Checker(ids=ids, patterns=patterns, repair=options["repair"])
        problems: list[Problem] = []
        is_interrupted = False
        quiet = options["json"] or options["verbosity"] < 1
        try:
            with Progress(self, "image", quiet=quiet) as progress:
                checker.on_progress = progress.step
                problems.extend(checker.run())
        except KeyboardInterrupt:
            is_interrupted = True
        left = [problem for problem in problems if not problem.repaired]
        document = {
            "command": "checkimages",
            "specs": ids,
            "interrupted": is_interrupted,
            "good": checker.good,
            "missing": checker.missing,
            "unrecorded": checker.unrecorded,
            "unchecked": checker.unchecked,
            "problems": [attrs.asdict(problem) for problem in problems],
            "remaining": len(left),
            "seconds": round(time.monotonic() - started, 3),
        }
        lines = _lines(checker, problems) if options["verbosity"] > 0 else []
        self.report(document, lines, options["json"])
        if is_interrupted:
            raise interrupted()
        if left:
            hint = "" if options["repair"] else " Call the command with --repair to mend them."
            raise CommandError(f"{counted(len(left), 'image')} with problems.{hint}")


def _lines(checker: Checker, problems: list[Problem]) -> list[str]:
    lines = []
    for item in problems:
        done = " Repaired." if item.repaired else ""
        where = " of ".join(part for part in (item.spec, repr(item.source)) if part != "''")
        name = f" ({item.file})" if item.file else ""
        lines.append(f"{item.kind}: {where}{name}: {item.cause}.{done}")
    counts = Counter(item.kind for item in problems)
    summary = [f"{number:,} {kind}" for kind, number in sorted(counts.items())]
    others = (
        (checker.missing, "yet to be made"),
        (checker.unrecorded, "of which nothing was known"),
        (checker.unchecked, "whose backend keeps no state"),
    )
    summary += [f"{number:,} {text}" for number, text in others if number]
    return [*lines, ", ".join([f"{counted(checker.good, 'image')} in order", *summary]) + "."]
