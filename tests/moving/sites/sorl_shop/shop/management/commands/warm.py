from django.core.management.base import BaseCommand
from sorl.thumbnail import get_thumbnail

from shop.models import Picture


class Command(BaseCommand):
    help = "Makes the pictures of all products"

    def handle(self, *args, **options):
        for picture in Picture.objects.all():
            for side in (160, 320):
                image = get_thumbnail(picture.file, f"{side}x{side}", crop=picture.focus)
                with image.storage.open(image.name) as file:
                    self.stdout.write(f"{image.width} {len(file.read())}")
