# As a project has them whose migrations a formatter has written anew.

import pictures.models
import pictures.validators
from django.db import migrations
from pictures.migrations import AlterPictureField


class Migration(migrations.Migration):

    dependencies = [
        ("photos", "0001_initial"),
    ]

    operations = [
        AlterPictureField(  # not Django's
            model_name="photo",
            name="image",
            field=pictures.models.PictureField(
                aspect_ratios=[
                    None,
                    "16/9",
                    "3/2",
                ],
                breakpoints={
                    "l": 1200,
                    "m": 992,
                    "s": 768,
                    "xl": 1400,
                    "xs": 576,
                },
                container_width=None,
                file_types=["WEBP"],
                grid_columns=12,
                height_field="height",
                pixel_densities=[1, 2],
                upload_to="photos",
                validators=[
                    pictures.validators.MaxSizeValidator(8000, 6000),
                    pictures.validators.MinSizeValidator(10, 10),
                ],
                width_field="width",
            ),
        ),
    ]
