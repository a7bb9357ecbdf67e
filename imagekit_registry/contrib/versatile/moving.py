"""What a project brings along from django-versatileimagefield: settings, which are checked, and images.

What it has made is found by its names, which tell the keys.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks

from imagekit_registry.cachefiles.listing import Listing
from imagekit_registry.contrib._peers import names_beside, stored_files
from imagekit_registry.contrib.versatile import conf
from imagekit_registry.contrib.versatile.files import VersatileImageFieldFile
from imagekit_registry.contrib.versatile.registry import versatileimagefield_registry
from imagekit_registry.maintenance.adopt import Former

__all__ = ["check_settings", "former_images"]

_FILTERED = re.compile(r"__(\w+?)__")
_SIZED = re.compile(
    r"(?:__(?P<filter>\w+?)__)?-(?P<sizer>.+)-(?P<size>\d+x\d+)(?:-(?P<quality>\d+))?"
)


def check_settings(app_configs: object, **kwargs: object) -> list[checks.CheckMessage]:
    """Return the settings of django-versatileimagefield that have no effect."""
    found: list[checks.CheckMessage] = []
    for name in getattr(settings, "VERSATILEIMAGEFIELD_SETTINGS", {}):
        if name not in conf.DEFAULTS:
            known = f"there are {', '.join(sorted(conf.DEFAULTS))}"
            text = f"VERSATILEIMAGEFIELD_SETTINGS[{name!r}] has no effect."
            hint = f"Remove it; {conf.REPLACED.get(name, known)}."
            found.append(checks.Warning(text, hint=hint, id="imagekit.W041"))
    if getattr(settings, "VERSATILEIMAGEFIELD_USE_PLACEHOLDIT", False):
        text = "VERSATILEIMAGEFIELD_USE_PLACEHOLDIT has no effect: nothing of other sites is shown."
        hint = "Give the field placeholder_image=, or show something else in the template."
        found.append(checks.Warning(text, hint=hint, id="imagekit.W041"))
    return found


def former_images(notes: list[str]) -> Iterator[Former]:
    """Yield what was made of the files of all rows, as the names in its folders tell.

    Args:
        notes: Where it is written down why names tell nothing.
    """
    own: dict[str, Any] = getattr(settings, "VERSATILEIMAGEFIELD_SETTINGS", {})
    if own.get("image_key_post_processor"):
        notes.append(
            "VERSATILEIMAGEFIELD_SETTINGS has an 'image_key_post_processor': names do not tell the keys,"
            " and images are made again."
        )
        return
    sized = own.get("sized_directory_name", "__sized__")
    filtered = own.get("filtered_directory_name", "__filtered__")
    listing = Listing()
    for file in stored_files(notes):
        if not isinstance(file, VersatileImageFieldFile):
            continue
        folder, basename = posixpath.split(str(file.name).replace(" ", ""))
        stem, extension = posixpath.splitext(basename)
        for place in (
            posixpath.join(folder, filtered),
            posixpath.join(sized, folder),
            posixpath.join(sized, folder, filtered),
        ):
            for name in names_beside(listing, file.storage, place, stem):
                rest, ending = posixpath.splitext(name.removeprefix(stem))
                key = _key_of(file, rest) if ending == (extension or ".jpg") else ""
                if key:
                    yield Former(file.file_of(key), posixpath.join(place, name), file.storage)


def _key_of(file: VersatileImageFieldFile, rest: str) -> str:
    """Return the key that the end of a name tells; empty if it tells none that is asked for now."""
    registry = versatileimagefield_registry
    if found := _FILTERED.fullmatch(rest):
        return f"filters__{found[1]}__url" if found[1] in registry.filters else ""
    found = _SIZED.fullmatch(rest)
    if found is None:
        return ""
    point = "__".join(str(part).replace(".", "-") for part in file.ppoi)
    sizer = "crop" if found["sizer"] == f"crop-c{point}" else found["sizer"]
    format = "webp" if str(file.name).lower().endswith(".webp") else "jpeg"
    is_same = found["quality"] in {None, str(conf.get(f"{format}_resize_quality"))}
    if not is_same or sizer not in registry.sizers or sizer == found["sizer"] == "crop":
        return ""
    key = f"{sizer}__{found['size']}"
    if found["filter"] is None:
        return key
    return f"filters__{found['filter']}__{key}" if found["filter"] in registry.filters else ""
