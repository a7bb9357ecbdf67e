"""The HTML of tags: what was written before, until a record, a registration or a setting changes; or anew."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter, is_
from types import MappingProxyType
from typing import Any

import attrs
from django.db.models.fields.files import FieldFile
from django.utils.functional import Promise
from django.utils.safestring import SafeString

from imagekit_registry._loading import forget_on_change
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.fallbacks import Fallback, Kept, recall
from imagekit_registry.cachefiles.identity import is_told_by_class
from imagekit_registry.cachefiles.urls import has_fixed_url, has_storage_url, has_url_by_name
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import answer_or
from imagekit_registry.generatorlibrary import Thumbnail
from imagekit_registry.html._batch import Batch, active_batch, attempt, write_now
from imagekit_registry.html._elements import (
    LookUp,
    Markup,
    escape_value,
    look_up,
    srcset_url,
    style_rule,
)
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import (
    BaseImageSpec,
    ImageSpec,
    Source,
    StoredFile,
    point_column,
    point_of,
)

#: What a tag was asked for.
Key = tuple[object, ...]

_TEXTS = frozenset([str, SafeString, type(None)])
_NUMBERS = frozenset([bool, float, int])
#: All that an image hangs on, beside its source, the arguments of its tag and the settings.
_attributes_of = attrgetter(*sorted(ImageSpec.__annotations__), "cachefile_storage")
#: Specs that are what their class is, but for what their arguments set.
_SET_BY_ARGUMENTS = {
    ImageSpec.__init__: set[str](),
    Thumbnail.__init__: {"format", "placeholder", "processors"},
}
_MOST_WRITTEN = 10_000
#: Stands around the number of an image in the place of its URL; nobody can guess it.
_MARK = f"\ue000{secrets.token_hex(8)}\ue001"
_MARKED = re.compile(rf"{_MARK}(\d+){_MARK}")
#: What ends before a URL that is all of an attribute.
_WHOLE = (' href="', ' src="')


@attrs.frozen
class Slot:
    """A place in HTML for a URL that the storage may give in another way each time.

    Args:
        at: Which of the images it is of, by its number.
        is_word: Whether it is a word of a ``srcset``, and not an attribute by itself.
        rest: The HTML that follows it.
    """

    at: int
    is_word: bool
    rest: str


@attrs.frozen(eq=False)
class Written:
    """HTML, the CSS rule that goes with it, and what both hang on.

    Where the storage may give other URLs each time, the HTML ends before the first, and *slots* follow.
    """

    html: SafeString
    slots: Sequence[Slot]
    rule: str
    version: int
    specs: Sequence[tuple[type[BaseImageSpec], tuple[object, ...]]]
    images: Sequence[Kept]

    def text(self) -> SafeString | None:
        """Return the HTML; None if the storage does not give its URLs."""
        if not self.slots:
            return self.html
        urls: dict[int, str] = {}
        text: str = self.html
        for slot in self.slots:
            url = urls.get(slot.at)
            if url is None:
                image = self.images[slot.at]
                name = image.record.published_name or image.record.name
                url = urls[slot.at] = answer_or("", image.storage.url, name)
                if not url:
                    return None
            text += f"{escape_value(srcset_url(url) if slot.is_word else url)}{slot.rest}"
        return SafeString(text)


_written: dict[Key, Written] = {}


def _key_of(
    plan: object,
    args: Sequence[object] = (),
    kwargs: Mapping[str, object] = MappingProxyType({}),
    html: Mapping[str, object] | None = None,
) -> Key | None:
    """Return what tells the HTML of a tag from that of all others; None if its values cannot.

    Args:
        plan: What makes the files of the tag.
        args: Its unnamed arguments.
        kwargs: Its named arguments.
        html: The attributes of its element.
    """
    html = html or {}
    try:
        given = tuple(map(_token, args)), tuple(kwargs), tuple(map(_token, kwargs.values()))
        key = (plan, *given, tuple(html), tuple(map(_token, html.values())))
        hash(key)
    except TypeError:
        return None
    return key


def _token(value: object) -> object:
    cls = type(value)
    if cls in _TEXTS:
        return value
    if cls in _NUMBERS:
        return cls, value
    if isinstance(value, FieldFile) and value.name and vars(value).get("_committed"):
        point = point_column(type(value.instance), value.field.attname)
        # The point is asked for by images that need it; others do not make a query for it.
        if point is None or point in value.instance.__dict__:
            return value.storage, value.name, point and str(point_of(value))
    if isinstance(value, StoredFile):
        return value.storage, value.name
    if isinstance(value, ImageCacheFile):
        return _token_of_image(value)
    if isinstance(value, tuple) and all(isinstance(each, Source) for each in value):
        return value  # other crops of a picture
    if isinstance(value, Promise):
        return Promise, str(value)
    raise TypeError("another object may be the same and say something else")


def _token_of_image(file: ImageCacheFile) -> object:
    """Return what tells an image from others that the registry gave, such as that of a spec field."""
    spec, arguments = file.spec, file.spec.spec_arguments
    if not spec.spec_id or spec is not file.generator:
        raise TypeError("the registry does not know it")
    place = (file.name, file.storage, file.cachefile_backend, file.cachefile_strategy)
    made_of = (spec.spec_id, tuple(arguments), *map(_token, arguments.values()))
    return ImageCacheFile, *place, *made_of, _token(spec.source)


def _current(key: Key) -> Written | None:
    """Return what was written for *key*, if it would be the same now."""
    known = _written.get(key)
    if known is None or known.version != generator_registry.version:
        return None
    for spec, attributes in known.specs:
        if not all(map(is_, attributes, _attributes_of(spec))):
            return None
    for image in known.images:
        if not image.is_current():
            return None
    return known


def _render_and_note(key: Key, markup: Markup, look: LookUp) -> str:
    """Return the HTML of *markup*, and keep it for *key* if arguments, class and records say all of it.

    What is kept was written between two looks at the records: once more, when images are first shown;
    or, lest a storage that makes their URLs be asked twice, when they are shown again.

    Args:
        key: What the tag was asked for.
        markup: What it shows.
        look: Gives URLs and sizes.
    """
    files = markup.files
    if not (_TEXTS | _NUMBERS).issuperset(map(type, conf.IMG.values())):
        # A translation, say: another text for each visitor, of which the key does not tell.
        return markup.render(look)
    if all(has_fixed_url(file) or has_url_by_name(file) for file in files):
        text = markup.render(look)
        if text and (images := _recalled(files)):
            _keep(key, markup.render(look_up), files, images)
        return text
    if all(map(has_storage_url, files)) and (images := _recalled(files)):
        known = _keep(key, markup.render(partial(_marked, images)), files, images)
        if known is not None and (html := known.text()) is not None:
            return html
    return markup.render(look)


def _recalled(files: Sequence[ImageCacheFile]) -> dict[ImageCacheFile, Kept]:
    """Return what is shown of *files*; nothing if that hangs on more than arguments, class and records."""
    images = {file: image for file in files if (image := recall(file)) is not None}
    is_all = all(file in images and _is_told_by_arguments(file.spec) for file in files)
    return images if is_all else {}


def _marked(images: Mapping[ImageCacheFile, Kept], file: ImageCacheFile) -> tuple[Fallback, bool]:
    """Return what is shown of *file*, with a mark in the place of a URL that may be another each time."""
    shown = images[file].shown
    mark = f"{_MARK}{list(images).index(file)}{_MARK}"
    return (shown if shown.url else attrs.evolve(shown, url=mark)), True


def _keep(
    key: Key, html: str, files: Sequence[ImageCacheFile], images: Mapping[ImageCacheFile, Kept]
) -> Written | None:
    """Keep HTML, marks and all, and return it; None if an image has changed meanwhile."""
    classes = {type(file.spec.rendition_of or file.spec) for file in files}
    version, specs = generator_registry.version, [(cls, _attributes_of(cls)) for cls in classes]
    first, *others = _MARKED.split(html)
    before, slots = first, []
    for at, rest in zip(others[::2], others[1::2], strict=True):
        slots.append(Slot(int(at), not before.endswith(_WHOLE), rest))
        before = rest
    if not all(image.is_current() for image in images.values()):
        return None
    if len(_written) >= _MOST_WRITTEN:
        _written.clear()
    rule, shown = style_rule(files), tuple(images.values())
    found = _written[key] = Written(SafeString(first), slots, rule, version, specs, shown)
    return found


def _is_told_by_arguments(spec: BaseImageSpec) -> bool:
    original = spec.rendition_of or spec
    changes = _SET_BY_ARGUMENTS.get(type(original).__init__)
    if changes is None or not is_told_by_class(spec):
        return False
    # What a property gives may be another thing the next time.
    own = vars(original).keys() - {"source", "spec_arguments", "spec_id"}
    return own <= changes and not any(
        isinstance(value, property) for value in _attributes_of(type(original))
    )


def show(plan: Callable[..., Markup], *args: Any, waits: bool = False) -> SafeString:
    """Return the HTML of what ``plan(*args)`` gives; what breaks is handled as the settings say.

    Args:
        plan: Makes the cache files, and no images.
        *args: What it takes.
        waits: Whether a mark can stand for the HTML, which the batch around it fills in.

    Raises:
        ImageKitError: ``IMAGEKIT_ON_ERROR`` is ``"raise"``, or a programmer erred.
    """
    key = _key_of(plan, *args)
    known = _current(key) if key is not None else None
    batch: Batch | None
    if known is not None and (html := known.text()) is not None:
        if known.rule and waits and (batch := active_batch()) is not None:
            batch.rules[known.rule] = None
        return html
    markup = attempt(plan, *args)
    if markup is None:
        return SafeString("")
    batch = active_batch() if waits else None
    render = markup.render if key is None else partial(_render_and_note, key, markup)
    if batch is None:
        return write_now(markup, render)
    return batch.add(markup, partial(batch.with_rule, markup, render))


forget_on_change(_written.clear)
