"""``manage.py imagestats``: how many images there are, how many bytes, and what they cost."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterator
from typing import Any

import attrs

from imagekit_registry.maintenance.stats import Prices, Statistics, Tally
from imagekit_registry.management._commands import ImageCommand, counted, describe, select

__all__ = ["Command"]


_PRICES = {
    "storage": "a gigabyte (1,000,000,000 bytes) that lies there for a month",
    "egress": "a gigabyte that is sent",
    "request": "1,000 requests",
}


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = -1
    if not 0 <= amount < float("inf"):
        raise ArgumentTypeError(f"{text!r} is no amount. Write a number such as 0.023.")
    return amount


class Command(ImageCommand):
    """Tell how many images there are, and how many bytes."""

    help = (
        "Count images and their bytes by spec and format, those that failed, those that nothing calls"
        " for any more, and what AVIF has saved; with prices, what that costs a month. Nothing is"
        " changed. It takes as long as cleanimages, which it asks for what is left over."
    )

    arguments = {
        f"--{name}-price": {"type": _amount, "metavar": "PRICE", "help": f"The price of {what}."}
        for name, what in _PRICES.items()
    } | {
        "--views": {
            "type": _amount,
            "default": 1.0,
            "metavar": "N",
            "help": "How many times a month each file is sent, on average (default: 1).",
        }
    }

    def handle(self, *args: object, **options: Any) -> None:
        """Count.

        Raises:
            CommandError: A pattern matches no id.
        """
        if options["ids"]:
            select(options["ids"])
        statistics = Statistics(options["ids"])
        prices = Prices(
            options["storage_price"],
            options["egress_price"],
            options["request_price"],
            options["views"],
        )
        with self.progress("file") as step:
            statistics.on_progress = step
            statistics.count()
        document: dict[str, object] = {
            **attrs.asdict(statistics.total),
            "specs": [
                {"spec": spec_id, "format": format, **attrs.asdict(tally)}
                for (spec_id, format), tally in sorted(statistics.tallies.items())
            ],
            "failures": [
                {"spec": spec_id, "cause": cause, "files": number}
                for (spec_id, cause), number in statistics.failures.most_common()
            ],
            "orphans": attrs.asdict(statistics.orphans),
            "avif": {**attrs.asdict(statistics.avif), "saved": statistics.saved},
            "costs": prices.of(statistics.total),
            "unlisted": statistics.unlisted,
            "problems": [describe(error, spec_id) for spec_id, error in statistics.errors],
        }
        self.report(document, _lines(statistics, prices), [])


def _lines(statistics: Statistics, prices: Prices) -> Iterator[str]:
    width = max([4, *(len(spec_id or "(unknown)") for spec_id, _ in statistics.tallies)])
    yield f"{'spec':{width}}  format      files            bytes"
    for (spec_id, format), tally in sorted(statistics.tallies.items()):
        yield f"{spec_id or '(unknown)':{width}}  {format:6} {tally.files:10,} {tally.bytes:16,}"
    yield f"{_in_words(statistics.total)}."
    for (spec_id, cause), number in statistics.failures.most_common():
        yield f"Failed: {number:,} of {spec_id}: {cause}."
    if statistics.orphans.files:
        yield f"Nothing calls for {_in_words(statistics.orphans)} of these: see cleanimages."
    if statistics.avif.files:
        share = 100 * statistics.saved / max(1, statistics.avif.bytes + statistics.saved)
        yield (
            f"AVIF: {counted(statistics.avif.files, 'file')} with {statistics.saved:,} bytes less"
            f" ({share:.0f}%) than the smallest other format of the same images."
        )
        for what, cost in prices.of(Tally(0, statistics.saved)).items():
            if cost:
                yield f"  saved for {what}: {cost:,.2f} a month"
    for what, cost in prices.of(statistics.total).items():
        yield f"Cost of {what}: {cost:,.2f} a month."
    if statistics.errors:
        yield "Some files could not be named, so that more may be left over than is told:"
        yield from (f"  {error}" for _, error in statistics.errors)
    yield from (f"Not listed: {text}" for text in statistics.unlisted)


def _in_words(tally: Tally) -> str:
    unsized = f" (of {tally.unsized:,} the size is not known)" if tally.unsized else ""
    return f"{counted(tally.files, 'file')}, {tally.bytes:,} bytes{unsized}"
