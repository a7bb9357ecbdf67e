"""In what quality a file was written, if that was searched for, and of how many tries."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("imagekit_registry", "0003_obsolete_at")]

    operations = [
        migrations.AddField(
            model_name="cachefilerecordrow",
            name="quality",
            field=models.IntegerField(null=True),
        ),
        migrations.AddField(
            model_name="cachefilerecordrow",
            name="tries",
            field=models.IntegerField(null=True),
        ),
    ]
