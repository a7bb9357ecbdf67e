"""``manage.py tunequality``: print the qualities at which a site's own photographs look as wanted."""

from __future__ import annotations

import pprint
from typing import Any

from django.core.management.base import CommandError

from imagekit_registry.conf import conf
from imagekit_registry.imaging.formats import can_write
from imagekit_registry.maintenance.tuning import FORMATS, Tuner, photographs
from imagekit_registry.management._commands import ImageCommand, counted, select
from imagekit_registry.specs import format_options

__all__ = ["Command"]


class Command(ImageCommand):
    """Print the qualities at which a site's own photographs look as wanted."""

    help = (
        "Find, for each lossy format, the least quality whose mean SSIMULACRA2 score over sources of"
        " the specs is the one that is wanted, and print it as IMAGEKIT_FORMAT_OPTIONS. Nothing is"
        " changed. Needs the extra 'quality'."
    )

    arguments = {
        "--score": {
            "type": float,
            "default": 70.0,
            "help": "The score: 50 is medium, 70 (the default) high, 90 not to be told from the source",
        },
        "--photos": {"type": int, "default": 20, "help": "How many sources are looked at (20)."},
    }

    def handle(self, *args: object, **options: Any) -> None:
        """Look for the qualities.

        Raises:
            CommandError: A pattern matches no id, there is no source, or the library is missing.
        """
        if options["photos"] < 1 or not 0 < options["score"] < 100:
            raise CommandError("--photos must be 1 or more, and --score above 0 and below 100.")
        usual = format_options()
        qualities: dict[str, int] = {}
        scores: dict[str, float] = {}
        with self.progress("format") as step:
            tuner = Tuner(photographs(select(options["ids"]), options["photos"]), usual)
            if not tuner.photographs:
                raise CommandError("There is no source that could be looked at.")
            for format in filter(can_write, FORMATS):
                found = qualities[format] = tuner.find(format, options["score"])
                scores[format] = round(tuner.score(format, found), 1)
                step(1)
        number = len(tuner.photographs)
        document: dict[str, object] = {"qualities": qualities, "scores": scores, "photos": number}
        wanted = {
            format: {**conf.FORMAT_OPTIONS.get(format, {}), "quality": quality}
            for format, quality in qualities.items()
        }
        told = ", ".join(f"{format} {score}" for format, score in scores.items())
        lines = [
            f"# Mean scores over {counted(number, 'photograph')}: {told}",
            f"IMAGEKIT_FORMAT_OPTIONS = {pprint.pformat(wanted, width=60)}",
        ]
        self.report(document, lines, [])
