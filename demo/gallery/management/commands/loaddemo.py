"""Loads the photographs and makes the demo account."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.files import File
from django.core.management.base import BaseCommand, CommandParser
from django.utils.text import capfirst

from demo.gallery.credits import Credit, read_credits
from demo.gallery.models import Photo

ACCOUNT = "demo"

# Title and description of each photograph; the last one loaded comes first in the gallery.
TEXTS = {
    "coffee.png": (
        "Espresso",
        "An espresso in a white cup, with a spoon on a red saucer, on a wooden table",
    ),
    "astronaut.png": (
        "Eileen Collins",
        "The astronaut Eileen Collins smiles in an orange space suit, her helmet before her",
    ),
    "rocket.jpg": (
        "Before lift-off",
        "A white rocket stands between four towers and lamps, before the blue of the evening",
    ),
    "chelsea.png": ("Chelsea", "The face of a tabby cat with green eyes"),
    "hubble_deep_field.jpg": (
        "Extreme Deep Field",
        "Hundreds of galaxies in all colours before the black of space",
    ),
    "fig.jpg": ("Half a fig", "Half a fig in a red bowl, which throws a hard shadow"),
    "mountains.jpg": (
        "Picos de Europa",
        "A path over a meadow towards grey mountains with some snow",
    ),
    "dogs.jpg": ("Neighbours", "Two dogs with curly ears look out of a window of a wooden house"),
    "dandelion.jpg": ("Seeds", "Dandelions in a meadow, white with seeds, against the low sun"),
}
# Where the middle of a photograph is not what it is about.
POINTS = {
    "astronaut.png": "0.430,0.220",
    "dandelion.jpg": "0.290,0.400",
    "dogs.jpg": "0.450,0.420",
}


class Command(BaseCommand):
    """Fill the demo; a second run changes nothing."""

    help = "Load the photographs and make the demo account, unless they are there."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the address under which the demo will be served."""
        parser.add_argument("--address", default="127.0.0.1:8000", help="Host and port to print.")

    def handle(self, *args: Any, address: str, **options: Any) -> None:
        """Load, and print where to look."""
        credits = {credit.file: credit for credit in read_credits(settings.PHOTOS / "CREDITS.md")}
        loaded = sum(self._load(name, texts, credits[name]) for name, texts in TEXTS.items())
        self._make_account()
        self.stdout.write(f"Photographs: {loaded} loaded, {len(TEXTS) - loaded} were there.")
        self.stdout.write("")
        self.stdout.write(f"  Gallery  http://{address}/")
        self.stdout.write(f"  Upload   http://{address}/upload/")
        self.stdout.write(f"  Admin    http://{address}/admin/")
        self.stdout.write(f"  Account  {ACCOUNT}, password {ACCOUNT}")
        self.stdout.write("")

    def _load(self, name: str, texts: tuple[str, str], credit: Credit) -> bool:
        photo = Photo.objects.filter(loaded_from=name).first()
        if photo and photo.image.storage.exists(photo.image.name):
            return False
        photo = photo or Photo(loaded_from=name)
        photo.title, photo.description = texts
        photo.focal_point = POINTS.get(name)
        photo.credit, photo.rights = credit.by, capfirst(credit.rights)
        with (settings.PHOTOS / name).open("rb") as file:
            photo.image = File(file, name=name)
            photo.save()
        return True

    def _make_account(self) -> None:
        users = get_user_model().objects
        if not users.filter(username=ACCOUNT).exists():
            users.create_superuser(ACCOUNT, f"{ACCOUNT}@example.org", ACCOUNT)
