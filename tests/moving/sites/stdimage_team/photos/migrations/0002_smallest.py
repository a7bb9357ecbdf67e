# As a project has them whose migrations a formatter has written anew.

import django.core.validators
import stdimage.models
import stdimage.validators
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ("photos", "0001_initial"),
    ]

    operations = [
        migrations.AlterField(
            model_name="photo",
            name="image",
            field=stdimage.models.StdImageField(
                force_min_size=False,
                upload_to="photos",
                validators=[
                    django.core.validators.FileExtensionValidator(["jpg", "png"]),
                    stdimage.validators.MinSizeValidator(10, 10),
                ],
                variations={
                    "square": {
                        "crop": True,
                        "height": 80,
                        "width": 80,
                    },
                    "thumbnail": (100, 75),
                    "wide": (640, 480),
                },
            ),
        ),
    ]
