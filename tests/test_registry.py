"""The registries: generators, cache files and source groups by id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from imagekit_registry import ImageSpec, register, unregister
from imagekit_registry.exceptions import AlreadyRegistered, InvalidArgumentType, NotRegistered
from imagekit_registry.registry import (
    CacheFileRegistry,
    GeneratorRegistry,
    SourceGroupRegistry,
    generator_registry,
)


class Small(ImageSpec):
    """A spec."""


class Other(ImageSpec):
    """Another one."""


@pytest.fixture
def registry() -> GeneratorRegistry:
    """Return a registry of the test's own."""
    return GeneratorRegistry()


@pytest.fixture
def global_id() -> Iterator[str]:
    """Give an id in the global registry that is free, and free it again."""
    yield "tests:global"
    if "tests:global" in generator_registry.get_ids():
        unregister.generator("tests:global")


class TestGenerators:
    """Generators are found by id."""

    def test_a_class_is_called_with_the_arguments(self, registry: GeneratorRegistry) -> None:
        """A spec class gives a spec with its source."""
        registry.register("a:b", Small)
        assert registry.get("a:b", source="photos/a.jpg").source.name == "photos/a.jpg"

    def test_any_callable_may_be_registered(self, registry: GeneratorRegistry) -> None:
        """A function that returns a generator is as good as a class."""
        registry.register("a:b", lambda **kwargs: Small(**kwargs))
        assert isinstance(registry.get("a:b", source=None), Small)

    def test_what_is_offered_is_loaded_when_it_is_wanted(self, registry: GeneratorRegistry) -> None:
        """Once; until then it is registered as any other is."""
        loaded: list[type] = []

        def load() -> type:
            loaded.append(Small)
            return Small

        registry.offer("a:b", load)
        assert (registry.get_ids(), loaded) == (["a:b"], [])
        assert [registry.lookup("a:b"), registry.lookup("a:b")] == [Small, Small]
        assert (registry.get_ids(), loaded) == (["a:b"], [Small])
        with pytest.raises(AlreadyRegistered):
            registry.register("a:b", Other)
        registry.unregister("a:b")
        assert registry.get_ids() == []

    def test_what_is_offered_takes_the_place_of_nothing(self, registry: GeneratorRegistry) -> None:
        """A project's own generator may have been registered before."""
        registry.register("a:b", Other)
        registry.offer("a:b", lambda: Small)
        assert registry.lookup("a:b") is Other

    def test_a_spec_knows_its_id(self, registry: GeneratorRegistry) -> None:
        """What comes out of the registry can say what it is called."""
        registry.register("a:b", Small)
        assert registry.get("a:b", source=None).spec_id == "a:b"

    def test_an_id_has_one_generator(self, registry: GeneratorRegistry) -> None:
        """A second one is refused, and the message says how to replace the first."""
        registry.register("a:b", Small)
        with pytest.raises(AlreadyRegistered, match=r"unregister\.generator\('a:b'\)"):
            registry.register("a:b", Other)

    def test_the_same_generator_may_be_registered_again(self, registry: GeneratorRegistry) -> None:
        """A module that is imported twice does no harm."""
        registry.register("a:b", Small)
        registry.register("a:b", Small)
        assert registry.get_ids() == ["a:b"]

    def test_a_decorator_without_an_id_is_refused(self, registry: GeneratorRegistry) -> None:
        """The class became a function, and was not registered."""
        with pytest.raises(
            InvalidArgumentType, match=r"needs an id, such as .* not <class .*Small"
        ):
            registry.register(Small)  # type: ignore[call-overload]

    def test_an_unknown_id_is_told_with_the_nearest(self, registry: GeneratorRegistry) -> None:
        """A slip of the pen is easy to mend."""
        registry.register("shop:thumbnail", Small)
        with pytest.raises(NotRegistered, match=r"Did you mean 'shop:thumbnail'"):
            registry.get("shop:thumbnial")

    def test_an_unregistered_generator_is_gone(self, registry: GeneratorRegistry) -> None:
        """Its id is free again."""
        registry.register("a:b", Small)
        registry.unregister("a:b")
        registry.register("a:b", Other)
        assert registry.lookup("a:b") is Other

    def test_wrong_arguments_are_told_by_the_generators_id(
        self, registry: GeneratorRegistry
    ) -> None:
        """An argument that the generator does not take is named."""
        registry.register("a:b", Small)
        with pytest.raises(InvalidArgumentType, match=r"'a:b'.*colour"):
            registry.get("a:b", source=None, colour="red")

    def test_an_error_inside_of_a_generator_is_left_as_it_is(
        self, registry: GeneratorRegistry
    ) -> None:
        """A TypeError of the user's own code is not taken for a wrong argument."""

        def broken(source: Any) -> Any:
            raise TypeError("mine")

        registry.register("a:b", broken)
        with pytest.raises(TypeError, match=r"^mine$"):
            registry.get("a:b", source=None)

    def test_the_decorator_returns_the_class(self, global_id: str) -> None:
        """A class that is registered by decorator can be used as before."""
        decorated = register.generator(global_id)(Small)
        assert decorated is Small
        assert generator_registry.lookup(global_id) is Small


class TestCacheFiles:
    """Cache files and source groups are found by their generator's id."""

    def test_files_of_sources_and_registered_files_come_together(self) -> None:
        """A generator's files are those registered, and one for each source that feeds it."""

        class Group:
            def files(self) -> list[str]:
                return ["one", "two"]

        groups = SourceGroupRegistry()
        registry = CacheFileRegistry(groups)
        registry.make_file = lambda id, source: f"{id} of {source}"
        registry.register("a:b", lambda: ["zero"])
        groups.register("a:b", Group())
        assert list(registry.get("a:b")) == ["zero", "a:b of one", "a:b of two"]
        assert list(registry.get("a:c")) == []

    def test_what_is_unregistered_is_gone(self) -> None:
        """Files and groups can be dissociated again."""

        class Group:
            def files(self) -> list[str]:
                return ["one"]

        groups = SourceGroupRegistry()
        registry = CacheFileRegistry(groups)
        registry.make_file = lambda id, source: source
        group = Group()

        def files() -> list[str]:
            return ["zero"]

        registry.register("a:b", files)
        groups.register("a:b", group)
        registry.unregister("a:b", files)
        groups.unregister("a:b", group)
        assert list(registry.get("a:b")) == []


class TestSourceGroups:
    """Groups feed generators."""

    def test_a_group_that_is_registered_twice_feeds_once(self) -> None:
        """Two fields may have one source."""

        class Group:
            def files(self) -> list[str]:
                return ["one"]

        groups, group = SourceGroupRegistry(), Group()
        groups.register("a:b", group)
        groups.register("a:b", group)
        assert groups.pairs() == [(group, "a:b")]
        assert groups.ids_of(group) == ["a:b"]
