"""Rows in the order in which they were written, under digests of 16 bytes where a database has such."""

from itertools import product
from uuid import UUID

from django.db import migrations, models


def copy_records(apps, schema_editor):
    """Copy the rows in pages, so that any number of them can be."""
    alias = schema_editor.connection.alias
    made = apps.get_model("imagekit_registry", "NewRecordRow")
    names = [field.name for field in made._meta.fields if field.name != "id"]
    rows = apps.get_model("imagekit_registry", "CacheFileRecordRow").objects.using(alias)
    pages, last = rows.order_by("key_digest").values(*names), ""
    while page := list(pages.filter(key_digest__gt=last)[:2_000]):
        last = page[-1]["key_digest"]
        for row, name in product(page, ("key_digest", "source_digest")):
            row[name] = UUID(row[name], version=5)
        made.objects.using(alias).bulk_create(made(**row) for row in page)


class Migration(migrations.Migration):
    dependencies = [("imagekit_registry", "0004_quality_and_tries")]

    operations = [
        migrations.RemoveIndex(model_name="cachefilerecordrow", name="imagekit_record_source"),
        migrations.CreateModel(
            name="NewRecordRow",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("key_digest", models.UUIDField(unique=True)),
                ("source_digest", models.UUIDField()),
                ("key", models.TextField()),
                ("name", models.TextField()),
                ("status", models.CharField(max_length=16)),
                ("storage", models.TextField(blank=True)),
                ("width", models.IntegerField(null=True)),
                ("height", models.IntegerField(null=True)),
                ("size", models.BigIntegerField(null=True)),
                ("format", models.TextField(blank=True)),
                ("digest", models.TextField(blank=True)),
                ("spec_id", models.TextField(blank=True)),
                ("source", models.TextField(blank=True)),
                ("fingerprint", models.TextField(blank=True)),
                ("placeholder", models.TextField(blank=True)),
                ("made_at", models.FloatField(null=True)),
                ("error", models.TextField(blank=True)),
                ("failures", models.IntegerField(default=0)),
                ("retry_at", models.FloatField(null=True)),
                ("published_name", models.TextField(blank=True)),
                ("obsolete_at", models.FloatField(null=True)),
                ("quality", models.IntegerField(null=True)),
                ("tries", models.IntegerField(null=True)),
            ],
            options={
                "verbose_name": "cache file record",
                "verbose_name_plural": "cache file records",
                "indexes": [models.Index(fields=["source_digest"], name="imagekit_record_source")],
            },
        ),
        # On the way back the new table is empty: records are hints.
        migrations.RunPython(copy_records, migrations.RunPython.noop),
        migrations.DeleteModel("CacheFileRecordRow"),
        migrations.RenameModel("NewRecordRow", "CacheFileRecordRow"),
    ]
