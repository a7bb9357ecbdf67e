"""Room for every status; no search by spec any more."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("imagekit_registry", "0001_initial")]

    operations = [
        migrations.RemoveIndex(model_name="cachefilerecordrow", name="imagekit_record_spec"),
        migrations.RemoveField(model_name="cachefilerecordrow", name="spec_digest"),
        migrations.AlterField(
            model_name="cachefilerecordrow",
            name="status",
            field=models.CharField(max_length=16),
        ),
    ]
