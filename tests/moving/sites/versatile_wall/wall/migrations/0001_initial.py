import versatileimagefield.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Post",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(max_length=100)),
                (
                    "image",
                    versatileimagefield.fields.VersatileImageField(
                        height_field="height", upload_to="posts", verbose_name="Picture", width_field="width"
                    ),
                ),
                ("width", models.PositiveIntegerField(editable=False, null=True)),
                ("height", models.PositiveIntegerField(editable=False, null=True)),
                ("ppoi", versatileimagefield.fields.PPOIField(default="0.5x0.5", editable=False, max_length=20)),
                ("badge", versatileimagefield.fields.VersatileImageField(blank=True, upload_to="badges")),
            ],
        ),
    ]
