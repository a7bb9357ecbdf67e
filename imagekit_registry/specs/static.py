"""Static files as sources."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from django.conf import STATICFILES_STORAGE_ALIAS
from django.contrib.staticfiles import finders
from django.core.files.storage import storages

from imagekit_registry.exceptions import InvalidArgumentType
from imagekit_registry.specs._sources import StoredFile

__all__ = ["StaticSourceGroup", "static_image"]


def static_image(path: object) -> StoredFile:
    """Return a static file as a source.

    Where ``DEBUG`` is on it is read from where ``runserver`` finds it, else from where ``collectstatic``
    has put it. Its images have the same names in both.

    Args:
        path: What ``static()`` takes, such as ``"img/hero.jpg"``.

    Raises:
        ImproperlyConfigured: There are no static files: ``STATIC_URL`` is not set.

    Example:
        >>> static_image("img/hero.jpg").name
        'img/hero.jpg'
    """
    return StoredFile(str(path or ""), storages[STATICFILES_STORAGE_ALIAS])


class StaticSourceGroup:
    """Static files that feed specs, for the commands that make and clean images.

    Args:
        *patterns: Of their paths, such as ``"img/heroes/*.jpg"``; ``*`` stands for folders as well.

    Raises:
        InvalidArgumentType: There is no pattern.

    Example:
        >>> register.source_group("shop:hero", StaticSourceGroup("img/heroes/*.jpg"))
    """

    def __init__(self, *patterns: str) -> None:
        if not patterns:
            raise InvalidArgumentType("StaticSourceGroup needs a pattern, such as 'img/*.jpg'.")
        self.patterns = patterns

    def files(self) -> Iterator[StoredFile]:
        """Yield what the finders find, each path once."""
        # A folder of `STATICFILES_DIRS` may have a prefix, which only its storage knows.
        listed = (
            posixpath.join(getattr(storage, "prefix", None) or "", path.replace("\\", "/"))
            for finder in finders.get_finders()
            for path, storage in finder.list(None)
        )
        names = dict.fromkeys(listed)
        for name in names:
            if any(fnmatchcase(name, pattern) for pattern in self.patterns):
                yield static_image(name)

    def __repr__(self) -> str:
        return f"<StaticSourceGroup: {', '.join(self.patterns)}>"


class FoundReader:
    """Reads static files before they are collected, as ``runserver`` finds them."""

    def open(self, name: str) -> tuple[IO[bytes], str]:
        """Return content and fingerprint; raise `FileNotFoundError` if there is no such file."""
        path = self._find(name)
        return path.open("rb"), self._fingerprint(path)

    def fingerprint(self, name: str) -> str:
        """Return the fingerprint of a file."""
        return self._fingerprint(self._find(name))

    def _fingerprint(self, path: Path) -> str:
        told = path.stat()
        return f"{told.st_size}/{told.st_mtime_ns}"

    def _find(self, name: str) -> Path:
        found = finders.find(name)
        if not isinstance(found, str):
            raise FileNotFoundError(f"no finder of STATICFILES_FINDERS finds {name!r}")
        return Path(found)
