"""The one table: a row for each cache file whose state is kept in the database."""

from __future__ import annotations

from django.apps import apps
from django.db import models
from django.utils.translation import gettext_lazy as _

from imagekit_registry.exceptions import InvalidConfiguration

__all__ = ["CacheFileRecordRow"]

if not apps.is_installed("imagekit_registry"):
    raise InvalidConfiguration(
        "imagekit_registry is not installed. Add the line 'imagekit_registry', to INSTALLED_APPS in"
        " the project's settings."
    )


class CacheFileRecordRow(models.Model):
    """A `CacheFileRecord` under its key, for ``DatabaseStateStore``, which reads and writes it.

    Names are looked up by their digests. These have the same length for any name, so that an
    index holds them on every database (MariaDB's ends at 768 characters), and they tell ``A`` from
    ``a``, which MariaDB's usual collations do not. They are 62 bits. Who walks over all rows does so by
    a number of their own: in the order of digests each would be elsewhere.

    Numbers come before texts, those of 8 bytes first: PostgreSQL leaves no gaps between them then. What
    the name says already stands as one character in the columns of key and digest.
    """

    id = models.BigAutoField(primary_key=True)
    key_digest = models.BigIntegerField(unique=True)
    source_digest = models.BigIntegerField()
    size = models.BigIntegerField(null=True)
    made_at = models.FloatField(null=True)
    retry_at = models.FloatField(null=True)
    obsolete_at = models.FloatField(null=True)
    width = models.IntegerField(null=True)
    height = models.IntegerField(null=True)
    failures = models.IntegerField(default=0)
    quality = models.IntegerField(null=True)
    tries = models.IntegerField(null=True)

    key = models.TextField()
    name = models.TextField()
    status = models.CharField(max_length=16)
    storage = models.TextField(blank=True)
    format = models.TextField(blank=True)
    digest = models.TextField(blank=True)
    spec_id = models.TextField(blank=True)
    source = models.TextField(blank=True)
    fingerprint = models.TextField(blank=True)
    placeholder = models.TextField(blank=True)
    error = models.TextField(blank=True)
    published_name = models.TextField(blank=True)
    limit = models.TextField(blank=True)

    class Meta:  # noqa: D106
        indexes = (models.Index(fields=["source_digest"], name="imagekit_record_source"),)
        verbose_name = _("cache file record")
        verbose_name_plural = _("cache file records")

    def __str__(self) -> str:
        return f"{self.name} ({self.status})"
