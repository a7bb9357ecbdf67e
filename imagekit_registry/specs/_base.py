"""What every generator has: a spec's attributes with their defaults, and what the settings say of making images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType, MethodType
from typing import IO, TYPE_CHECKING, Any, NoReturn

from imagekit_registry import imaging
from imagekit_registry._loading import forget_on_change, get_by_qname, get_singleton
from imagekit_registry.conf import FORMAT_OPTIONS, LARGE_FORMAT_OPTIONS, conf
from imagekit_registry.exceptions import (
    InvalidConfiguration,
    MissingSource,
    ProcessingError,
    answer_or,
)
from imagekit_registry.imaging.formats import SMALLEST
from imagekit_registry.registry import opener_registry, placeholder_registry
from imagekit_registry.specs._digest import digest
from imagekit_registry.specs._sources import has_source, name_of, refer_to

if TYPE_CHECKING:
    from imagekit_registry.imaging import Decoder, Limits
    from imagekit_registry.imaging.placeholders import Maker
    from imagekit_registry.processors.resampling import Resizer
    from imagekit_registry.specs._picture import Picture


#: What records call the placeholder of a function that has no name.
OWN_PLACEHOLDER = "own"


opener_registry.runs_apart = lambda: conf.OPENER_PROCESS


def default_limits() -> Limits:
    """Return the limits that the settings give; what openers read is allowed."""
    return _limits(opener_registry.formats())


@cache
def _limits(opened: frozenset[str]) -> Limits:
    return imaging.Limits(
        max_bytes=conf.MAX_BYTES,
        max_pixels=conf.MAX_PIXELS,
        max_frames=conf.MAX_FRAMES,
        max_seconds=conf.MAX_SECONDS,
        max_output_pixels=conf.MAX_OUTPUT_PIXELS,
        max_missing=conf.MAX_MISSING,
        allowed_formats=opened.union(conf.ALLOWED_FORMATS),
    )


@cache
def format_options(is_large: bool = False) -> Mapping[str, Mapping[str, object]]:
    """Return Pillow's save options per format: the built-in ones with the project's over them.

    Args:
        is_large: Whether they are those that lie over the others for very large results.
    """
    options = dict(LARGE_FORMAT_OPTIONS if is_large else FORMAT_OPTIONS)
    for name, changed in conf.FORMAT_OPTIONS.items():
        options[name.upper()] = {**options.get(name.upper(), {}), **changed}
    return options


def smallest_formats(format: str | None) -> tuple[str, ...]:
    """Return the formats of which the smallest is written; none unless *format* says so."""
    is_smallest = format is not None and format.upper() == SMALLEST
    return tuple(conf.SMALLEST) if is_smallest else ()


def load_decoder(name: str) -> Decoder:
    """Return the decoder that a setting names.

    Args:
        name: ``'pillow'``, ``'vips'``, or the dotted path of a class of one.

    Raises:
        InvalidConfiguration: There is no such decoder, or what it needs is not installed.
    """
    decoder: Decoder = _load(name, "decoder")
    return decoder


def load_resizer(name: str) -> Resizer:
    """Return the resizer that a setting names.

    Args:
        name: ``'auto'``, ``'pillow'``, ``'simd'``, or the dotted path of a class of one.

    Raises:
        InvalidConfiguration: There is no such resizer, or what it needs is not installed.
    """
    resizer: Resizer = _load(name, "resizer")
    return resizer


#: The method that makes a class a decoder, or a resizer.
_NEEDS = {
    "decoder": "open(file, limits, deadline), which gives an image whose header has been read",
    "resizer": "resize(image, size, box)",
}


@cache
def _load(name: str, kind: str) -> Any:
    """Return ours of a name, or the one object of the class at a dotted path.

    Once: that one of ours is not installed takes longer to find out than a small image to make.
    """
    if "." not in name:
        return imaging.get_decoder(name) if kind == "decoder" else imaging.get_resizer(name)
    found, needs = get_singleton(name, kind), _NEEDS[kind]
    if not callable(getattr(found, needs.partition("(")[0], None)):
        raise InvalidConfiguration(f"{name!r} is no {kind}: it needs {needs}.")
    return found


def render_settings() -> Mapping[str, Any]:
    """Return what the settings say of making images, as `imaging.render_many` takes it.

    Raises:
        InvalidConfiguration: They name a decoder or a resizer that cannot be used.
    """
    return {
        "format_options": format_options(),
        "large_options": format_options(is_large=True),
        "smallest": conf.SMALLEST,
        "decoder": load_decoder(conf.DECODER),
        "resizer": load_resizer(conf.RESIZER),
    }


for _cached in (_limits, format_options, _load):
    forget_on_change(_cached.cache_clear)


def load_placeholders(value: object) -> dict[str, Maker]:
    """Return what makes the placeholders that a spec asks for, by kind.

    Args:
        value: None, a kind, a function of the image, or several of these.

    Raises:
        InvalidConfiguration: There is no such kind, or what it needs is not installed.
    """
    makers: dict[str, Maker] = {}
    is_several = isinstance(value, Iterable) and not isinstance(value, str)
    for each in value if is_several else (value,):  # type: ignore[attr-defined]
        if isinstance(each, str):
            own = placeholder_registry.get(each)
            if own is not None and each in imaging.placeholders.KINDS:
                raise InvalidConfiguration(
                    f"The placeholder {each!r} that is registered has the name of one of ours:"
                    " register it under another one."
                )
            makers[each] = own or imaging.placeholders.get_maker(each)
        elif callable(each):
            makers[OWN_PLACEHOLDER] = each
        elif each is not None:
            raise InvalidConfiguration(f"{each!r} is neither a kind of placeholder nor a function")
    return makers


class BaseImageSpec:
    """A generator of one image, with its say in where, how and when a cache file is made of it.

    Attributes:
        cachefile_storage: The storage of the cache file: a storage, an alias, a dotted path.
        cachefile_backend: What makes the cache file and knows its state.
        cachefile_strategy: What decides when the cache file must exist: a class, an instance, a
            dotted path, or a dict of callables.
        fallback: What stands in while there is no image, as ``IMAGEKIT_ON_ERROR`` has it.
        pending: What a page shows meanwhile, if others make the image: ``"source"``,
            ``"placeholder"``, ``"demand"`` (its on-demand URL) or, after that time, what *fallback*
            says, ``"wait:250ms"``; None: what *fallback* says, else the URL of the image to come.
        storage_headers: What an object storage (S3, Google, Azure) sends with the file, by S3's names,
            such as ``{"CacheControl": "max-age=31536000, immutable"}``.
        url_provider: What gives the file's URL when it exists: a provider, its class or its dotted
            path; None: what ``IMAGEKIT_URL_PROVIDER`` names, else the storage.
        serving_arguments: The arguments that on-demand URLs may differ in without a signature of
            their own: ``("width",)``, whose values are those of ``IMAGEKIT_WIDTHS``.
        spec_id: The id under which the registry gave this spec.
        spec_arguments: The keyword arguments, but for the source, with which it did.
        rendition_of: The spec whose image this one is in another format or size; None for none.
    """

    cachefile_storage: Any = None
    cachefile_backend: object = None
    cachefile_strategy: object = None
    fallback: Any = None
    pending: str | None = None
    storage_headers: Mapping[str, str] | None = None
    url_provider: object = None
    serving_arguments: Sequence[str] = ()
    spec_id: str | None = None
    spec_arguments: Mapping[str, object] = MappingProxyType({})
    rendition_of: BaseImageSpec | None = None

    source: Any = None
    format: str | None = None
    limits: Limits | None = None
    placeholder: Any = None
    picture: Picture | None = None

    MissingSource = MissingSource

    # What every generator must define.

    def generate(self) -> IO[bytes]:
        """Make the image.

        Returns:
            An open file at its start.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define generate()")

    # What has a default.

    def get_hash(self) -> str:
        """Return the digest of source and recipe; empty for a generator that has none."""
        return ""

    @property
    def cachefile_name(self) -> str | None:
        """The name of the cache file in its storage, by ``IMAGEKIT_CACHEFILE_NAMER``."""
        return self._namer()(self)

    @property
    def name_needs_record(self) -> bool:
        """Whether the cache file's name leaves it to the state record to say what it is made of.

        It does if it is from a namer with a true attribute ``needs_record``.
        """
        return bool(getattr(self._namer(), "needs_record", False))

    def output_size(self, source_size: tuple[int, int]) -> tuple[int, int] | None:
        """Return the size in pixels of the image made of an upright source of *source_size*.

        Returns:
            Width and height, or None if that cannot be told.
        """
        return None

    def source_size(self) -> tuple[int, int] | None:
        """Return the size in pixels of the upright source; None if that cannot be told.

        Raises:
            GenerationError: The source cannot be read.
        """
        return None

    def expected_size(self) -> tuple[int, int] | None:
        """Return the size in pixels that the image will have; None if that cannot be told.

        Raises:
            GenerationError: The source cannot be read.
        """
        return None

    @property
    def shown_placeholder(self) -> object:
        """What pages show until the image has loaded: as it says itself, else as its picture does."""
        own, picture = self.placeholder, self.picture
        return own if own is not None or picture is None else picture.placeholder

    def placeholder_makers(self) -> Mapping[str, Maker]:
        """Return what makes the placeholders of the image, by kind; nothing for none.

        Raises:
            InvalidConfiguration: There is no such kind, or what it needs is not installed.
        """
        return load_placeholders(self._function(self.shown_placeholder))

    # What callers use, and subclasses leave alone.

    @property
    def source_name(self) -> str | None:
        """What messages call the source; None without a name."""
        return name_of(self.source)

    def describe(self) -> str:
        """Return what errors, records and logs call this generator: its id, or its class."""
        return self.spec_id or f"{type(self).__module__}.{type(self).__qualname__}"

    def _function(self, value: Any) -> Any:
        # A function in a class body turns into a method; it takes what is its own alone.
        is_own = isinstance(value, MethodType) and value.__self__ is self
        return value.__func__ if is_own else value

    def _namer(self) -> Callable[[BaseImageSpec], str]:
        namer: Callable[[BaseImageSpec], str] = get_by_qname(conf.CACHEFILE_NAMER, "namer")
        return namer


class _AdaptedGenerator(BaseImageSpec):
    """A generator that is no spec, with all that a spec has.

    Args:
        generator: Anything with ``generate()``.
    """

    def __init__(self, generator: object) -> None:
        self.generator = generator

    def __getattribute__(self, name: str) -> Any:
        """Ask the generator first, but for what is ours."""
        get = object.__getattribute__
        if name == "generator" or name.startswith("_"):
            return get(self, name)
        generator = get(self, "generator")
        try:
            return getattr(generator, name)
        except AttributeError:
            if hasattr(type(generator), name):
                # The generator has it; what is missing is missing inside of it.
                raise
        return get(self, name)

    def describe(self) -> str:
        """Return the id of the generator, or its class."""
        cls = type(self.generator)
        return self.spec_id or f"{cls.__module__}.{cls.__qualname__}"


class BrokenSpec(BaseImageSpec):
    """Stands in for a spec whose own code fails where a file of it is to be named or placed.

    Its images fail with the error of that code: as other failures, which are told and remembered.

    Args:
        spec: The spec.
        error: What its code has raised.
    """

    def __init__(self, spec: BaseImageSpec, error: Exception) -> None:
        self.source = answer_or(None, getattr, spec, "source")
        self.spec_id = spec.describe()
        self.processors = answer_or((), getattr, spec, "processors")
        self.cause = f"the spec's own code raised {type(error).__name__}: {error}"
        self.error = error

    @property
    def cachefile_name(self) -> str | None:
        """A name that no image has; None without a source."""
        return super().cachefile_name if has_source(self.source) else None

    def get_hash(self) -> str:
        """Return the digest of the spec's id and the source."""
        return digest([self.spec_id, str(refer_to(self.source)), "broken"])

    def generate(self) -> NoReturn:
        """Fail.

        Raises:
            ProcessingError: Always.
        """
        raise ProcessingError(self.cause) from self.error


def adapt_generator(generator: object) -> BaseImageSpec:
    """Return *generator* itself if it is a spec, else one that has all that a spec has.

    Args:
        generator: Anything with ``generate()``.
    """
    return generator if isinstance(generator, BaseImageSpec) else _AdaptedGenerator(generator)
