"""Static files before they are collected, as ``runserver`` finds them."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from django.contrib.staticfiles import finders


class FoundReader:
    """Reads what the finders find."""

    def open(self, name: str) -> tuple[IO[bytes], str]:
        """Return content and fingerprint; raise `FileNotFoundError` if there is no such file."""
        path = _find(name)
        return path.open("rb"), _fingerprint(path)

    def fingerprint(self, name: str) -> str:
        """Return the fingerprint of a file."""
        return _fingerprint(_find(name))


def _find(name: str) -> Path:
    found = finders.find(name)
    if not isinstance(found, str):
        raise FileNotFoundError(f"no finder of STATICFILES_FINDERS finds {name!r}")
    return Path(found)


def _fingerprint(path: Path) -> str:
    told = path.stat()
    return f"{told.st_size}/{told.st_mtime_ns}"
