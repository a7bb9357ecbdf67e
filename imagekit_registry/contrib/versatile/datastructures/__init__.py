"""The classes that sizers and filters of a project derive from."""

from imagekit_registry.contrib.versatile.datastructures.filteredimage import FilteredImage
from imagekit_registry.contrib.versatile.datastructures.sizedimage import SizedImage

__all__ = ["FilteredImage", "SizedImage"]
