"""Image specs: named recipes that make an image from a source."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache, partial
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Any, Literal

from attrs import evolve
from django.db.models.fields.files import FieldFile
from django.utils.functional import Promise

from imagekit_registry import imaging
from imagekit_registry import processors as shipped
from imagekit_registry._loading import get_by_qname
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError, MissingSource
from imagekit_registry.imaging.formats import AUTO, AUTO_FORMATS, normalize_format
from imagekit_registry.imaging.qualities import Quality
from imagekit_registry.processors import Processor
from imagekit_registry.processors.anchors import FocalPoint, place
from imagekit_registry.registry import detector_registry
from imagekit_registry.specs._base import (
    BaseImageSpec,
    default_limits,
    render_settings,
    smallest_formats,
)
from imagekit_registry.specs._detection import asked_detectors, with_suggestions
from imagekit_registry.specs._digest import canonical_text, digest_of, is_value
from imagekit_registry.specs._rows import point_of
from imagekit_registry.specs._sources import (
    StoredFile,
    has_source,
    name_of,
    open_source,
    reference_of,
)

if TYPE_CHECKING:
    from imagekit_registry.imaging import Encoded, Recipe


class ImageSpec(BaseImageSpec):
    """A recipe that makes an image from a source image.

    Subclass it, set what differs, and register the class.

    Args:
        source: An image field's file, any Django ``File``, or a name in the default storage.

    Attributes:
        processors: What is done to the image, in this order.
        format: Pillow's name of the format to write; None: the source's own, or WebP or JPEG for
            what not every browser shows: see `~imagekit_registry.imaging.formats.default_format`;
            ``"auto"``: PNG if any part of the result is transparent, else JPEG;
            ``"smallest"``: that of ``IMAGEKIT_SMALLEST`` in which the image has the fewest bytes.
        options: Options of Pillow's ``Image.save`` for the format, such as ``{"quality": 80}``.
        autoconvert: Whether the image's mode is converted to one that the format holds.
        auto_orient: Whether the EXIF orientation is applied before the processors.
        color: ``"srgb"`` converts embedded colour profiles; ``"keep"`` leaves colours and profile,
            where the result can carry them.
        metadata: What is kept of it: ``"strip"`` (nothing), ``"copyright"``, ``"rights"`` (that
            and the kind of source, in XMP too) or ``"keep"``.
        animated: Whether an animation stays one where the format can hold it.
        background: The colour under transparent parts where the format has no transparency; None
            is white.
        decode_small: Whether the source may be decoded at a fraction of its size.
        quality: ``"low"``, ``"medium"``, ``"high"`` or ``"max"``, which look the same in every format
            that has them, 0 to 100, or a `Target`; None: as options and settings say.
        never_larger: Whether a still source that the image would show pixel for pixel, in the same
            format and no fewer bytes, is taken itself, without its metadata.
        skip_if: ``"fits"``: such a source is taken in any case, and nothing is encoded; None: never.
        limits: Limits for this spec alone; None: those of the settings.
        namer: What names the cache file: a callable or a dotted path; None: the setting's.
        placeholder: What pages show until the image has loaded: ``"lqip"``, ``"color"``, ``"css"``,
            ``"thumbhash"``, ``"blurhash"``, a name given to ``register.placeholder``, a function
            of the image, or several of these; None for nothing.
        picture: How ``{% picture %}`` offers the image; None: as ``IMAGEKIT_PICTURE`` says.

    Example:
        >>> class Thumbnail(ImageSpec):
        ...     processors = [ResizeToFill(100, 60)]
        ...     format = "JPEG"
        ...     options = {"quality": 60}
    """

    processors: Any = []
    format: str | None = None
    options: Any = None
    autoconvert: bool = True
    auto_orient: bool = True
    color: Literal["srgb", "keep"] = "srgb"
    metadata: Literal["strip", "copyright", "rights", "keep"] = "strip"
    animated: bool = True
    background: Any = None
    decode_small: bool = True
    quality: Quality | None = None
    never_larger: bool = False
    skip_if: Literal["fits"] | None = None
    namer: Any = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Keep what a generator expression gives: it gives it once."""
        super().__init_subclass__(**kwargs)
        if isinstance(processors := cls.__dict__.get("processors"), Iterator):
            cls.processors = list(processors)

    def __init__(self, source: object = None) -> None:
        self.source = source

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute; a *source* may be a name, lazy or not, or path in the default storage."""
        if name == "source" and isinstance(value, str | Promise | PurePath):
            path = value.as_posix() if isinstance(value, PurePath) else str.__str__(str(value))
            value = StoredFile(path) if path else None
        elif name == "processors" and isinstance(value, Iterator):
            value = list(value)
        super().__setattr__(name, value)

    @cached_property
    def source(self) -> Any:
        """The source image: a file, or None; after unpickling, that of the instance's field."""
        instance, attname = self.__dict__.pop("_field_data", (None, ""))
        return instance and getattr(instance, attname)

    @property
    def recipe(self) -> Recipe:
        """The recipe, as the imaging room takes it."""
        return imaging.Recipe(
            processors=tuple(self.placed_processors()),
            format=self.format,
            options=dict(self.options or {}),
            autoconvert=self.autoconvert,
            auto_orient=self.auto_orient,
            color=self.color,
            metadata=self.metadata,
            animated=self.animated,
            background=self.background,
            decode_small=self.decode_small,
            quality=self.quality,
            never_larger=self.never_larger,
            skip_if=self.skip_if,
            placeholder=self.placeholder_makers(),
        )

    @property
    def cachefile_name(self) -> str | None:
        """The name of the cache file in its storage; None without a source."""
        return self._namer()(self) if has_source(self.source) else None

    @property
    def name_needs_record(self) -> bool:
        """Whether the cache file's name leaves it to the state record to say what it is made of."""
        is_from_namer = type(self).cachefile_name is ImageSpec.cachefile_name
        return is_from_namer and super().name_needs_record

    def _namer(self) -> Callable[[BaseImageSpec], str]:
        wanted = self.namer or conf.SPEC_CACHEFILE_NAMER
        is_path = isinstance(wanted, str)
        namer: Callable[[BaseImageSpec], str]
        namer = get_by_qname(wanted, "namer") if is_path else self._function(wanted)
        return namer

    def get_hash(self) -> str:
        """Return the digest of source and recipe: 32 hexadecimal characters.

        Raises:
            NotCanonical: A processor's state cannot be written down.
        """
        if (known := self.__dict__.get("_digest")) is not None:
            return str(known)
        recipe = self._recipe_text(self.placed_processors())
        return _known_digest(reference_of(self.source) or None, recipe)

    def named_by(
        self, namer: Callable[[BaseImageSpec], str]
    ) -> tuple[str, str, str, Sequence[Processor]]:
        """Return how records name the source, the digest, the name, and the placed processors.

        Each is worked out once, of a spec that has this class's own digest.

        Args:
            namer: What gives the name; it asks for the digest.
        """
        placed, reference = self.placed_processors(), reference_of(self.source)
        digest = _known_digest(reference or None, self._recipe_text(placed))
        self.__dict__["_digest"] = digest
        try:
            return reference, digest, namer(self), placed
        finally:
            self.__dict__.pop("_digest", None)

    def _recipe_text(self, placed: Sequence[Processor]) -> str:
        """Return all but the source, written down canonically; with the *placed* processors."""
        cls, processors, options = type(self), tuple(placed), self.options or {}
        # What equals the default is left out, so that a new attribute renames nothing.
        extras = {
            name: value
            for name, default in _DIGESTED_DEFAULTS.items()
            if (value := getattr(self, name)) != default
        }
        if conf.FORMAT_OPTIONS:
            extras["format_options"] = _relevant_options(self.format)
        if smallest := smallest_formats(self.format):
            extras["smallest"] = smallest
        if detector_registry.names and (detectors := asked_detectors(self)):
            extras["detectors"] = detectors
        if cls.generate is not ImageSpec.generate:
            extras["generate"] = f"{cls.__module__}.{cls.__qualname__}"
        if not extras and all(map(is_value, processors)):
            try:
                typed = tuple((name, type(value), value) for name, value in options.items())
                return _known_text(processors, self.format, typed)
            except TypeError:
                # An option that cannot be hashed; the text is as good without being remembered.
                pass
        return _text(processors, self.format, dict(options), extras)

    def placed_processors(
        self, suggest: Callable[[], FocalPoint | None] | None = None
    ) -> Sequence[Processor]:
        """Return the processors with anchors that say all by themselves.

        ``"focal"`` becomes the point in the row of the source, or what *suggest* gives where that has
        none; where no anchor was given, that of the settings is.
        """
        return place(
            self.processors or (),
            lambda: point_of(self.source) or (suggest() if suggest else None),
            conf.DEFAULT_ANCHOR,
        )

    def output_size(self, source_size: tuple[int, int]) -> tuple[int, int] | None:
        """Return the size in pixels of the image made of an upright source of *source_size*.

        Returns:
            Width and height, or None if a processor does not say.
        """
        return shipped.ProcessorPipeline(self.placed_processors()).output_size(source_size)

    def source_size(self) -> tuple[int, int]:
        """Return the size in pixels of the upright source, from its header.

        Raises:
            GenerationError: The source cannot be read.
        """
        limits = self.limits or default_limits()
        deadline = imaging.Deadline(limits.max_seconds)
        with open_source(self.source) as file:
            # A still may be made of more frames than an animation may have.
            header = imaging.read_header(file, evolve(limits, max_frames=None), deadline)
        return header.oriented_size if self.auto_orient else (header.width, header.height)

    def expected_size(self) -> tuple[int, int] | None:
        """Return the size in pixels that the image will have, from the header of its source.

        Raises:
            GenerationError: The source cannot be read.
        """
        return self.output_size(self.source_size())

    def generate(self) -> IO[bytes]:
        """Make the image.

        Returns:
            An open file at its start, with ``width``, ``height`` and ``format``.

        Raises:
            MissingSource: There is no source.
            GenerationError: The source cannot be read, is no image or is beyond the limits; a
                processor failed; the format or its options cannot be written.
        """
        (result,) = generate_together([self])
        if isinstance(result, GenerationError):
            raise result
        return result

    def __getstate__(self) -> dict[str, object]:
        """Leave out what does not survive pickling: the file of a model instance's field.

        It is looked up on the instance again, when it is needed: while the instance is being
        unpickled it has no fields yet.
        """
        state = dict(self.__dict__)
        source = state.get("source")
        if isinstance(source, FieldFile) and getattr(source, "instance", None) is not None:
            del state["source"]
            state["_field_data"] = source.instance, source.field.attname
        return state


@lru_cache(maxsize=4096)
def _known_digest(reference: str | None, recipe: str) -> str:
    # The name of a cache file asks for it, and so does the file's identity, on each page.
    return digest_of(canonical_text(reference), recipe)


@lru_cache(maxsize=2048)
def _known_text(
    processors: tuple[object, ...],
    format: str | None,
    options: tuple[tuple[str, type, object], ...],
) -> str:
    return _text(processors, format, {name: value for name, _, value in options}, {})


def _text(
    processors: tuple[object, ...],
    format: str | None,
    options: Mapping[str, object],
    extras: Mapping[str, object],
) -> str:
    return canonical_text(
        [processors, normalize_format(format) if format else None, options, extras]
    )


_DIGESTED_DEFAULTS: Mapping[str, object] = {
    name: inspect.getattr_static(ImageSpec, name)
    for name in (
        "autoconvert",
        "auto_orient",
        "color",
        "metadata",
        "animated",
        "background",
        "quality",
        "never_larger",
        "skip_if",
    )
}


def _relevant_options(format: str | None) -> object:
    options = {name.upper(): dict(value) for name, value in conf.FORMAT_OPTIONS.items()}
    if format and normalize_format(format) == AUTO:
        return [options.get(each) for each in AUTO_FORMATS]
    return options.get(format.upper()) if format else options


#: What makes the images of one source in place of `imaging.render_many`; the last one holds.
_renderers: list[Callable[..., list[Encoded | GenerationError]]] = []


@contextmanager
def rendering_by(renderer: Callable[..., list[Encoded | GenerationError]]) -> Iterator[None]:
    """Have *renderer* make all images while the block lasts, in every thread; for tests."""
    _renderers.append(renderer)
    try:
        yield
    finally:
        _renderers.remove(renderer)


def generate_together(specs: Sequence[ImageSpec]) -> list[Encoded | GenerationError]:
    """Make the images of specs that share one source, which is opened and decoded once.

    Args:
        specs: Specs with the same source; the first one's limits hold for the source.

    Returns:
        For each spec its image, or the error that kept it from being made.

    Raises:
        MissingSource: There is no source.
    """
    first = specs[0]
    source, name = first.source, name_of(first.source)
    if not has_source(source):
        raise MissingSource(
            f"The spec {first.describe()} has no source: the image field is empty, or no source"
            " was given. Check for that before asking for an image."
        )
    limits, settings = first.limits or default_limits(), render_settings()
    deadline = imaging.Deadline(limits.max_seconds)
    try:
        with open_source(source) as file:
            render = partial(
                _renderers[-1] if _renderers else imaging.render_many,
                file,
                limits=limits,
                source_name=name or "",
                deadline=deadline,
                **settings,
            )
            results = render(
                with_suggestions(specs, render)
                if detector_registry.names
                else [spec.recipe for spec in specs]
            )
    except GenerationError as error:
        raise error.located(first.describe(), name) from error.__cause__
    for spec, result in zip(specs, results, strict=True):
        if isinstance(result, GenerationError):
            result.located(spec.describe(), name)
    return results
