"""``manage.py forgetimages``: forget images that are known to exist and are gone."""

from __future__ import annotations

from typing import Any

from imagekit_registry.maintenance.forget import Forgetter
from imagekit_registry.management._commands import ImageCommand, counted, describe, flag, select

__all__ = ["Command"]


class Command(ImageCommand):
    """Forget images that are known to exist and are gone."""

    help = (
        "Forget images whose files are gone: after the folder of images, or a part of it, was deleted."
        " Storages are listed by the folder. Pages, generateimages and whoever else asks for such an"
        " image then make it anew. A cache cannot list what it has: called without ids, it forgets all"
        " images that no row calls for, and those are looked up in their storage once more; so are"
        " others while it runs, and after Ctrl-C."
    )

    arguments = {"--dry-run": flag("Only list what would be forgotten.")}

    def handle(self, *args: object, **options: Any) -> None:
        """Forget what is gone.

        Raises:
            CommandError: A pattern matches no id, or a storage did not answer.
        """
        forgetter = Forgetter(select(options["ids"]), options["ids"], options["dry_run"])
        count = 0
        word = "would forget" if options["dry_run"] else "forgot"
        with self.progress("image") as step:
            forgetter.on_progress = step
            for record in forgetter.run():
                count += 1
                name = record.published_name or record.name
                self.tell("forgotten", {"file": name}, "" if self.is_quiet else f"{word} {name}")
        document: dict[str, object] = {
            "dry_run": options["dry_run"],
            "forgotten": count,
            "kept": forgetter.kept,
            "others_forgotten": forgetter.forgets_others,
            "unreachable": forgetter.unreachable,
            "problems": [describe(error, spec_id) for spec_id, error in forgetter.errors],
        }
        others = " The cache has forgotten images that no row calls for." * forgetter.forgets_others
        ending = "would be forgotten" if options["dry_run"] else "forgotten"
        lines = [f"{counted(count, 'image')} {ending}, {forgetter.kept:,} kept.{others}"]
        complaints = [f"{name}: its storage does not answer." for name in forgetter.unreachable]
        complaints += [str(error) for _, error in forgetter.errors]
        self.report(document, [] if self.is_quiet else lines, complaints)
