"""Keys of images, and sets of them."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import HttpRequest

from imagekit_registry.cachefiles.existence import fetch
from imagekit_registry.contrib.versatile.conf import key_sets
from imagekit_registry.contrib.versatile.exceptions import InvalidSizeKey
from imagekit_registry.contrib.versatile.files import VersatileImageFieldFile
from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.state import state_scope

__all__ = [
    "build_versatileimagefield_url_set",
    "get_rendition_key_set",
    "get_url_from_image_key",
    "validate_versatileimagefield_sizekey_list",
]

Keys = Iterable[tuple[str, str]]


def validate_versatileimagefield_sizekey_list(sizes: Keys) -> list[tuple[str, str]]:
    """Return pairs of names and keys, such as ``("small", "thumbnail__100x100")``.

    Raises:
        InvalidSizeKey: They are no pairs, or a key is none.
    """
    pairs = [tuple(pair) for pair in sizes]
    for pair in pairs:
        last = pair[-1].split("__")[-1] if len(pair) == 2 else ""
        if last != "url" and "x" not in last:
            raise InvalidSizeKey(
                f"{pair!r} is no pair of a name and a key, such as ('small', 'crop__400x300'),"
                " ('original', 'url') or ('negative', 'filters__invert__url')."
            )
    return [(name, key) for name, key in pairs]


def get_rendition_key_set(key: str) -> list[tuple[str, str]]:
    """Return a set of ``VERSATILEIMAGEFIELD_RENDITION_KEY_SETS``.

    Raises:
        InvalidConfiguration: There is none of this name.
    """
    try:
        return validate_versatileimagefield_sizekey_list(key_sets()[key])
    except KeyError:
        raise InvalidConfiguration(
            f"There is no set {key!r} in VERSATILEIMAGEFIELD_RENDITION_KEY_SETS, which has"
            f" {', '.join(map(repr, key_sets())) or 'none'}."
        ) from None


def pairs_of(sizes: str | Keys) -> list[tuple[str, str]]:
    """Return pairs of names and keys, of a set by its name, or those that are given."""
    if isinstance(sizes, str):
        return get_rendition_key_set(sizes)
    return validate_versatileimagefield_sizekey_list(sizes)


def get_url_from_image_key(image_instance: VersatileImageFieldFile, image_key: str) -> str:
    """Return the URL of an image by its key; of ``"url"`` that of the file itself."""
    return image_instance.url if image_key == "url" else image_instance.made(image_key).url


def build_versatileimagefield_url_set(
    image_instance: VersatileImageFieldFile, size_set: Keys, request: HttpRequest | None = None
) -> dict[str, str]:
    """Return the URLs of images by their names; none of an empty field without a placeholder.

    The states of all are fetched in one round trip.

    Args:
        image_instance: The file of a field.
        size_set: Pairs of names and keys.
        request: The request that is answered; with it URLs are absolute.
    """
    pairs = validate_versatileimagefield_sizekey_list(size_set)
    if not (image_instance or image_instance.source is not image_instance):
        return {}
    with state_scope():
        fetch([image_instance.file_of(key) for _, key in pairs if key != "url"])
        urls = {name: get_url_from_image_key(image_instance, key) for name, key in pairs}
    if request is None:
        return urls
    return {name: request.build_absolute_uri(url) for name, url in urls.items()}
