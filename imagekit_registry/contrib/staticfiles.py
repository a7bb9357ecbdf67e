"""Images of static files, made when these are collected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.staticfiles.storage import StaticFilesStorage
from django.core.management import call_command

from imagekit_registry.registry import source_group_registry
from imagekit_registry.specs.static import StaticSourceGroup

__all__ = ["StaticImagesMixin"]


class StaticImagesMixin(StaticFilesStorage):
    """Lets ``collectstatic`` make the images of what it has collected, before anybody asks for them.

    They are those of the specs that a `StaticSourceGroup` feeds, and are made as ``generateimages``
    makes them: where images are stored, and by workers if the specs have any. Where a version is
    built without the storage of images, leave it out, and call ``generateimages`` where that is.

    Raises:
        CommandError: An image could not be made; ``collectstatic`` ends with it.

    Example:
        >>> from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
        >>> class Collected(StaticImagesMixin, ManifestStaticFilesStorage):
        ...     "For STORAGES: {'staticfiles': {'BACKEND': 'mysite.storages.Collected'}}"
    """

    def post_process(self, paths: Any, dry_run: bool = False, **options: Any) -> Iterator[Any]:
        """Do what the storage does with collected files, and make images then.

        Args:
            paths: What was collected, by its names.
            dry_run: Whether nothing is to be done.
            **options: What else ``collectstatic`` passes.
        """
        parent: Any = super()
        # Only storages that have something to do have it.
        if hasattr(parent, "post_process"):
            yield from parent.post_process(paths, dry_run=dry_run, **options)
        pairs = source_group_registry.pairs()
        ids = sorted({spec_id for group, spec_id in pairs if isinstance(group, StaticSourceGroup)})
        if ids and not dry_run:
            call_command("generateimages", *ids, verbosity=0)
