"""When nothing called for a file any more."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("imagekit_registry", "0002_status_and_spec")]

    operations = [
        migrations.AddField(
            model_name="cachefilerecordrow",
            name="obsolete_at",
            field=models.FloatField(null=True),
        ),
    ]
