"""The tags: from their arguments to what they show, the same for each template language."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from typing import Any

import attrs
from django.http import HttpRequest

from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.cachefiles.renditions import offer, offer_with
from imagekit_registry.exceptions import GenerationError, InvalidArgumentType, NotRegistered
from imagekit_registry.generatorlibrary import Rendition, has_renditions
from imagekit_registry.html._arguments import (
    DENSEST,
    Thumbnail,
    parse_flag,
    parse_formats,
    parse_numbers,
    parse_quality,
)
from imagekit_registry.html._batch import attempt, made_together
from imagekit_registry.html._elements import ImgMarkup, Markup, look_for_alt, settle_attributes
from imagekit_registry.html._picture import PictureMarkup, PreloadMarkup, ShownPicture
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import Picture, settle_picture

_WIDEST = 65_535
#: What says in which sizes an image is offered, and how it is loaded.
_SIZES = frozenset(["densities", "layout", "sizes", "widths"])
_OF_IMG = _SIZES | {"decoding", "loading", "placeholder", "priority", "quality"}
_OF_PICTURE = _OF_IMG | {"formats", "sources"}

# What templates give may be anything.
Unnamed = Sequence[Any]
Named = Mapping[str, Any]


def plan_image(
    args: Unnamed, kwargs: Named, html: Named | None = None
) -> ImgMarkup | PictureMarkup:
    """Return the ``<img>`` of a registered generator.

    Args:
        args: The generator's id; or an image that it has made, such as that of a spec field.
        kwargs: What the generator takes, such as ``source``; and those arguments of `Picture` that say
            in which sizes it is offered (``layout``, ``widths``, ``densities``, ``sizes``) and how it
            is loaded (``loading``, ``decoding``, ``priority``, ``placeholder``), ``quality``.
        html: Attributes of the element.
    """
    options, rest = split_arguments("generateimage", args, kwargs)
    look_for_alt(args, html)
    return _plan_img(_image(args, rest), options, html)


def _plan_img(
    file: ImageCacheFile,
    options: Named,
    html: Named | None,
    densities: tuple[tuple[float, ImageCacheFile], ...] = (),
) -> ImgMarkup | PictureMarkup:
    if _SIZES & options.keys():
        return _plan_picture(
            file, {**options, "formats": "", "sources": ()}, html, is_picture=False
        )
    given, quality = _picture_of(options), options.get("quality")
    loading = {"loading": given.loading, "decoding": given.decoding, **_urgency(given)}
    larger = tuple((density, _changed(each, quality)) for density, each in densities)
    shown = _changed(file, quality, options.get("placeholder"))
    return ImgMarkup(shown, settle_attributes(html, loading), larger)


def _changed(file: ImageCacheFile, quality: object, placeholder: Any = None) -> ImageCacheFile:
    """Return *file* in the quality and with the placeholder that a tag asks for; None: with its own."""
    if quality is None and placeholder is None:
        return file
    number = parse_quality(quality)
    return ImageCacheFile(Rendition(file.generator, quality=number, placeholder=placeholder))


def image_file(args: Unnamed, kwargs: Named) -> ImageCacheFile:
    """Return the cache file of a registered generator; of the arguments of `plan_image` what makes it."""
    options, rest = split_arguments("generateimage", args, kwargs)
    return _alone(_image(args, rest), options)


def _alone(file: ImageCacheFile, options: Named) -> ImageCacheFile:
    """Return *file* as the arguments of its tag want it; refuse those that are of an element."""
    if problem := explain_variable(options):
        raise InvalidArgumentType(f"What is put into a variable {problem}.")
    return _changed(file, options.get("quality"), options.get("placeholder"))


def _image(args: Unnamed, kwargs: Named) -> ImageCacheFile:
    if args and isinstance(args[0], ImageCacheFile):
        if kwargs:
            raise InvalidArgumentType(
                f"The image {args[0]} is made, and takes no {', '.join(sorted(kwargs))}. In a tag, HTML"
                " attributes stand after '--'."
            )
        return args[0]
    return get_image(*args, **kwargs)


def plan_thumbnail(
    args: Unnamed, kwargs: Named, html: Named | None = None
) -> ImgMarkup | PictureMarkup:
    """Return the ``<img>`` of a thumbnail.

    Args:
        args: Dimensions (``"100x80"``, ``"100x"`` or ``"x80"``, in pixels) and source; before them
            the id of a generator that takes ``width`` and ``height``, in place of the shipped one.
        kwargs: ``srcset``: densities for which there is a larger one, such as ``"2 3"``, None for
            none; what else the generator takes: ``anchor``, ``crop``, ``upscale``, ``format``; and as
            for `plan_image`.
        html: Attributes of the element.
    """
    options, rest = split_arguments("thumbnail", args, kwargs)
    look_for_alt(args, html)
    thumbnail = Thumbnail(args, rest)
    densities = () if _SIZES & options.keys() else thumbnail.for_densities()
    return _plan_img(thumbnail.file(), options, html, densities)


def thumbnail_file(args: Unnamed, kwargs: Named) -> ImageCacheFile:
    """Return the cache file of a thumbnail; of the arguments of `plan_thumbnail` what makes it."""
    options, rest = split_arguments("thumbnail", args, kwargs)
    return _alone(Thumbnail(args, rest).file(), options)


def plan_picture(args: Unnamed, kwargs: Named, html: Named | None = None) -> PictureMarkup:
    """Return the ``<picture>`` of a spec or of a thumbnail: in several formats and sizes.

    Args:
        args: The id of a spec, an image of one, or what a thumbnail has.
        kwargs: The arguments of `Picture`, in place of those of the spec's; lists may be texts:
            ``"AVIF WEBP"``, ``"320 640 1280"``; ``quality``, of all its files; and what the spec or
            the thumbnail takes.
        html: Attributes of the ``<img>`` element within.

    Raises:
        InvalidArgument: The generator is no image spec, or a format or width makes no sense.
    """
    picture = _find_picture(args, kwargs, html)
    look_for_alt(args, html)
    return picture


def _find_picture(args: Unnamed, kwargs: Named, html: Named | None = None) -> PictureMarkup:
    options, rest = split_arguments("picture", args, kwargs)
    if len(args) == 1:
        return _plan_picture(_image(args, rest), options, html)
    thumbnail = Thumbnail(args, rest)
    if thumbnail.srcset is not None and not _SIZES & options.keys():
        options |= {"layout": "fixed", "densities": [1, *thumbnail.scales()]}
    return _plan_picture(thumbnail.file(), options, html)


def _plan_picture(
    file: ImageCacheFile, options: Named, html: Named | None, *, is_picture: bool = True
) -> PictureMarkup:
    own, placeholder = None, options.get("placeholder")
    if has_renditions(file.generator):
        own = file.generator.picture
    elif {"formats", "sources", *_SIZES} & {name for name in options if options[name]}:
        Rendition(file.generator)  # which says what is wrong
    picture = settle_picture(_picture_of(options), own)
    if has_renditions(file.generator) and file.spec.shown_placeholder is None:
        placeholder = picture.placeholder
    file = _changed(file, options.get("quality"), placeholder)
    loading = "lazy" if picture.is_lazy else "eager"
    defaults = {"loading": loading, "decoding": picture.decoding, **_urgency(picture)}
    return PictureMarkup(
        offer(file, picture), picture, settle_attributes(html, defaults), is_picture
    )


def _urgency(picture: Picture) -> dict[str, object]:
    return {"loading": "eager", "fetchpriority": "high"} if picture.priority else {}


def picture_file(args: Unnamed, kwargs: Named) -> ShownPicture | None:
    """Return what is shown of a picture, for a variable; arguments as for `plan_picture`."""
    markup = _find_picture(args, kwargs)
    return made_together(markup, markup.resolve)


def plan_preload(args: Unnamed, kwargs: Named, html: Named | None = None) -> PreloadMarkup:
    """Return the ``<link rel="preload">`` of a picture that visitors wait for.

    Args:
        args: As for `plan_picture`.
        kwargs: Likewise.
        html: More attributes of the elements.
    """
    picture = _find_picture(args, {**kwargs, "priority": True})
    return PreloadMarkup(picture, settle_attributes(html))


def preload_header(*args: Any, **kwargs: Any) -> str:
    """Return the value of a ``Link`` header that has browsers load a picture before they read the page.

    Args:
        *args: As for the tag ``picture``: the id of a spec, say.
        **kwargs: Likewise: ``source``, say.

    Returns:
        The value; empty if there is no image, and for arguments for which the tag shows nothing.

    Raises:
        ImageKitError: ``IMAGEKIT_ON_ERROR`` is ``"raise"``, or a programmer erred.

    Example:
        >>> def home(request):
        ...     response = render(request, "shop/home.html")
        ...     response.headers["Link"] = preload_header("shop:hero", source=product.image)
        ...     return response
    """
    return attempt(_header_of, args, kwargs) or ""


def _header_of(args: Unnamed, kwargs: Named) -> str:
    markup = plan_preload(args, kwargs)
    return made_together(markup, markup.header)


def picture_parts(
    file: ImageCacheFile, picture: Picture, request: HttpRequest | None = None
) -> dict[str, Any]:
    """Return ``srcset``, ``sizes`` and ``sources`` of an image, as `ImageCacheFile.as_dict` tells them.

    Args:
        file: The image.
        picture: How it is offered, over what its spec says.
        request: The request that is answered; with it URLs are absolute.
    """
    shown = None
    if file.name:
        renditions = offer_with(picture, file)
        markup = PictureMarkup(renditions, renditions[-1].picture, {})
        # Why it cannot be made is told of the image itself.
        with suppress(GenerationError):
            shown = made_together(markup, markup.resolve)
    if shown is None:
        return {"srcset": "", "sizes": "", "sources": []}
    sources = [attrs.evolve(each, srcset=_absolute(each.srcset, request)) for each in shown.sources]
    return {
        "srcset": _absolute(shown.srcset, request),
        "sizes": shown.sizes,
        "sources": [attrs.asdict(each) for each in sources],
    }


def _absolute(srcset: str, request: HttpRequest | None) -> str:
    if request is None or not srcset:
        return srcset
    parts = (part.split(" ") for part in srcset.split(", "))
    return ", ".join(f"{request.build_absolute_uri(url)} {told}" for url, told in parts)


def split_arguments(
    tag: str, args: Unnamed, kwargs: Named
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments of a tag itself, and those of its generator, which come first.

    Raises:
        InvalidArgumentType: The unnamed ones are too many or too few.
    """
    if len(args) not in TAGS[tag].counts:
        raise InvalidArgumentType(
            f"{tag} takes {TAGS[tag].takes} as unnamed arguments, not {len(args)} of them."
        )
    found = (TAGS[tag].options & kwargs.keys()) - {"srcset"}
    if len(args) == 2:
        found -= {"placeholder"}  # which a thumbnail takes itself
    if found and len(args) != 2 and isinstance(args[0], str):
        takes = _taken_by(args[0])
        own = found if takes is None else found & takes
        # How a picture is offered is said by nothing else.
        found -= own & {"quality"} if tag == "picture" else own
    return {name: kwargs[name] for name in found if kwargs[name] is not None}, {
        name: value for name, value in kwargs.items() if name not in found
    }


def _taken_by(spec_id: str) -> Set[str] | None:
    """Return the names of what a generator takes; None if that is anything, or nobody can tell."""
    try:
        parameters = inspect.signature(generator_registry.lookup(spec_id)).parameters
    except (NotRegistered, TypeError, ValueError):
        return None
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return None if takes_any else parameters.keys()


def _picture_of(options: Named) -> Picture:
    """Return the picture that a tag's own arguments ask for."""
    values = {**options}
    values.pop("quality", None)
    if "formats" in values:
        values["formats"] = parse_formats(values["formats"])
    for name, most in (("widths", _WIDEST), ("densities", DENSEST)):
        if name in values and values[name] != "auto":
            values[name] = parse_numbers(values[name], name, most) or None
    if "priority" in values:
        values["priority"] = bool(parse_flag(values["priority"], "priority"))
    if "densities" in values:
        values.setdefault("layout", "fixed")
    return Picture(**values)


@attrs.frozen
class Tag:
    """A tag, as every template language has it.

    Args:
        plan: Returns what it shows, of unnamed and named arguments and HTML attributes.
        file: Returns its cache file for a variable; None if it shows several.
        counts: How many unnamed arguments it may have.
        takes: What these are, for messages.
        options: Named arguments that it keeps for itself; a thumbnail's besides, if it shows one.
    """

    plan: Callable[[Unnamed, Named, Named | None], Markup]
    file: Callable[[Unnamed, Named], ImageCacheFile | ShownPicture | None] | None
    counts: tuple[int, ...]
    takes: str
    options: frozenset[str] = frozenset()


def explain_unknown(tag: str, count: int, spec_id: str, names: Iterable[str]) -> str:
    """Return what is wrong with the names of arguments; empty if nothing is, or nobody can tell.

    Args:
        tag: The name of the tag.
        count: How many unnamed arguments it has.
        spec_id: The id of its generator, which may take anything.
        names: The names of its named arguments.
    """
    taken = _taken_by(spec_id)
    if taken is None:
        return ""
    takes = taken | TAGS[tag].options
    if count > 1:
        takes = (takes | TAGS["thumbnail"].options) - {"height", "source", "width"}
    for name in names:
        if name in takes:
            continue
        others = [
            other
            for other, each in TAGS.items()
            if name in each.options and other != "imagepreload"
        ]
        near = difflib.get_close_matches(name, takes, n=1, cutoff=0.65)
        hint = f"It takes {', '.join(sorted(takes))}; HTML attributes stand after '--'"
        if others or near:
            hint = (
                f"{' and '.join(others)} can have it" if others else f"Perhaps {near[0]!r} is meant"
            )
        return f"has {name!r}, which {spec_id!r} does not take. {hint}"
    return ""


def explain_variable(options: Named) -> str:
    """Return what is wrong with the arguments that a tag keeps for itself where it makes a file alone."""
    names = ", ".join(map(repr, sorted(options.keys() - {"placeholder", "quality"})))
    return f"has {names}, which is of an element: write that yourself" if names else ""


_SIZED = "dimensions and source, or a generator's id, dimensions and source"
#: By their names.
TAGS: Mapping[str, Tag] = {
    "generateimage": Tag(plan_image, image_file, (1,), "the generator's id", _OF_IMG),
    "imagepreload": Tag(plan_preload, None, (1, 2, 3), f"the spec's id, or {_SIZED}", _OF_PICTURE),
    "picture": Tag(
        plan_picture, picture_file, (1, 2, 3), f"the spec's id, or {_SIZED}", _OF_PICTURE
    ),
    "thumbnail": Tag(plan_thumbnail, thumbnail_file, (2, 3), _SIZED, _OF_IMG | {"srcset"}),
}
