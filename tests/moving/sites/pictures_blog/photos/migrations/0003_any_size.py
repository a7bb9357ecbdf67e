import pictures.models
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ("photos", "0002_smallest"),
    ]

    operations = [
        migrations.AlterField(
            model_name="photo",
            name="image",
            field=pictures.models.PictureField(
                aspect_ratios=[None, "16/9"],
                breakpoints={"l": 1200, "m": 992, "s": 768, "xl": 1400, "xs": 576},
                container_width=1200,
                file_types=["WEBP"],
                grid_columns=12,
                height_field="height",
                pixel_densities=[1, 2],
                upload_to="photos",
                width_field="width",
            ),
        ),
    ]
