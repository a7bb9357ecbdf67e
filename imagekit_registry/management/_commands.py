"""What the commands share: choosing specs, showing progress, reporting."""

from __future__ import annotations

import difflib
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from imagekit_registry.exceptions import GenerationError, ImageKitError
from imagekit_registry.maintenance.inventory import compile_pattern
from imagekit_registry.registry import generator_registry

Options = dict[str, Any]

#: Exit status of a command that Ctrl-C has ended, as shells have it.
INTERRUPTED = 130
#: Seconds between two lines of progress where there is no bar.
LINE_INTERVAL = 10.0
#: Seconds until the first of them.
FIRST_LINE = 2.0
#: Names of a kind that are listed in words at the end; JSON has them all.
LISTED = 20
PATTERN_HELP = (
    "Ids of specs, such as shop:product:thumbnail; all if none is given. * stands for any text"
    " within a segment, ** for any text across segments (put such a pattern in quotes); what lies"
    " under a match is matched as well: shop means every spec of the app shop."
)
#: Arguments by name, each as `argparse` takes it.
Arguments = Mapping[str, Mapping[str, Any]]
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def flag(help: str) -> Mapping[str, Any]:
    """Return an argument that is given or not."""
    return {"action": "store_true", "help": help}


#: What all the commands take.
COMMON: Arguments = {
    "ids": {"nargs": "*", "metavar": "ID", "help": PATTERN_HELP},
    "--json": flag(
        "Write JSON to the standard output, and nothing else there: a line for each thing that is"
        " found, when it is, and the summary as the last one."
    ),
}


class ImageCommand(BaseCommand):
    """A command over image specs, which may write its report as JSON."""

    #: What this one takes besides.
    arguments: Arguments = {}

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what all the commands take, and what this one takes besides."""
        for name, argument in {**COMMON, **self.arguments}.items():
            parser.add_argument(name, **argument)

    def execute(self, *args: object, **options: Any) -> str | None:
        """Run the command; what our exceptions say is enough for who has called it."""
        self.is_json: bool = options["json"]
        self.is_quiet: bool = self.is_json or options["verbosity"] < 1
        try:
            return super().execute(*args, **options)
        except ImageKitError as error:
            raise CommandError(str(error)) from error

    @contextmanager
    def progress(
        self, unit: str, total: Callable[[], int | None] = lambda: None
    ) -> Iterator[Callable[[int], None]]:
        """Show that the command is alive: a bar on a terminal, a line now and then elsewhere.

        Ctrl-C ends what is done inside of it, and the command goes on to its report.

        Args:
            unit: What is counted: ``"image"``.
            total: Tells how many there are, or None; asked when something is shown.

        Returns:
            What is to be called with the number of those that were done since.
        """
        count, expected = 0, cache(total)
        bar: Any = None
        self.started, self.is_interrupted = time.monotonic(), False
        next_line = self.started + FIRST_LINE

        def step(number: int) -> None:
            nonlocal count, next_line
            count += number
            if bar is not None:
                bar.update(number)
            elif not self.is_quiet and time.monotonic() >= next_line:
                next_line = time.monotonic() + LINE_INTERVAL
                of = "" if (most := expected()) is None else f" of {most:,}"
                self.stderr.write(f"{count:,}{of} {unit}s ...", lambda text: text)

        try:
            if not self.is_quiet and sys.stderr.isatty():
                with suppress(ImportError):
                    # The extra "progress".
                    from tqdm import tqdm

                    bar = tqdm(
                        total=expected(), unit=f" {unit}s", file=sys.stderr, dynamic_ncols=True
                    )
            yield step
        except KeyboardInterrupt:
            self.is_interrupted = True
        finally:
            if bar is not None:
                bar.close()

    def tell(
        self, event: str, finding: Mapping[str, object], text: str = "", *, is_error: bool = False
    ) -> None:
        """Write what was found, when it was: a line of JSON, or *text*.

        Nothing is kept in memory for the end, for there may be any number.

        Args:
            event: What JSON calls it.
            finding: What JSON tells of it.
            text: The same in words; empty for nothing.
            is_error: Whether the words go to the standard error.
        """
        if self.is_json:
            line = json.dumps({"event": event, **finding}, sort_keys=True, default=str)
            self.stdout.write(line)
        elif text:
            # Names that a file system holds in another encoding cannot be written as they are.
            text = text.encode("utf-8", "backslashreplace").decode()
            (self.stderr if is_error else self.stdout).write(text)

    def report(
        self, document: dict[str, object], lines: Iterable[str], complaints: Sequence[str]
    ) -> None:
        """Write what has been done in all: as JSON, or in words.

        Raises:
            CommandError: There are complaints, or Ctrl-C has ended the work.
        """
        document["command"] = type(self).__module__.rpartition(".")[2]
        document["interrupted"] = self.is_interrupted
        document["seconds"] = round(time.monotonic() - self.started, 3)
        self.tell("summary", document, "\n".join(lines))
        if self.is_interrupted:
            text = (
                "Interrupted. What was done until now is kept; run the command again for the rest."
            )
            raise CommandError(text, returncode=INTERRUPTED)
        if complaints:
            raise CommandError("\n".join(complaints))


def select(patterns: Sequence[str]) -> list[str]:
    """Return the ids that *patterns* mean, in the order of their registration; all without any.

    Raises:
        CommandError: A pattern means none; the message lists ids that are like it.
    """
    known = generator_registry.get_ids()
    for pattern in patterns:
        if not any(map(compile_pattern(pattern).match, known)):
            near = difflib.get_close_matches(pattern, known, n=5, cutoff=0.4)
            listed = ", ".join(near or sorted(known))
            hint = f"Did you mean: {listed}?" if near else f"There are: {listed}."
            raise CommandError(f"No spec has the id {pattern!r}. {hint}")
    return list(filter(compile_pattern(*patterns).match, known))


def describe(error: ImageKitError, spec_id: str = "", file: str = "") -> dict[str, str]:
    """Return an error as JSON has it: spec, source, file, cause, what to do and its class."""
    found = {"spec": spec_id, "source": "", "cause": str(error), "hint": "", "file": file}
    if isinstance(error, GenerationError):
        found["spec"] = error.spec_id or spec_id
        found["source"] = error.source or ""
        found["cause"], found["hint"] = error.cause, error.hint
    return {**found, "error": type(error).__name__}


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it must be.

    Example:
        >>> counted(1, "image"), counted(1200, "image")
        ('1 image', '1,200 images')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(text: str) -> float:
    """Return the seconds in a text such as ``90``, ``45s``, ``30m``, ``12h``, ``7d`` or ``2w``.

    Raises:
        CommandError: It is no such text.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*", text)
    if not found:
        raise CommandError(
            f"{text!r} is no duration. Write a number and a unit: 45s, 30m, 12h, 7d or 2w."
        )
    return float(found[1]) * _UNITS[found[2] or "s"]
