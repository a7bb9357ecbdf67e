import stdimage.models
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Photo",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(max_length=100)),
                ("image", stdimage.models.StdImageField(force_min_size=False, upload_to="photos", variations={"square": {"crop": True, "height": 80, "width": 80}, "thumbnail": (100, 75), "wide": (640, 480)})),
            ],
        ),
    ]
