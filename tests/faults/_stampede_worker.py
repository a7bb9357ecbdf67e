"""One of many processes that want the same image at the same moment."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command


def main() -> None:
    """Ask for the image once a round; write down what came, and whether it was made here."""
    options = json.loads(sys.argv[1])
    database = options["database"]
    settings.configure(
        INSTALLED_APPS=["imagekit_registry"],
        MEDIA_ROOT=options["media"],
        MEDIA_URL="/media/",
        CACHES={"default": options["cache"]},
        DATABASES={"default": database} if database else {},
        IMAGEKIT_STATE_STORE="database" if database else "cache",
        IMAGEKIT_ON_ERROR="raise",
        IMAGEKIT_LOCAL_STATE_TTL=0,
        USE_TZ=True,
    )
    django.setup()
    if database and options["number"] == 0:
        call_command("migrate", verbosity=0)
        call_command("createcachetable", verbosity=0)
    from PIL import Image

    from imagekit_registry import ImageSpec, get_image, register, signals
    from imagekit_registry.cachefiles.namers import source_name_and_field
    from imagekit_registry.processors import ResizeToFit

    class Rival(ImageSpec):
        """Gives one name to two sources."""

        processors = [ResizeToFit(300, 300)]
        format = "WEBP"
        namer = source_name_and_field

    register.generator("tests:rival", Rival)
    is_tall = options["rivals"] and options["number"] % 2
    made: list[str] = []

    def note(sender: Any, file: Any, **kwargs: Any) -> None:
        made.append(file.name)

    signals.generated.connect(note)
    folder = Path(options["folder"])
    (folder / f"ready-{options['number']}").touch()
    for round_ in range(options["rounds"]):
        while not (folder / f"start-{round_}").exists():
            time.sleep(0.002)
        time.sleep(options["apart"] * options["number"])
        made.clear()
        answer: dict[str, Any] = {"pid": os.getpid()}
        try:
            source = f"round-{round_}.{'jpeg' if is_tall else 'jpg'}"
            if options["rivals"]:
                file = get_image("tests:rival", source=source)
            else:
                file = get_image("imagekit:thumbnail", source=source, width=300, height=200)
            answer["url"] = file.url
            answer["size"] = [file.width, file.height]
            with Image.open(file.path) as image:
                image.load()
                expected = (200, 300) if is_tall else (300, 200)
                answer["good"] = list(image.size) == answer["size"] == list(expected)
        except Exception as error:  # the parent reads it
            answer["error"] = f"{type(error).__name__}: {error}"
        answer["made"] = len(made)
        part = folder / f"answer-{round_}-{options['number']}.part"
        part.write_text(json.dumps(answer))
        part.rename(part.with_suffix(".json"))


if __name__ == "__main__":
    main()
