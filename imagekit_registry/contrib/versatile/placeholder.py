"""What an empty field shows."""

from __future__ import annotations

from pathlib import Path

from django.core.files.base import ContentFile
from django.core.files.storage import Storage, default_storage

__all__ = ["OnDiscPlaceholderImage", "OnStoragePlaceholderImage"]


class OnDiscPlaceholderImage:
    """An image on the disk of the process.

    Args:
        path: Its path.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)

    @property
    def name(self) -> str:
        """What it is called among the placeholders."""
        return Path(self.path).name

    def read(self) -> ContentFile:  # type: ignore[type-arg]
        """Return its content."""
        return ContentFile(Path(self.path).read_bytes(), self.name)


class OnStoragePlaceholderImage(OnDiscPlaceholderImage):
    """An image in a storage.

    Args:
        path: Its name in the storage.
        storage: The storage; the default one if None.
    """

    def __init__(self, path: str, storage: Storage | None = None) -> None:
        super().__init__(path)
        self.storage = storage

    @property
    def name(self) -> str:
        """What it is called among the placeholders."""
        return self.path

    def read(self) -> ContentFile:  # type: ignore[type-arg]
        """Return its content."""
        with (self.storage or default_storage).open(self.path) as file:
            return ContentFile(file.read(), self.name)
