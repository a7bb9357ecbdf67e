"""What a project brings along from sorl-thumbnail: settings and tags, which are checked, and images.

What it has made is found by the names that it gave.
"""

from __future__ import annotations

import ast
import json
import posixpath
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage
from django.core.files.storage import Storage, storages
from django.db.models import ImageField

from imagekit_registry._loading import resolve_storage, storage_reference
from imagekit_registry.contrib import _peers
from imagekit_registry.contrib.sorl import conf
from imagekit_registry.contrib.sorl.images import source_of, thumbnail_of
from imagekit_registry.contrib.sorl.specs import IGNORED, OPTIONS, Thumbnail, parse_geometry
from imagekit_registry.contrib.sorl.templatetags.thumbnail import ThumbnailNode
from imagekit_registry.exceptions import ImageKitError, InvalidArgument
from imagekit_registry.maintenance.adopt import Former
from imagekit_registry.maintenance.inventory import file_columns
from imagekit_registry.specs import StoredFile

__all__ = ["check_settings", "check_templates", "former_images", "name_of"]

#: The names by which templates load the tag.
_LIBRARIES = ("thumbnail", "sorl_thumbnail")
#: The extensions of formats, which are also those that it kept.
_EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "AVIF": "avif"}
_KEPT = {f".{extension}": format for format, extension in _EXTENSIONS.items()} | {".jpeg": "JPEG"}
#: Options that stand in a name only where the settings differ from what sorl-thumbnail has.
_EXTRA = {"progressive": True, "orientation": True, "blur": 0}

#: What some template or function asks for: a geometry, and options as JSON.
_Request = tuple[str, str]


def check_settings(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Return the settings of sorl-thumbnail that are wrong, or have no effect."""
    values = ((name, rule, conf.get(name), default) for name, (default, rule) in conf.READ.items())
    return list(_peers.check_settings(values, conf.REPLACED, "imagekit.W021"))


def check_templates(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Return the tags in templates that ask for what there is not, each with its line.

    What a template leaves to variables is not looked at.
    """
    found = _peers.find_tags(ThumbnailNode, _LIBRARIES)
    return list(_peers.check_tags(found, "sorl-thumbnail 13", _problems, "imagekit.W022"))


def _problems(node: ThumbnailNode) -> _peers.Problems:
    for name, _ in node.options:
        if name not in OPTIONS.keys() | IGNORED | {"options"}:
            text = f"has the option {name!r}, which has no counterpart and makes no difference."
            yield text, f"Remove it, or register a spec. There are {', '.join(sorted(OPTIONS))}."
    source, geometry = _peers.constant(node.source), _peers.constant(node.geometry)
    known = {name: each for name, each in _peers.constants(node.options).items() if name in OPTIONS}
    try:
        if source is not ...:
            source_of(source)
        if geometry is not ...:
            parse_geometry(str(geometry))
        Thumbnail(geometry="9x9", **known)
    except ImageKitError as error:
        yield f"shows no image: {error}", "Images that it asks for are shown as failed ones are."


def former_images(notes: list[str]) -> Iterator[Former]:
    """Yield what was made of the images of all rows, as templates and functions ask for it.

    A name is a hash of source, geometry and options, so that these must be known: they are read in the
    project's templates and modules, where they stand as they are.

    Args:
        notes: Where it is written down which of them do not.
    """
    requests = {(str(conf.get("THUMBNAIL_FILTER_WIDTH")), "{}")}
    requests |= {*_of_templates(notes), *_of_modules(notes)}
    storage = resolve_storage(getattr(settings, "THUMBNAIL_STORAGE", "default"))
    for model, field in file_columns():
        if not isinstance(field, ImageField):
            continue
        rows = model._base_manager.order_by().values_list(field.attname, flat=True)
        for name in filter(None, _peers.read_rows(rows, notes)):
            source = StoredFile(name, field.storage)
            for geometry, told in requests:
                options = json.loads(told)
                try:
                    file = thumbnail_of(source, geometry, options)
                except InvalidArgument:
                    continue  # The checks tell of it.
                yield Former(file, name_of(source, geometry, options), storage)


def name_of(source: StoredFile, geometry: str, options: dict[str, Any]) -> str:
    """Return the name that sorl-thumbnail gave the thumbnail of a source."""
    told = dict(options)
    if conf.get("THUMBNAIL_PRESERVE_FORMAT"):
        extension = posixpath.splitext(str(source.name))[1].lower()
        told.setdefault("format", _KEPT.get(extension, conf.get("THUMBNAIL_FORMAT")))
    defaults: dict[str, Any] = {"crop": False, "cropbox": None, "rounded": None}
    for name in ("format", "quality", "colorspace", "upscale", "padding", "padding_color"):
        defaults[name] = conf.get(f"THUMBNAIL_{name.upper()}")
    for name, usual in _EXTRA.items():
        if (value := conf.get(f"THUMBNAIL_{name.upper()}")) != usual:
            defaults[name] = value
    told = defaults | told
    key = _hash(str(source.name), _storage_name(source.storage))
    name = _hash(key, geometry, json.dumps(told, sort_keys=True))
    prefix = getattr(settings, "THUMBNAIL_PREFIX", "cache/")
    extension = _EXTENSIONS.get(told["format"], "jpg")
    return f"{prefix}{name[:2]}/{name[2:4]}/{name}.{extension}"


def _hash(*texts: str) -> str:
    return md5("||".join(texts).encode(), usedforsecurity=False).hexdigest()


def _storage_name(storage: Storage) -> str:
    alias = storage_reference(storage) or "default"
    if alias in storages.backends:
        if alias not in {"default", getattr(settings, "THUMBNAIL_STORAGE", "default")}:
            return alias
        storage = storages[alias]
    return f"{type(storage).__module__}.{type(storage).__name__}"


def _of_templates(notes: list[str]) -> Iterator[_Request]:
    for template in _peers.find_tags(ThumbnailNode, _LIBRARIES):
        if template.error is not None:
            notes.append(f"{template.path} cannot be compiled: what it asks for is made again.")
        for node in template.nodes:
            values = [
                _peers.constant(each) for each in (node.geometry, *(e for _, e in node.options))
            ]
            names = [name for name, _ in node.options]
            if ... in values or "options" in names:
                notes.append(
                    f"{template.path}, line {node.token.lineno}: what it asks for is known only when it"
                    " is shown; that is made again."
                )
                continue
            geometry, *given = values
            yield str(geometry), json.dumps(dict(zip(names, given, strict=True)))


def _of_modules(notes: list[str]) -> Iterator[_Request]:
    """Yield what calls of ``get_thumbnail`` in the project's own modules ask for."""
    for app in apps.get_app_configs():
        is_own = "site-packages" not in app.path and not app.name.startswith("imagekit_registry")
        for path in sorted(Path(app.path).rglob("*.py")) if is_own else ():
            text = path.read_text("utf-8", errors="replace")
            if "get_thumbnail" not in text:
                continue
            try:
                calls = [each for each in ast.walk(ast.parse(text)) if isinstance(each, ast.Call)]
            except SyntaxError:
                continue
            for call in calls:
                if ast.unparse(call.func).rpartition(".")[2] != "get_thumbnail":
                    continue
                try:
                    geometry = ast.literal_eval(call.args[1])
                    options = {
                        str(k.arg): ast.literal_eval(k.value) for k in call.keywords if k.arg
                    }
                    if len(options) < len(call.keywords):
                        raise ValueError("it has **options")
                    yield str(geometry), json.dumps(options)
                except (IndexError, TypeError, ValueError):
                    notes.append(
                        f"{path}, line {call.lineno}: what it asks for is known only when it is called;"
                        " that is made again."
                    )
