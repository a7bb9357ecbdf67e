"""HTML that tags have written: the same until a record, a registration or a setting changes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from operator import attrgetter, is_
from types import MappingProxyType

import attrs
from django.db.models.fields.files import FieldFile
from django.utils.functional import Promise
from django.utils.safestring import SafeString

from imagekit_registry._loading import forget_on_change
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.fallbacks import Kept, recall
from imagekit_registry.cachefiles.identity import is_told_by_class
from imagekit_registry.cachefiles.urls import has_fixed_url, has_storage_url, has_url_by_name
from imagekit_registry.exceptions import answer_or
from imagekit_registry.generatorlibrary import Thumbnail
from imagekit_registry.html._elements import NO_FAILURES, Failures, Markup, escape_value, style_rule
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
#: No value of an attribute holds such quotes.
_SRC = re.compile(r' src="([^"]*)"')


@attrs.frozen(eq=False)
class Written:
    """HTML, the CSS rule that goes with it, and what both hang on.

    Where the storage may give another URL each time, the HTML ends before it, and *rest* follows it.
    """

    html: SafeString
    rest: str
    rule: str
    version: int
    specs: Sequence[tuple[type[BaseImageSpec], tuple[object, ...]]]
    images: Sequence[Kept]

    def text(self) -> SafeString | None:
        """Return the HTML; None if the storage gives no URL."""
        if not self.rest:
            return self.html
        (image,) = self.images
        url = answer_or("", image.storage.url, image.record.published_name or image.record.name)
        return SafeString(f"{self.html}{escape_value(url)}{self.rest}") if url else None


_written: dict[Key, Written] = {}


def key_of(
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


def written(key: Key) -> Written | None:
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


def render_and_note(key: Key, markup: Markup, failures: Failures) -> str:
    """Return the HTML of *markup*, and keep it for *key* if arguments, class and records say all of it.

    What is kept was written between two looks at the records: once more, when images are first shown;
    or, lest a storage that makes their URLs be asked twice, when they are shown again.

    Args:
        key: What the tag was asked for.
        markup: What it shows.
        failures: What is known of the files to have failed.
    """
    files = markup.files
    is_fixed = all(has_fixed_url(file) or has_url_by_name(file) for file in files)
    has_link = not is_fixed and len(files) == 1 and has_storage_url(files[0])
    before = recall(files[0]) if has_link else None
    text = html = markup.render(failures)
    if not html or not (is_fixed or has_link):
        return text
    images = [image for file in files if (image := recall(file)) is not None]
    if len(images) < len(files) or not all(_is_told_by_arguments(file.spec) for file in files):
        return text
    classes = {type(file.spec.rendition_of or file.spec) for file in files}
    version, specs = generator_registry.version, [(cls, _attributes_of(cls)) for cls in classes]
    rest = ""
    if has_link:
        found = _SRC.search(html)
        if before is not images[0] or found is None or " srcset=" in html:
            return text
        html, rest = html[: found.start(1)], html[found.end(1) :]
    else:
        html = markup.render(NO_FAILURES)
    if all(image.is_current() for image in images):
        if len(_written) >= _MOST_WRITTEN:
            _written.clear()
        rule = style_rule(files)
        _written[key] = Written(SafeString(html), rest, rule, version, specs, images)
    return text


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


forget_on_change(_written.clear)
