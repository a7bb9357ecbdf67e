"""``manage.py generateimages``: make the images of all sources."""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

import attrs
from django.core.management.base import CommandError, CommandParser

from imagekit_registry.cachefiles.bulk import Generation, Result, ResultStatus
from imagekit_registry.exceptions import ImageKitError
from imagekit_registry.maintenance.inventory import every_batch, expected_count
from imagekit_registry.management._commands import (
    ImageCommand,
    Progress,
    counted,
    describe,
    interrupted,
)

__all__ = ["Command"]

#: Records that are written down together.
REMEMBER_EVERY = 500


def _jobs(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 256:
        raise argparse.ArgumentTypeError("must be from 1 to 256")
    return number


@attrs.define
class _Tally:
    """What has become of how many images."""

    made: int = 0
    existing: int = 0
    wanted: list[dict[str, str]] = attrs.field(factory=list)
    failures: list[dict[str, str]] = attrs.field(factory=list)
    interrupted: bool = False

    def add(self, result: Result) -> None:
        if result.error is not None:
            name = "" if result.status != ResultStatus.FAILED else _name_of(result.file)
            self.failures.append(describe(result.error, file=name))
        elif result.status == ResultStatus.MADE:
            self.made += 1
        elif result.status == ResultStatus.EXISTING:
            self.existing += 1
        else:
            self.wanted.append({"spec": result.file.spec_id, "file": result.file.name})

    def fail(self, spec_id: str, error: ImageKitError) -> None:
        self.failures.append(describe(error, spec_id))


def _name_of(file: Any) -> str:
    try:
        return file.name or ""
    except Exception:  # noqa: BLE001 -- a lazy file that cannot be built
        return ""


class Command(ImageCommand):
    """Make the images of all sources."""

    help = (
        "Make the images of specs, for every source that feeds them: those that do not exist yet,"
        " as far as their states tell. What specs share a source is made of one decode. Failures"
        " are listed at the end; the exit status is 1 if there were any."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--jobs",
            type=_jobs,
            default=1,
            metavar="N",
            help="Number of threads that make images (default: 1); as many as there are cores.",
        )
        parser.add_argument(
            "--force", action="store_true", help="Make images that exist, too: each is replaced."
        )
        parser.add_argument(
            "--missing",
            action="store_true",
            help="Let the storage say what is missing, by listing its folders, whatever the states"
            " say; leave alone what failed a short while ago.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Only list what would be made; write nothing."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the images.

        Raises:
            CommandError: A pattern matches no id, or some images could not be made.
        """
        if options["force"] and options["missing"]:
            raise CommandError("Give either --force or --missing: they contradict each other.")
        ids = self.select(options["ids"])
        started = time.monotonic()
        tally = _Tally()
        pipeline = Generation(
            jobs=options["jobs"],
            force=options["force"],
            retry=not options["missing"],
            missing_only=options["missing"],
            dry_run=options["dry_run"],
            by_listing=True,
            remember_every=REMEMBER_EVERY,
        )
        quiet = options["json"] or options["verbosity"] < 1
        try:
            with Progress(
                self, "image", quiet=quiet, total=partial(expected_count, ids)
            ) as progress:
                for result in pipeline.run(every_batch(ids, tally.fail)):
                    tally.add(result)
                    progress.step()
                    if options["verbosity"] > 1 and not options["json"]:
                        self.stdout.write(f"{result.status:8} {_name_of(result.file)}")
        except KeyboardInterrupt:
            tally.interrupted = True
        self._finish(ids, tally, time.monotonic() - started, options)

    def _finish(
        self, ids: list[str], tally: _Tally, seconds: float, options: dict[str, Any]
    ) -> None:
        document = {
            "command": "generateimages",
            "specs": ids,
            "dry_run": options["dry_run"],
            "interrupted": tally.interrupted,
            "made": tally.made,
            "existing": tally.existing,
            "failed": len(tally.failures),
            "failures": tally.failures,
            "seconds": round(seconds, 3),
        }
        if options["dry_run"]:
            document["wanted"] = tally.wanted
        lines = [f"would make {item['file']}" for item in tally.wanted]
        if options["verbosity"] > 0:
            lines.append(_summary(tally, seconds, options["dry_run"]))
        self.report(document, lines, options["json"])
        if tally.interrupted:
            raise interrupted()
        if tally.failures:
            raise CommandError(_listed(tally.failures))


def _summary(tally: _Tally, seconds: float, dry_run: bool) -> str:
    if dry_run:
        return f"{counted(len(tally.wanted), 'image')} would be made; {tally.existing:,} exist."
    return (
        f"{counted(tally.made, 'image')} made, {tally.existing:,} existed,"
        f" {len(tally.failures):,} failed, in {seconds:.1f} s."
    )


def _listed(failures: list[dict[str, str]]) -> str:
    lines = [f"{counted(len(failures), 'image')} could not be made:"]
    for item in failures:
        where = " of ".join(part for part in (item["spec"], repr(item["source"])) if part != "''")
        hint = f" {item['hint']}" if item["hint"] else ""
        lines.append(f"  {where}: {item['cause']}.{hint}")
    return "\n".join(lines)
