"""``manage.py checkimages``: compare what is known of images with what the storages hold."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import attrs

from imagekit_registry.maintenance.check import COUNTED, Checker, Kind, Problem
from imagekit_registry.maintenance.inventory import expected_count
from imagekit_registry.management._commands import ImageCommand, counted, flag, select

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

    arguments = {
        "--repair": flag(
            "Make again what is gone, outdated or failed, and correct and complete the states."
        )
    }

    def handle(self, *args: object, **options: Any) -> None:
        """Look for what is wrong.

        Raises:
            CommandError: A pattern matches no id, or something is wrong and stays so.
        """
        checker = Checker(select(options["ids"]), options["ids"], options["repair"])
        kinds: Counter[str] = Counter()
        left = 0
        with self.progress("image", partial(expected_count, checker.ids)) as step:
            checker.on_progress = step
            for problem in checker.run():
                kinds[problem.kind] += 1
                left += not (problem.repaired or problem.scheduled)
                text = "" if self.is_quiet else _in_words(problem)
                self.tell("problem", attrs.asdict(problem), text)
        document: dict[str, object] = {
            "specs": checker.ids,
            **{str(kind): checker.counts[kind] for kind in COUNTED},
            "problems": sum(kinds.values()),
            "remaining": left,
        }
        lines = [] if self.is_quiet else [_summary(checker.counts, kinds)]
        hint = "" if options["repair"] else " Call the command with --repair to mend them."
        complaints = [f"{counted(left, 'image')} with problems.{hint}"] if left else []
        self.report(document, lines, complaints)


def _in_words(item: Problem) -> str:
    done = " Repaired." if item.repaired else " Handed to a worker." if item.scheduled else ""
    name = f" ({item.file})" if item.file else ""
    where = " of ".join(filter(None, (item.spec, item.source and repr(item.source))))
    return f"{item.kind}: {where}{name}: {item.cause}.{done}"


def _summary(counts: Counter[str], kinds: Counter[str]) -> str:
    others = (
        (counts[Kind.MISSING], "yet to be made"),
        (counts[Kind.UNRECORDED], "of which nothing was known"),
        (counts[Kind.INCOMPLETE], "without their size or placeholders"),
        (counts[Kind.UNCHECKED], "whose backend keeps no state"),
    )
    summary = [f"{counted(counts[Kind.GOOD], 'image')} in order"]
    summary += [f"{number:,} {kind}" for kind, number in sorted(kinds.items())]
    summary += [f"{number:,} {text}" for number, text in others if number]
    return f"{', '.join(summary)}."
