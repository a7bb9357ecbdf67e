"""The table of cache files."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="CacheFileRecordRow",
            fields=[
                ("key_digest", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("source_digest", models.CharField(max_length=32)),
                ("spec_digest", models.CharField(max_length=32)),
                ("key", models.TextField()),
                ("name", models.TextField()),
                ("status", models.CharField(max_length=7)),
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
            ],
            options={
                "verbose_name": "cache file record",
                "verbose_name_plural": "cache file records",
                "indexes": [
                    models.Index(fields=["source_digest"], name="imagekit_record_source"),
                    models.Index(fields=["spec_digest"], name="imagekit_record_spec"),
                ],
            },
        ),
    ]
