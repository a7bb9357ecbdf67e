"""Room for every status, and another word for one; no search by spec any more."""

from django.db import migrations, models


def rename_status(apps, schema_editor):
    """Write "generating" in place of "making"."""
    rows = apps.get_model("imagekit_registry", "CacheFileRecordRow").objects
    rows.using(schema_editor.connection.alias).filter(status="making").update(status="generating")


def delete_records(apps, schema_editor):
    """Empty the table, on the way back: its rows have no `spec_digest`, and are hints."""
    rows = apps.get_model("imagekit_registry", "CacheFileRecordRow").objects
    rows.using(schema_editor.connection.alias).all().delete()


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
        migrations.RunPython(rename_status, delete_records),
    ]
