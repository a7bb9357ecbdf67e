import pictures.models
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
                ("image", pictures.models.PictureField(aspect_ratios=[None, "16/9"], breakpoints={"l": 1200, "m": 992, "s": 768, "xl": 1400, "xs": 576}, container_width=1200, file_types=["WEBP"], grid_columns=12, height_field="height", pixel_densities=[1, 2], upload_to="photos", width_field="width")),
                ("width", models.PositiveIntegerField(editable=False, null=True)),
                ("height", models.PositiveIntegerField(editable=False, null=True)),
            ],
        ),
    ]
