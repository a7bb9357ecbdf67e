from django.db import models
from stdimage import StdImageField


class Photo(models.Model):
    title = models.CharField(max_length=100)
    image = StdImageField(
        upload_to="photos",
        variations={
            "thumbnail": (100, 75),
            "square": {"width": 80, "height": 80, "crop": True},
            "wide": (640, 480),
        },
        delete_orphans=True,
    )
