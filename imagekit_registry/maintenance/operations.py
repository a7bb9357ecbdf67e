"""An operation for migrations: what a changed spec makes is made before pages ask for it."""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

import attrs
from django.apps import apps
from django.db import DEFAULT_DB_ALIAS
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models.signals import post_migrate

from imagekit_registry._loading import resolve_storage
from imagekit_registry.cachefiles.bulk import Generation
from imagekit_registry.cachefiles.deletion import find_images
from imagekit_registry.cachefiles.identity import state_key
from imagekit_registry.cachefiles.results import Result, ResultStatus
from imagekit_registry.exceptions import answer_or, logged
from imagekit_registry.maintenance.clean import has_fixed_name
from imagekit_registry.maintenance.inventory import Errors, every_batch
from imagekit_registry.registry import generator_registry
from imagekit_registry.state import get_state_access

__all__ = ["AlterSpec"]

_logger = logging.getLogger("imagekit_registry.maintenance")
_THERE = frozenset({ResultStatus.MADE, ResultStatus.EXISTING})


class AlterSpec(Operation):
    """Make the images of a spec whose recipe or namer has changed, when all migrations are applied.

    The former images stay: the processes that still run the former code go on to show them. They
    are written down as obsolete, so that ``cleanimages --older-than 1d`` removes them a day later.
    The database does not change, and there is nothing to be done backwards. What cannot be made is
    logged, and stops no deployment; of a spec that is not registered any more nothing is made. One
    that takes more than a source, such as a width, or names its files in a way of its own may have
    several images of it, of which nobody knows the former ones: they stay, and are not written down.

    Args:
        spec_id: The id of the spec.
        delete_former: Whether the former images of a source are removed as soon as the new ones exist;
            if one could not be made, or a worker is still to make it, they stay.

    Example:
        >>> from django.db import migrations
        >>> class Migration(migrations.Migration):
        ...     dependencies = [("shop", "0007_weights")]
        ...     operations = [AlterSpec("shop:product:thumbnail")]
    """

    reduces_to_sql = False
    reversible = True
    elidable = True

    def __init__(self, spec_id: str, delete_former: bool = False) -> None:
        self.spec_id = spec_id
        self.delete_former = delete_former

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Leave the models as they are."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Have the images made at the end: rows are read as the code has them now."""
        alias = schema_editor.connection.alias
        # Rows of all databases are read at once.
        if alias == DEFAULT_DB_ALIAS and not schema_editor.collect_sql:
            post_migrate.connect(
                self._make,
                sender=apps.get_app_config(app_label),
                weak=False,
                dispatch_uid=self,
            )

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Do nothing: the former code makes what it asks for."""

    def describe(self) -> str:
        """Return what ``migrate --plan`` says."""
        return f"Make the images of the spec {self.spec_id!r}"

    @property
    def migration_name_fragment(self) -> str:
        """The part of a migration's name."""
        return f"alter_spec_{self.spec_id.replace(':', '_').replace('.', '_').lower()}"

    def _make(self, sender: object, **kwargs: object) -> None:
        """Make the images; a receiver of ``post_migrate``, once."""
        post_migrate.disconnect(sender=sender, dispatch_uid=self)
        if self.spec_id not in generator_registry.get_ids():
            return
        errors: Errors = []
        counts: Counter[ResultStatus] = Counter()
        for batch in every_batch([self.spec_id], errors):
            sources: defaultdict[str, list[Result]] = defaultdict(list)
            for result in Generation(retry=True, by_listing=True).run([batch]):
                counts[result.status] += 1
                sources[result.file.identity.source].append(result)
                if result.error is not None:
                    errors.append((self.spec_id, result.error))
            for results in sources.values():
                self._retire_former(results)
        for _, error in errors:
            _logger.warning("An image that a migration asks for cannot be made: %s", error)
        numbers = ", ".join(f"{number:,} {status}" for status, number in counts.items())
        _logger.info("Images of %s: %s", self.spec_id, numbers or "none")

    def _retire_former(self, results: Sequence[Result]) -> None:
        """Write down that the former images of one source are obsolete, or remove them."""
        if not has_fixed_name(generator_registry.lookup(self.spec_id)):
            return
        files = [result.file for result in results]
        is_there = all(result.status in _THERE for result in results)
        digests = {file.identity.digest for file in files}
        names = {name for file in files for name in file.identity.names}
        for record in answer_or((), find_images, files[0].spec.source):
            is_current = record.name in names or record.digest.partition("/")[2] in digests
            if record.spec_id != self.spec_id or is_current:
                continue
            access, key = get_state_access(), state_key(record.storage, record.name)
            if is_there and self.delete_former:
                storage = resolve_storage(record.storage or "default")
                with logged(_logger, "%r is left over", record.name):
                    storage.delete(record.published_name or record.name)
                    access.drop([key])
            elif record.obsolete_at is None:
                access.put(key, attrs.evolve(record, obsolete_at=time.time()))
