import stdimage.models
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ("photos", "0002_smallest"),
    ]

    operations = [
        migrations.AlterField(
            model_name="photo",
            name="image",
            field=stdimage.models.StdImageField(
                force_min_size=False,
                upload_to="photos",
                variations={
                    "square": {"crop": True, "height": 80, "width": 80},
                    "thumbnail": (100, 75),
                    "wide": (640, 480),
                },
            ),
        ),
    ]
