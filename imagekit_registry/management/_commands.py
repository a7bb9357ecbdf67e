"""What the commands share: choosing specs, showing progress, reporting."""

from __future__ import annotations

import difflib
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from imagekit_registry.exceptions import GenerationError, ImageKitError
from imagekit_registry.maintenance.inventory import compile_pattern, matches
from imagekit_registry.registry import generator_registry

__all__ = ["ImageCommand", "Progress", "counted", "describe", "duration", "interrupted"]

#: Exit status of a command that Ctrl-C has ended, as shells have it.
INTERRUPTED = 130
#: Seconds between two lines of progress where there is no bar.
LINE_INTERVAL = 10.0
PATTERN_HELP = (
    "Ids of specs, such as shop:product:thumbnail; all if none is given. * stands for any text"
    " within a segment, ** for any text across segments (put such a pattern in quotes); what lies"
    " under a match is matched as well: shop means every spec of the app shop."
)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class ImageCommand(BaseCommand):
    """A command over image specs, which may write its report as JSON."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what all the commands take."""
        parser.add_argument("ids", nargs="*", metavar="ID", help=PATTERN_HELP)
        parser.add_argument(
            "--json",
            action="store_true",
            help="Write one JSON document to the standard output, and nothing else there.",
        )

    def select(self, patterns: Sequence[str]) -> list[str]:
        """Return the ids that *patterns* mean, in the order of their registration.

        Raises:
            CommandError: A pattern means none; the message lists ids that are like it.
        """
        known = generator_registry.get_ids()
        compiled = [compile_pattern(pattern) for pattern in patterns]
        for pattern, expression in zip(patterns, compiled, strict=True):
            if not matches_any(expression, known):
                near = difflib.get_close_matches(pattern, known, n=5, cutoff=0.4)
                listed = ", ".join(near or sorted(known))
                hint = f"Did you mean: {listed}?" if near else f"There are: {listed}."
                raise CommandError(f"No spec has the id {pattern!r}. {hint}")
        return [id for id in known if not compiled or matches(id, compiled)]

    def report(self, document: dict[str, Any], lines: Sequence[str], as_json: bool) -> None:
        """Write what has been done: as JSON, or in words."""
        if as_json:
            self.stdout.write(json.dumps(document, indent=2, sort_keys=True, default=str))
            return
        for line in lines:
            self.stdout.write(line)


def matches_any(expression: re.Pattern[str], ids: Sequence[str]) -> bool:
    """Return whether *expression* matches one of *ids*."""
    return any(expression.match(id) for id in ids)


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


def interrupted() -> CommandError:
    """Return the error that ends a command after Ctrl-C."""
    text = "Interrupted. What was done until now is kept; run the command again for the rest."
    return CommandError(text, returncode=INTERRUPTED)


class Progress:
    """Shows that a command is alive: a bar on a terminal, a line now and then elsewhere.

    Args:
        command: The command.
        unit: What is counted: ``"image"``.
        quiet: Whether to show nothing.
        total: Tells how many there are, or None; asked only for a bar.
    """

    def __init__(
        self,
        command: BaseCommand,
        unit: str,
        *,
        quiet: bool,
        total: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._command = command
        self._unit = unit
        self._quiet = quiet
        self._total = total
        self._count = 0
        self._said_at = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if not self._quiet and sys.stderr.isatty():
            self._bar = _make_bar(self._unit, self._total())
        return self

    def __exit__(self, *args: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self) -> None:
        """One more is done."""
        self._count += 1
        if self._bar is not None:
            self._bar.update()
        elif not self._quiet and time.monotonic() - self._said_at >= LINE_INTERVAL:
            self._said_at = time.monotonic()
            self._command.stderr.write(f"{counted(self._count, self._unit)} ...", lambda text: text)


def _make_bar(unit: str, total: int | None) -> Any:
    """Return a progress bar; None without the extra ``progress``."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=total, unit=f" {unit}s", file=sys.stderr, dynamic_ncols=True)
