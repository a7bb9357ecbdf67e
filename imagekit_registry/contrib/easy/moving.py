"""What a project brings along from easy-thumbnails: settings and tags, which are checked, and images.

What it has made is found by its names, which tell the options.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Warning
from django.core.files.storage import Storage, storages
from django.db.models.fields.files import FieldFile

from imagekit_registry._loading import resolve_storage
from imagekit_registry.cachefiles.listing import Listing
from imagekit_registry.contrib import _peers
from imagekit_registry.contrib.easy.alias import aliases, fields_of
from imagekit_registry.contrib.easy.conf import REPLACED, RULES, settings
from imagekit_registry.contrib.easy.files import ThumbnailerFieldFile
from imagekit_registry.contrib.easy.options import ThumbnailOptions, size_of
from imagekit_registry.contrib.easy.processors import known_options
from imagekit_registry.contrib.easy.specs import OTHER_OPTIONS, EasyThumbnail
from imagekit_registry.contrib.easy.storage import ThumbnailFileSystemStorage
from imagekit_registry.contrib.easy.templatetags.thumbnail import RE_SIZE, ThumbnailNode
from imagekit_registry.exceptions import ImageKitError, answer_or
from imagekit_registry.imaging.formats import AUTO, AUTO_FORMATS, extension_to_format
from imagekit_registry.maintenance.adopt import Former

__all__ = ["check_settings", "check_templates", "former_images"]

_LIBRARIES = ("thumbnail", "easy_thumbnails_tags")
_SIZE = re.compile(r"(\d+)x(\d+)_q(\d+)(?:ss(\d))?", re.ASCII)


def check_settings(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Return the settings of easy-thumbnails that are wrong, or have no effect."""
    values = (
        (name, rule, getattr(settings, name), getattr(type(settings), name))
        for name, rule in RULES.items()
    )
    found = list(_peers.check_settings(values, REPLACED, "imagekit.W031"))
    return found or list(_check_aliases())


def _check_aliases() -> Iterator[CheckMessage]:
    for target, alias, options in aliases.items():
        for problem, hint in _problems_of(target, options):
            where = f"The alias {alias!r} of {target or 'all targets'!r}"
            yield Warning(f"{where} {problem}", hint=hint, id="imagekit.W032")


def _problems_of(target: str, options: Mapping[str, object]) -> _peers.Problems:
    """Yield what is wrong with an alias, and what to do."""
    try:
        fields_of(target)
    except LookupError as error:
        yield f"is for what there is not: {error}", "Write 'app', 'app.Model' or 'app.Model.field'."
    known = known_options() | OTHER_OPTIONS
    for name in options:
        if name not in known and not name.isupper():
            yield f"has the unknown option {name!r}.", f"There are {', '.join(sorted(known))}."
    try:
        size_of(options)
        EasyThumbnail(**options)
    except (ImageKitError, TypeError, ValueError) as error:
        yield f"gives no image: {error}", "Mend its options."


def check_templates(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Return the tags in templates that ask for what there is not, each with its line.

    What a template leaves to variables is not looked at.
    """
    found = _peers.find_tags(ThumbnailNode, _LIBRARIES)
    return list(_peers.check_tags(found, "easy-thumbnails", _problems_in, "imagekit.W033"))


def _problems_in(node: ThumbnailNode) -> _peers.Problems:
    """Yield what is wrong with a tag, and what to do."""
    size = _peers.constant(node.size)
    named = {alias for _, alias, _ in aliases.items()}
    if isinstance(size, str) and not RE_SIZE.fullmatch(size) and size not in named:
        there = ", ".join(sorted(named)) or "none"
        yield f"has the size or alias {size!r}, which is none.", f"Aliases are: {there}."
    try:
        EasyThumbnail(size=(9, 9), **_peers.constants(node.options.items()))
    except (ImageKitError, TypeError, ValueError) as error:
        yield f"shows no image: {error}", "Mend its options."


def former_images(notes: list[str]) -> Iterator[Former]:
    """Yield what was made of the files of all rows, as names beside them tell.

    Args:
        notes: Where it is written down why names tell nothing.
    """
    parts = [getattr(django_settings, f"THUMBNAIL_{name}", "") for name in ("BASEDIR", "SUBDIR")]
    namer = getattr(django_settings, "THUMBNAIL_NAMER", "easy_thumbnails.namers.default")
    is_usual = str(namer).endswith(".namers.default")  # the guide renames what is before it
    if not is_usual or any("%(opts)s" in part for part in parts):
        notes.append(
            "THUMBNAIL_NAMER, _BASEDIR or _SUBDIR gives names that do not tell the options in the way"
            " of easy-thumbnails: what has such a name is made again."
        )
        return
    names = sorted(known_options() | OTHER_OPTIONS, key=len, reverse=True)
    option = re.compile(rf"_({'|'.join(map(re.escape, names))})(?:-([^_]*))?(?=_|$)")
    listing = Listing()
    for file in _peers.stored_files(notes):
        image = ThumbnailerFieldFile(file.instance, file.field, file.name)
        storage = _storage_of(file)
        folder, basename = posixpath.split(str(file.name))
        place = posixpath.join(parts[0], folder, parts[1])
        start = f"{getattr(django_settings, 'THUMBNAIL_PREFIX', '')}{basename}."
        for name in _peers.names_beside(listing, storage, place, start):
            told = posixpath.splitext(name.removeprefix(start))[0]
            if options := _options(told, option):
                yield from _former(image, options, posixpath.join(place, name), storage)


def _former(
    image: ThumbnailerFieldFile, options: dict[str, Any], name: str, storage: Storage
) -> Iterator[Former]:
    """Yield what a former file would be here; nothing if that has another format."""
    try:
        asked = ThumbnailOptions(options)
        alias = next(
            (
                alias
                for alias, named in aliases.all(image).items()
                if ThumbnailOptions(named) == asked
            ),
            None,
        )
        file = image.image_for(options) if alias is None else image.image_of_alias(alias)
    except (ImageKitError, TypeError, ValueError):
        return  # Options that are none here.
    format = answer_or("", extension_to_format, posixpath.splitext(name)[1])
    source = answer_or("", extension_to_format, posixpath.splitext(str(image.name))[1])
    wanted = file.spec.format or source
    if format in (AUTO_FORMATS if wanted == AUTO else (wanted,)):
        yield Former(file, name, storage)


def _options(told: str, option: re.Pattern[str]) -> dict[str, object]:
    """Return the options that a part of a name tells; none if it is no such part."""
    found = _SIZE.match(told)
    if found is None or option.sub("", told[found.end() :]):
        return {}
    width, height, quality, subsampling = found.groups()
    options: dict[str, Any] = {"size": (int(width), int(height)), "quality": int(quality)}
    options |= {"subsampling": int(subsampling)} if subsampling else {}
    given = option.findall(told[found.end() :])
    return {**options, **{name: value or True for name, value in given}}


def _storage_of(file: FieldFile) -> Storage:
    """Return the storage that easy-thumbnails has put the images of a file into."""
    own = vars(file.field).get("thumbnail_storage")
    alias = settings.THUMBNAIL_DEFAULT_STORAGE_ALIAS
    if own is None and alias in storages.backends:
        return storages[alias]
    former = getattr(django_settings, "THUMBNAIL_DEFAULT_STORAGE", None)
    if own is None and former is None:
        return ThumbnailFileSystemStorage()
    return resolve_storage(own or former)
