"""Generators, cache files and source groups, by id; placeholders and detectors, by name."""

from __future__ import annotations

import contextlib
import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar, overload

import attrs

from imagekit_registry._functions import DetectorRegistry, PlaceholderRegistry
from imagekit_registry._openers import OpenerRegistry, opener_registry
from imagekit_registry.exceptions import AlreadyRegistered, InvalidArgumentType, NotRegistered

__all__ = [
    "CacheFileRegistry",
    "DetectorRegistry",
    "GeneratorRegistry",
    "OpenerRegistry",
    "PlaceholderRegistry",
    "RegisteredGroup",
    "SourceGroup",
    "SourceGroupFilesGenerator",
    "SourceGroupRegistry",
    "cachefile_registry",
    "detector_registry",
    "generator_registry",
    "opener_registry",
    "placeholder_registry",
    "register",
    "source_group_registry",
    "unregister",
]

G = TypeVar("G")
_CacheFiles = Callable[[], Iterable[Any]]


#: The ids of the generators that every project has.
THUMBNAIL_ID = "imagekit:thumbnail"
ADMIN_PREVIEW_ID = "imagekit:admin:preview"


class GeneratorRegistry:
    """Generators by id, so that a site can replace what an app has registered."""

    def __init__(self) -> None:
        self._generators: dict[str, object] = {}
        #: What gives generators that are imported when they are first wanted, by id.
        self._offers: dict[str, Callable[[], object]] = {}
        #: Counts changes; what is built from a registered generator is stale when it differs.
        self.version = 0

    @overload
    def register(self, id: str) -> Callable[[G], G]: ...

    @overload
    def register(self, id: str, generator: object) -> None: ...

    def register(self, id: str, generator: object = None) -> object:
        """Register *generator* under *id*; without *generator*, return a decorator that does.

        Args:
            id: Segments separated by colons, such as ``"shop:product:thumbnail"``.
            generator: A spec class, any callable with keyword arguments that returns a generator,
                or a generator.

        Raises:
            AlreadyRegistered: Another generator has the id. Unregister that one first.
            InvalidArgumentType: *id* is no text; it is the class of a decorator without an id.

        Example:
            >>> @register.generator("shop:small")
            ... class Small(ImageSpec):
            ...     processors = [ResizeToFit(100, 100)]
        """
        if not isinstance(id, str):
            raise InvalidArgumentType(
                f"register.generator needs an id, such as 'shop:product:thumbnail'; not {id!r}."
            )
        if generator is None:

            def decorator(cls: G) -> G:
                self.register(id, cls)
                return cls

            return decorator
        known = self.lookup(id) if id in self._offers else self._generators.get(id)
        if known is not None and known != generator:
            raise AlreadyRegistered(
                f"The id {id!r} is already registered, for {known!r}. To replace it, call"
                f" unregister.generator({id!r}) first."
            )
        self._generators[id] = generator
        self.version += 1
        return None

    def offer(self, id: str, load: Callable[[], object]) -> None:
        """Register under *id* what *load* gives when it is first wanted, if the id is free.

        So a start imports nothing for a generator that it may never ask for.

        Args:
            id: Segments separated by colons.
            load: Gives the generator.

        Example:
            >>> registry = GeneratorRegistry()
            >>> registry.offer("shop:poster", lambda: import_string("shop.posters.Poster"))
            >>> registry.get_ids()
            ['shop:poster']
        """
        if id not in self._generators:
            self._offers[id] = load
            self.version += 1

    def unregister(self, id: str) -> None:
        """Remove what is registered under *id*.

        Raises:
            NotRegistered: Nothing is.
        """
        self.lookup(id)
        del self._generators[id]
        self._offers.pop(id, None)
        self.version += 1

    def lookup(self, spec_id: str) -> Any:
        """Return what is registered under *spec_id*, without calling it.

        Raises:
            NotRegistered: Nothing is; the message lists the nearest ids.
        """
        try:
            return self._generators[spec_id]
        except (KeyError, TypeError):
            if not isinstance(spec_id, str):
                raise NotRegistered(
                    f"{spec_id!r} is no id of a generator. Write one, such as 'shop:card', and the image"
                    " as source=."
                ) from None
            if load := self._offers.get(spec_id):
                return self._generators.setdefault(spec_id, load())
            near = difflib.get_close_matches(spec_id, self.get_ids(), n=3)
            hint = (
                f"Did you mean {', '.join(map(repr, near))}?"
                if near
                else "Register it in an imagegenerators.py of an installed app."
            )
            raise NotRegistered(f"No generator has the id {spec_id!r}. {hint}") from None

    def get(self, id: str, **kwargs: Any) -> Any:
        """Return the generator *id*, made with *kwargs* (``source=`` for a spec).

        Raises:
            NotRegistered: Nothing has the id.
            InvalidArgumentType: The generator does not take these arguments.
        """
        registered = self.lookup(id)
        if not callable(registered):
            return registered
        try:
            generator = registered(**kwargs)
        except TypeError as error:
            raise _explain(error, id, registered, kwargs) from error
        try:
            generator.spec_id = id
            arguments = {name: value for name, value in kwargs.items() if name != "source"}
            if arguments:
                generator.spec_arguments = arguments
        except AttributeError:
            pass  # It has slots, and keeps no id: errors then name its class.
        return generator

    def get_ids(self) -> list[str]:
        """Return all ids, in the order of their registration."""
        return list(self._offers | self._generators)


def _explain(
    error: TypeError, spec_id: str, registered: Callable[..., object], kwargs: dict[str, object]
) -> TypeError:
    """Return an error that names the generator if the arguments do not fit, else *error*."""
    with contextlib.suppress(TypeError, ValueError):
        signature = inspect.signature(registered)
        try:
            signature.bind(**kwargs)
        except TypeError as misfit:
            given, taken = ", ".join(sorted(kwargs)), ", ".join(signature.parameters)
            return InvalidArgumentType(
                f"The generator {spec_id!r} takes ({taken}), not ({given}): {misfit}."
            )
    return error


class CacheFileRegistry:
    """Cache files by the id of their generator, for commands that make all of them.

    They are associated by id, so that a generator can be replaced without losing its files.
    """

    #: Makes a cache file: ``make_file(id, source=...)``; set by the room of cache files, above this one.
    make_file: Callable[..., object]

    def __init__(self, groups: SourceGroupRegistry) -> None:
        self._cachefiles: list[tuple[str, _CacheFiles]] = []
        self._groups = groups

    def register(self, generator_id: str, cachefiles: _CacheFiles) -> None:
        """Associate the files that *cachefiles* yields with a generator."""
        if (generator_id, cachefiles) not in self._cachefiles:
            self._cachefiles.append((generator_id, cachefiles))

    def unregister(self, generator_id: str, cachefiles: _CacheFiles) -> None:
        """Dissociate the files; nothing happens if they were not associated."""
        self._cachefiles = [pair for pair in self._cachefiles if pair != (generator_id, cachefiles)]

    def ids(self) -> set[str]:
        """Return the ids for which files are registered."""
        return {spec_id for spec_id, _ in self._cachefiles}

    def registered(self, generator_id: str) -> Iterator[Any]:
        """Yield the files that were registered for a generator; none of source groups."""
        for spec_id, cachefiles in self._cachefiles:
            if spec_id == generator_id:
                yield from cachefiles()

    def get(self, generator_id: str) -> Iterator[Any]:
        """Yield every cache file of a generator: the registered ones, then one for each source."""
        yield from self.registered(generator_id)
        for group in self._groups.groups_of(generator_id):
            for source in group.files():
                yield self.make_file(generator_id, source=source)


class SourceGroup(Protocol):
    """**Protocol**: images that others are made of.

    A group sends ``source_saved`` and ``source_deleted``, with itself as the sender. It may also
    have ``count()``, which returns how many sources `files` yields, and ``is_told_of(source)``,
    which says whether it announces what becomes of a source.
    """

    def files(self) -> Iterable[Any]:
        """Yield the sources. Commands ask for them, one group after the other."""


@attrs.frozen
class SourceGroupFilesGenerator:
    """Gives the cache files that a generator makes of the sources of a group, when it is called.

    Args:
        source_group: The group.
        generator_id: The id of the generator.
    """

    source_group: SourceGroup
    generator_id: str

    def __call__(self) -> Iterator[Any]:
        """Yield a cache file for each source."""
        for source in self.source_group.files():
            yield cachefile_registry.make_file(self.generator_id, source=source)


@attrs.frozen
class RegisteredGroup:
    """A source group, and a generator that it feeds.

    Args:
        group: The group, as it was registered.
        spec_id: The id of the generator.
        count: The group's method; if it has none, one that returns None.
        is_told_of: The group's method; if it has none, one that returns False.
    """

    group: SourceGroup
    spec_id: str
    count: Callable[[], int | None]
    is_told_of: Callable[[object], bool]


class SourceGroupRegistry:
    """Which sources feed which generators."""

    def __init__(self) -> None:
        self._groups: list[RegisteredGroup] = []

    def register(self, generator_id: str, source_group: SourceGroup) -> None:
        """Feed a generator from a source group: any object with ``files()``."""
        if (source_group, generator_id) not in self.pairs():
            count = getattr(source_group, "count", lambda: None)
            is_told_of = getattr(source_group, "is_told_of", lambda source: False)
            known = RegisteredGroup(source_group, generator_id, count, is_told_of)
            self._groups.append(known)

    def unregister(self, generator_id: str, source_group: SourceGroup) -> None:
        """Stop feeding a generator from a source group."""
        pair = (source_group, generator_id)
        self._groups = [known for known in self._groups if (known.group, known.spec_id) != pair]

    def registered(self) -> list[RegisteredGroup]:
        """Return every source group, once for each generator that it feeds."""
        return list(self._groups)

    def pairs(self) -> list[tuple[SourceGroup, str]]:
        """Return every source group as it was registered, with the id of a generator."""
        return [(known.group, known.spec_id) for known in self._groups]

    def groups_of(self, generator_id: str) -> list[SourceGroup]:
        """Return the source groups that feed a generator."""
        return [known.group for known in self._groups if known.spec_id == generator_id]

    def ids_of(self, source_group: object) -> list[str]:
        """Return the ids of the generators that a source group feeds."""
        return [known.spec_id for known in self._groups if known.group is source_group]


class _Register:
    """The registering half of the public face: ``register.generator(...)`` and its siblings."""

    def __init__(self) -> None:
        self.generator = generator_registry.register
        self.cachefiles = cachefile_registry.register
        self.source_group = source_group_registry.register
        self.placeholder = placeholder_registry.register
        self.opener = opener_registry.register
        self.detector = detector_registry.register


class _Unregister:
    """The removing half of the public face: ``unregister.generator(...)`` and its siblings."""

    def __init__(self) -> None:
        self.generator = generator_registry.unregister
        self.cachefiles = cachefile_registry.unregister
        self.source_group = source_group_registry.unregister
        self.placeholder = placeholder_registry.unregister
        self.opener = opener_registry.unregister
        self.detector = detector_registry.unregister


generator_registry = GeneratorRegistry()
source_group_registry = SourceGroupRegistry()
cachefile_registry = CacheFileRegistry(source_group_registry)
placeholder_registry = PlaceholderRegistry()
detector_registry = DetectorRegistry()
register = _Register()
unregister = _Unregister()
