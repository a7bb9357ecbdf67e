"""Backends of other interfaces; those of the old ImageKit are in `tests/test_old_imagekit.py`."""

from __future__ import annotations

from typing import Any

from django.core.files.base import File

from imagekit_registry.cachefiles import ImageCacheFile, generate_many
from imagekit_registry.state import Status
from tests.cachefiles.conftest import Own, Small, Thumbnail


class TestBackendAdapter:
    """A third-party backend that has nothing but two methods."""

    def test_a_backend_of_two_methods_will_do(self, name: str) -> None:
        """A third-party backend needs no state of ours."""

        class Least:
            def generate(self, file: Any, force: bool = False) -> None:
                content = file.generator.generate()
                file.storage.save(file.name, File(content))

            def exists(self, file: Any) -> bool:
                return bool(file.storage.exists(file.name))

        file = ImageCacheFile(Thumbnail(name), cachefile_backend=Least())
        assert (file.width, file.height) == (100, 60)
        assert file.state.status == Status.EXISTS

    def test_a_backend_needs_only_two_methods_to_make_many_files(self, name: str) -> None:
        """A third-party backend knows no records, locks or errors of ours."""

        class Least:
            def generate(self, file: Any, force: bool = False) -> None:
                if file.generator.format == "PNG":
                    raise ValueError("no PNG here")
                file.storage.save(file.name, File(file.generator.generate()))

            def exists(self, file: Any) -> bool:
                return bool(file.storage.exists(file.name))

        backend = Least()
        good = ImageCacheFile(Small(name), cachefile_backend=backend)
        bad = ImageCacheFile(Own(name), cachefile_backend=backend)
        outcome = generate_many([good, bad])
        assert outcome.made == (good,)
        assert "no PNG here" in str(outcome.failures[0].error)
