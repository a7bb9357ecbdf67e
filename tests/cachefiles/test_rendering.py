"""From the files of one source to their content, of one decode, and to errors of ours."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles import ImageCacheFile, generate_many
from imagekit_registry.exceptions import EncodingError, ProcessingError, UnreadableImage
from imagekit_registry.imaging import Limits
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import Status
from tests.cachefiles.conftest import WIDTHS, Explosive, Own, Small, Thumbnail, files_of
from tests.storages import CountingStorage


class TestOneSource:
    """What is made of one source."""

    def test_all_files_of_one_source_are_made_of_one_open_and_one_decode(
        self, counting: CountingStorage, decodes: list[Any]
    ) -> None:
        """Four widths cost one open of the source; nothing else is opened."""
        files = files_of(StoredFile("a.jpg", counting), storage=counting)
        outcome = generate_many(files)
        assert outcome.made == tuple(files)
        assert counting.calls["open"] == 1
        assert len(decodes) == 1
        assert [file.width for file in files] == list(WIDTHS)
        assert counting.calls["open"] == 1

    def test_a_spec_with_other_limits_reads_its_source_apart(
        self, name: str, decodes: list[Any]
    ) -> None:
        """A spec that is stricter than the others fails alone."""

        class Strict(Small):
            processors = [ResizeToFill(32, 24)]
            limits = Limits(max_pixels=1000)

        strict, small = ImageCacheFile(Strict(name)), ImageCacheFile(Small(name))
        outcome = generate_many([strict, small])
        assert outcome.made == (small,)
        assert [failure.file for failure in outcome.failures] == [strict]

    def test_a_spec_with_its_own_generate_is_made_locked_and_remembered(self, name: str) -> None:
        """A spec with its own generate() shares no decode, and is locked and remembered too."""
        own = ImageCacheFile(Own(name))
        assert generate_many([own, *files_of(name, (40,))]).failures == ()
        assert (own.width, own.height, own.state.format) == (5, 4, "PNG")


class TestErrors:
    """What cannot be made of it."""

    def test_the_failure_of_a_source_is_told_for_each_spec(self, caplog: Any) -> None:
        """What cannot be read fails once, which the log says, and is reported for each spec."""
        storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        files = [*files_of("photos/bad.jpg", (40,)), ImageCacheFile(Small("photos/bad.jpg"))]
        failures = generate_many(files).failures
        assert [type(failure.error) for failure in failures] == [UnreadableImage] * 2
        assert "Wide40 of 'photos/bad.jpg'" in str(failures[0].error)
        assert "Small of 'photos/bad.jpg'" in str(failures[1].error)
        assert [file.state.status for file in files] == [Status.FAILED] * 2
        assert len(caplog.messages) == 1

    @pytest.mark.parametrize(
        ("attributes", "error", "text"),
        [
            pytest.param({"format": "XYZ"}, EncodingError, "XYZ", id="format"),
            pytest.param({"processors": [Explosive()]}, ProcessingError, "no ink", id="processor"),
            pytest.param(
                {"format": "JPEG", "options": {"quality": "x"}}, EncodingError, "x", id="options"
            ),
        ],
    )
    def test_a_failure_of_one_spec_spares_the_others(
        self, name: str, attributes: dict[str, Any], error: type[Exception], text: str
    ) -> None:
        """One spec's mistake does not take away the images of its neighbours."""
        bad = ImageCacheFile(type("Bad", (ImageSpec,), attributes)(name))
        good = files_of(name, (80, 40))
        outcome = generate_many([good[0], bad, good[1]])
        assert outcome.made == tuple(good)
        (failure,) = outcome.failures
        assert failure.file is bad
        assert isinstance(failure.error, error)
        assert f"Bad of {name!r}" in str(failure.error)
        assert text in str(failure.error)

    def test_a_limit_of_the_spec_holds(self, name: str) -> None:
        """A spec may be stricter than the settings."""
        from imagekit_registry.exceptions import LimitExceeded
        from imagekit_registry.imaging import Limits

        class Strict(Thumbnail):
            limits = Limits(max_pixels=1000)

        with pytest.raises(LimitExceeded, match="pixels"):
            Strict(name).generate()
