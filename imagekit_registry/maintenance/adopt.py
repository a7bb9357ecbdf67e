"""Taking over the images that another library has made, so that none of them is made again."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import attrs
from django.core.files.storage import Storage

from imagekit_registry._loading import get_by_qname
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.existence import fetch, judge, new_record, remember
from imagekit_registry.cachefiles.listing import Hashes, Listing
from imagekit_registry.cachefiles.locks import lock_of
from imagekit_registry.cachefiles.publishing import publish
from imagekit_registry.cachefiles.rendering import name_with, properties_of
from imagekit_registry.exceptions import (
    ImageKitError,
    LockTimeout,
    PublishError,
    UnreadableImage,
    answer_or,
    located,
)
from imagekit_registry.maintenance.inventory import BATCH, compile_pattern, in_chunks
from imagekit_registry.specs import fingerprint, storage_of
from imagekit_registry.state import CacheFileRecord, Status

__all__ = ["LIBRARIES", "Adoption", "Former", "FormerLibrary", "Outcome"]

#: What finds the images of other libraries, by their names: apps of ours, which stand above this room.
LIBRARIES: Mapping[str, str] = {
    "easy": "imagekit_registry.contrib.easy.moving.former_images",
    "imagekit": "imagekit_registry.contrib.django_imagekit.former_images",
    "sorl": "imagekit_registry.contrib.sorl.moving.former_images",
    "versatile": "imagekit_registry.contrib.versatile.moving.former_images",
}


@attrs.frozen
class Former:
    """A file that another library may have made, and what it would be here.

    Args:
        file: What would be made here, pixel for pixel the same but for the encoder.
        name: The name that the other library gave it.
        storage: The storage that it lies in.
    """

    file: ImageCacheFile
    name: str
    storage: Storage


class FormerLibrary(Protocol):
    """**Protocol**: finds what another library has made. The command calls it once."""

    def __call__(self, notes: list[str]) -> Iterator[Former]:
        """Yield files that may be there; whether they are is for the caller to see.

        Args:
            notes: Where to write down, in words, what cannot be found.

        Raises:
            ImageKitError: It needs something that is not installed.
        """


class Outcome(StrEnum):
    """What became of a former file."""

    ADOPTED = "adopted"
    #: The image is there already, or somebody is making it.
    EXISTING = "existing"
    #: Its source has changed since.
    OUTDATED = "outdated"
    FAILED = "failed"


@attrs.define(eq=False)
class Adoption:
    """Gives former files their names here, and writes their records.

    Args:
        library: One of `LIBRARIES`.
        patterns: Only what specs make whose ids one of them means; nothing: everything.
        link: Whether files get a second name, a hard link, in place of a copy.
        dry_run: Whether nothing is changed.
        on_progress: Called with the number of files that were looked for since.

    Attributes:
        counts: How many files there were, by outcome; those that were never made are not counted.
        errors: What failed.
        notes: What the other library may have made besides, in words.
    """

    library: str
    patterns: Sequence[str] = ()
    link: bool = False
    dry_run: bool = False
    on_progress: Callable[[int], None] = lambda count: None

    counts: Counter[Outcome] = attrs.field(factory=Counter, init=False)
    errors: list[ImageKitError] = attrs.field(factory=list, init=False)
    notes: list[str] = attrs.field(factory=list, init=False)
    _listing: Listing = attrs.field(factory=Listing, init=False)
    _seen: Hashes = attrs.field(factory=Hashes, init=False)

    def run(self) -> None:
        """Take over what there is."""
        library: FormerLibrary = get_by_qname(LIBRARIES[self.library], "finder of former images")
        for chunk in in_chunks(self._wanted(library(self.notes)), BATCH):
            there = [former for former in chunk if self._is_there(former)]
            records = fetch([former.file for former in there])
            news = [self._take(*pair) for pair in zip(there, records, strict=True)]
            remember(pair for pair in news if pair is not None)
            self.on_progress(len(chunk))

    def _wanted(self, images: Iterator[Former]) -> Iterator[Former]:
        pattern: re.Pattern[str] = compile_pattern(*self.patterns)
        for former in images:
            # Several rows may have one source.
            identity = former.file.identity
            if pattern.match(identity.spec_id) and identity.key not in self._seen:
                self._seen.add(identity.key)
                yield former

    def _is_there(self, former: Former) -> bool:
        return answer_or(False, self._listing.has, former.storage, former.name)

    def _take(
        self, former: Former, before: CacheFileRecord | None
    ) -> tuple[ImageCacheFile, CacheFileRecord] | None:
        """Take over a file; return it with its record if that could be done."""
        file, record = former.file, None
        is_known = before is not None and judge(file.identity, before, time.time())
        outcome = Outcome.ADOPTED
        try:
            if is_known == Status.EXISTS or file.exists():
                outcome = Outcome.EXISTING
            elif _is_outdated(former):
                outcome = Outcome.OUTDATED
            elif not self.dry_run:
                record = self._adopt(former)
        except LockTimeout:
            outcome = Outcome.EXISTING
        except ImageKitError as error:
            outcome = Outcome.FAILED
            self.errors.append(error)
        self.counts[outcome] += 1
        return None if record is None else (file, record)

    def _adopt(self, former: Former) -> CacheFileRecord:
        """Give a file its name here, and return its record.

        Raises:
            LockTimeout: Somebody is making it.
            UnreadableImage: It is no image.
            PublishError: It cannot be copied or linked.
        """
        file, identity = former.file, former.file.identity
        cause = f"the former image {former.name!r} could not be taken over"
        with (
            located(identity, cause, wrap=PublishError),
            lock_of(file, wait=0),
            former.storage.open(former.name, "rb") as content,
        ):
            properties = properties_of(content, file.spec)
            if not properties:
                raise UnreadableImage(
                    f"the former image {former.name!r} is damaged", hint="Delete it."
                )
            name = name_with(file, properties["format"])
            if self.link:
                target = Path(file.storage.path(name))
                target.parent.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(former.storage.path(former.name))
            else:
                name = publish(file.storage, name, content)
            return new_record(
                file,
                Status.EXISTS,
                size=content.seek(0, 2),
                made_at=round(time.time(), 3),
                fingerprint=fingerprint(file.spec.source),
                published_name=name if name != identity.name else "",
                **properties,
            )


def _is_outdated(former: Former) -> bool:
    """Return whether the source has changed since the file was made, as far as their storages tell."""
    source = former.file.spec.source
    made = answer_or(None, former.storage.get_modified_time, former.name)
    changed: datetime | None = answer_or(
        None,
        lambda: storage_of(source).get_modified_time(source.name),  # type: ignore[union-attr]
    )
    return made is not None and changed is not None and changed > made
