"""Which limit an image is beyond that could not be made."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("imagekit_registry", "0005_integer_keys")]

    operations = [
        migrations.AddField(
            model_name="cachefilerecordrow",
            name="limit",
            field=models.TextField(blank=True, default=""),
            preserve_default=False,
        ),
    ]
