"""Image specs: what changes their digest, and what does not."""

from __future__ import annotations

import io
import pickle
from pathlib import Path, PurePath
from typing import Any, ClassVar

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.utils.translation import gettext_lazy
from PIL import Image

from imagekit_registry import ImageSpec, Target, unregister
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.exceptions import (
    AlreadyRegistered,
    InvalidArgumentType,
    InvalidConfiguration,
    MissingGeneratorId,
    MissingSource,
    SourceUnavailable,
    UnreadableImage,
)
from imagekit_registry.imaging import Limits, PillowDecoder
from imagekit_registry.processors import Adjust, ResizeToFill
from imagekit_registry.processors.resampling import PillowResizer
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import (
    SourceReference,
    SpecHost,
    StoredFile,
    fingerprint,
    open_source,
    refer_to,
)
from imagekit_registry.utils import open_image
from tests.storages import RemoteStorage
from tests.testapp.models import Photo


def spec(base: type[ImageSpec] = ImageSpec, **attributes: Any) -> Any:
    """Return a spec of one photograph, with these attributes."""
    return type("Spec", (base,), attributes)("photos/a.jpg")


class Making(ImageSpec):
    """A spec that makes its image itself."""

    def generate(self) -> Any:
        """Make nothing."""


class TestDigest:
    """Every change of a recipe gives another name; nothing else does."""

    @pytest.mark.parametrize(
        "attributes",
        [
            {"processors": [ResizeToFill(5, 5)]},
            {"format": "PNG"},
            {"options": {"quality": 50}},
            {"quality": "high"},
            {"never_larger": True},
            {"skip_if": "fits"},
            {"quality": 50},
            {"quality": Target(bytes=5000)},
            {"quality": Target(bytes=5001)},
            {"options": {"quality": [50]}},
            {"autoconvert": False},
            {"auto_orient": False},
            {"color": "keep"},
            {"metadata": "keep"},
            {"animated": False},
            {"background": "#000"},
        ],
        ids=lambda attributes: next(iter(attributes)),
    )
    def test_a_digest_changes_with_what_changes_pixels(self, attributes: dict[str, Any]) -> None:
        """Each attribute of the recipe counts."""
        assert spec(**attributes).get_hash() != spec().get_hash()

    @pytest.mark.parametrize(
        "attributes",
        [
            {"cachefile_strategy": "imagekit_registry.cachefiles.strategies.Optimistic"},
            {"fallback": "source"},
            {"decode_small": False},
            {"format": None},
            {"options": {}},
            {"spec_id": "tests:some"},
        ],
        ids=lambda attributes: next(iter(attributes)),
    )
    def test_a_digest_stays_with_what_does_not_change_pixels(
        self, attributes: dict[str, Any]
    ) -> None:
        """When and where it is made, or how it is decoded, renames nothing."""
        assert spec(**attributes).get_hash() == spec().get_hash()

    @pytest.mark.parametrize(("one", "other"), [("webp", "WEBP"), ("jpg", "JPEG")])
    def test_a_digest_does_not_hang_on_how_a_format_is_spelled(self, one: str, other: str) -> None:
        """Two fields that mean one format share their images."""
        assert spec(format=one).get_hash() == spec(format=other).get_hash()

    def test_a_digest_changes_with_the_projects_format_options(self, settings: Any) -> None:
        """They change pixels as well: those of the spec's format alone, if it has one."""
        jpeg, png = spec(format="JPEG").get_hash(), spec(format="PNG").get_hash()
        settings.IMAGEKIT_FORMAT_OPTIONS = {"jpeg": {"quality": 50}}
        assert spec(format="JPEG").get_hash() != jpeg
        settings.IMAGEKIT_FORMAT_OPTIONS = {}
        assert (spec(format="JPEG").get_hash(), spec(format="PNG").get_hash()) == (jpeg, png)

    def test_a_digest_changes_with_a_generate_of_ones_own(self) -> None:
        """What is made there is no recipe that could be compared."""
        assert spec(Making).get_hash() != spec().get_hash()

    def test_an_option_that_is_true_is_another_one_than_the_number_one(self) -> None:
        """However the texts of recipes are remembered."""
        assert spec(options={"x": 1}).get_hash() != spec(options={"x": True}).get_hash()
        assert spec(options={"x": True}).get_hash() != spec(options={"x": 1}).get_hash()


class TestSources:
    """Sources of specs."""

    def test_a_missing_source_is_told_by_the_spec(self) -> None:
        """The error names the spec, and is silent in templates."""
        with pytest.raises(MissingSource, match=r"tests\.specs\.test_spec\.Spec"):
            type("Spec", (ImageSpec,), {"__module__": __name__})(None).generate()
        assert ImageSpec.MissingSource is MissingSource
        assert ImageSpec(None).cachefile_name is None

    def test_the_size_is_known_before_the_image_is_made(self, stored_photo: Any) -> None:
        """From the header of the source, and the processors."""
        one = type("Spec", (ImageSpec,), {"processors": [Adjust(), ResizeToFill(50, 60)]})
        assert one(stored_photo()).expected_size() == (50, 60)
        assert ImageSpec(stored_photo()).expected_size() == (640, 427)


class TestReferences:
    """How sources are written down, and found again."""

    @pytest.mark.parametrize("kind", ["content", "upload", "large upload", "field"])
    def test_two_uploads_of_one_name_are_two_sources(self, kind: str) -> None:
        """What is not stored yet is told by its content: nobody is shown another one's picture."""

        def upload(content: bytes) -> Any:
            if kind == "content":
                return ContentFile(content, "me.jpg")
            if kind == "upload":
                return SimpleUploadedFile("me.jpg", content)
            if kind == "large upload":
                large = TemporaryUploadedFile("me.jpg", "image/jpeg", len(content), None)
                large.write(content)
                large.seek(0)
                return large
            return Photo(original_image=ContentFile(content, "me.jpg")).original_image

        one, other, again = upload(b"one"), upload(b"other"), upload(b"one")
        assert refer_to(one) != refer_to(other)
        assert refer_to(one) == refer_to(again)
        assert one.read() == b"one"
        for file in (one, other, again):
            file.close()

    def test_a_file_in_a_storage_without_an_alias_survives_copying(
        self, tmp_path: Path, duplicate: Any
    ) -> None:
        """The storage goes with it: nobody could find it by its name."""
        storage = FileSystemStorage(location=tmp_path / "elsewhere")
        storage.save("a.jpg", ContentFile(b"12345"))
        file = duplicate(StoredFile("a.jpg", storage))
        assert refer_to(file) == refer_to(StoredFile("a.jpg", storage))
        with open_source(file) as opened:
            assert opened.read() == b"12345"

    def test_a_file_in_a_storage_with_an_alias_is_pickled_by_it(self, settings: Any) -> None:
        """Such a pickle does not hold the storage, or what keys it may have."""
        settings.STORAGES = {
            **settings.STORAGES,
            "cloud": {"BACKEND": "tests.storages.RemoteStorage"},
        }
        for alias in ("default", "cloud"):
            pickled = pickle.dumps(StoredFile("a.jpg", storages[alias]))
            assert b"Storage" not in pickled
            assert pickle.loads(pickled).storage is storages[alias]

    @pytest.mark.parametrize(
        ("name", "storage"),
        [
            ("photos/a.jpg", ""),
            ("photos/12:30.jpg", ""),
            ("a.b:c.jpg", "cloud"),
            ("/tmp/a.jpg", "file"),
            ("0123456789abcdef", "content"),
            ("a.jpg", "shop.storages.Cloud"),
            ("a.jpg", "shop.storages.Cloud#0123456789abcdef"),
        ],
    )
    def test_a_reference_is_read_as_it_was_written(
        self, settings: Any, name: str, storage: str
    ) -> None:
        """Records hold the text alone."""
        settings.STORAGES = {
            **settings.STORAGES,
            "cloud": {"BACKEND": "tests.storages.RemoteStorage"},
        }
        reference = SourceReference(name, storage)
        assert SourceReference.parse(str(reference)) == reference


class TestFingerprint:
    """What a source's content is recognised by."""

    def test_a_fingerprint_is_size_and_time(self, stored_photo: Any) -> None:
        """As the storage has them."""
        name, storage = stored_photo(), storages["default"]
        expected = f"{storage.size(name)}/{storage.get_modified_time(name)}"
        assert fingerprint(StoredFile(name)) == expected

    def test_a_fingerprint_is_size_and_etag_where_the_storage_has_one(
        self, stored_photo: Any
    ) -> None:
        """It changes with the content alone, and more surely than the time."""

        class Tagging(FileSystemStorage):
            def get_etag(self, name: str) -> str:
                return f"etag of {name}"

        storage = Tagging()
        name = stored_photo()
        assert fingerprint(StoredFile(name, storage)) == f"{storage.size(name)}/etag of {name}"

    def test_a_fingerprint_is_what_the_storage_tells(self) -> None:
        """A storage may have no times, or nothing; then nothing is found out, and nothing raised."""
        storage = RemoteStorage()
        storage.save("a.jpg", ContentFile(b"12345"))
        assert fingerprint(StoredFile("a.jpg", storage)) == "5"
        assert fingerprint(StoredFile("b.jpg", storage)) == ""
        assert fingerprint(ContentFile(b"12345")) == ""


class TestStoredFile:
    """A file in a storage, which is what a name becomes."""

    def test_a_stored_file_is_opened_when_it_is_read(self, name: str) -> None:
        """In its storage; it is a file as that of an image field is."""
        with storages["default"].open(name) as file:
            content = file.read()
        source = ImageSpec(name).source
        assert source.closed
        assert source.size == len(content)
        assert source.closed
        assert source.read() == content
        assert not source.closed
        source.close()
        assert b"".join(source.chunks()) == content
        with source.open("rb") as opened:
            assert opened.read(3) == content[:3]
            assert opened.open().read() == content
        assert source.closed
        assert open_image(source).size == (640, 427)
        source.close()

    def test_a_stored_file_is_not_looked_for_in_the_working_directory(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`open` read a file of that name there."""
        (tmp_path / "photos").mkdir()
        (tmp_path / name).write_bytes(b"secret")
        monkeypatch.chdir(tmp_path)
        with ImageSpec(name).source.open("rb") as file:
            assert file.read(6) != b"secret"

    def test_a_spec_that_makes_its_image_itself_may_read_its_source(self, name: str) -> None:
        """By Pillow, say."""
        file = ImageCacheFile(Opening(name))
        file.generate()
        assert file.exists()


class Opening(ImageSpec):
    """A spec that opens its source itself."""

    format = "PNG"

    def generate(self) -> Any:
        """Return the image as it is."""
        content = io.BytesIO()
        with self.source as source, Image.open(source) as image:
            image.save(content, "PNG")
        return content


class Stream(io.RawIOBase):
    """What gives its bytes once, as a request or a pipe does."""

    def readable(self) -> bool:
        """Return that it may be read."""
        return True


def closed() -> io.BytesIO:
    """Return a file that nobody can open again."""
    file = io.BytesIO(b"...")
    file.close()
    return file


class TestNoSources:
    """What no image can be made of is told in our own words."""

    @pytest.mark.parametrize(
        ("source", "error", "told"),
        [
            (Stream(), SourceUnavailable, r"from its start .*io\.BytesIO\(source\.read\(\)\)"),
            (io.StringIO("..."), SourceUnavailable, "open for text.*'rb'"),
            (closed(), SourceUnavailable, "closed and has no name"),
            (b"...", InvalidArgumentType, "bytes is no source: give .*the name of one"),
            (Image.new("L", (1, 1)), InvalidArgumentType, "Image is no source: give .*open"),
            (["a.jpg"], InvalidArgumentType, "list is no source"),
        ],
        ids=["stream", "text", "closed", "bytes", "Pillow", "list"],
    )
    @pytest.mark.parametrize("use", [ImageSpec.generate, ImageCacheFile])
    def test_what_is_no_source_is_refused(
        self, source: Any, error: type[Exception], told: str, use: Any
    ) -> None:
        """Others raised what Python raises, or blamed the storage."""
        with pytest.raises(error, match=told):
            use(ImageSpec(source))


class TestGivenOnce:
    """What gives its content once is kept."""

    def test_a_generator_expression_of_processors_is_used_more_than_once(self) -> None:
        """By a host, in the body of a class and in an instance, which left out all of them."""
        once: Any = (ResizeToFill(n, n) for n in (5, 6))
        host = SpecHost(processors=once, spec_id="tests:once")
        spec = type("Once", (ImageSpec,), {"processors": (ResizeToFill(n, n) for n in (5, 6))})
        own = ImageSpec("a.jpg")
        own.processors = (ResizeToFill(n, n) for n in (5, 6))
        for made in (host.get_spec("a.jpg"), spec("a.jpg"), own):
            made.get_hash()
            assert made.recipe.processors == (ResizeToFill(5, 5), ResizeToFill(6, 6))

    @pytest.mark.parametrize("source", [gettext_lazy("photos/a.jpg"), PurePath("photos", "a.jpg")])
    def test_a_lazy_string_or_a_path_is_a_name_in_the_default_storage(self, source: Any) -> None:
        """As the string is that they stand for."""
        one, other = ImageSpec(source), ImageSpec("photos/a.jpg")
        assert one.cachefile_name == other.cachefile_name
        assert one.source.storage is storages["default"]


class TestHost:
    """Objects that have a spec."""

    @pytest.fixture(autouse=True)
    def clean(self) -> Any:
        """Free the ids again."""
        yield
        for id in ("tests:host", "tests:other"):
            if id in generator_registry.get_ids():
                unregister.generator(id)

    def test_a_host_registers_what_it_was_given(self) -> None:
        """A spec made of attributes is found by the id."""
        host = SpecHost(processors=[ResizeToFill(5, 5)], format="PNG", spec_id="tests:host")
        found = host.get_spec("photos/a.jpg")
        assert (found.processors, found.format) == ([ResizeToFill(5, 5)], "PNG")
        assert found.spec_id == "tests:host"

    def test_a_host_gives_way_to_a_spec_that_was_there_before(self) -> None:
        """A site replaces an app's spec by registering its own under the same id."""
        generator_registry.register("tests:host", Making)
        host = SpecHost(format="PNG", spec_id="tests:host")
        assert type(host.get_spec(None)) is Making

    def test_a_host_does_not_give_way_to_another_host(self) -> None:
        """Nor does it share the recipe of one by mistake; the same recipe is no mistake."""
        SpecHost(processors=[ResizeToFill(5, 5)], spec_id="tests:host")
        SpecHost(processors=(ResizeToFill(5, 5),), spec_id="tests:host")
        with pytest.raises(AlreadyRegistered, match="tests:host"):
            SpecHost(processors=[ResizeToFill(6, 6)], spec_id="tests:host")
        unregister.generator("tests:host")
        generator_registry.register("tests:host", Making)
        host = SpecHost(processors=[ResizeToFill(6, 6)], spec_id="tests:host")
        assert type(host.get_spec(None)) is Making

    def test_a_host_takes_any_callable(self) -> None:
        """That takes a source."""
        host = SpecHost(spec=lambda source: Making(source), spec_id="tests:host")
        assert type(host.get_spec(None)) is Making

    def test_a_host_takes_a_spec_or_attributes(self) -> None:
        """Not both, and no attribute that there is not."""
        with pytest.raises(InvalidArgumentType, match="format"):
            SpecHost(spec=Making, format="PNG")
        with pytest.raises(InvalidArgumentType, match="colour"):
            SpecHost(colour="red")  # type: ignore[call-arg]

    def test_a_host_without_an_id_says_so(self) -> None:
        """A field that was never added to a model."""
        with pytest.raises(MissingGeneratorId, match="no spec id"):
            SpecHost(format="PNG").get_spec(None)

    def test_specs_of_a_host_survive_copying(self, duplicate: Any) -> None:
        """They are found again by their id."""
        host = SpecHost(processors=[ResizeToFill(5, 5)], spec_id="tests:host")
        one = host.get_spec("photos/a.jpg")
        other = duplicate(one)
        assert type(other) is type(one)
        assert other.source.name == "photos/a.jpg"
        assert other.get_hash() == one.get_hash()

    def test_functions_among_attributes_stay_functions(self) -> None:
        """A namer is not turned into a method."""
        host = SpecHost(namer=_by_rule, spec_id="tests:host")
        assert host.get_spec("photos/a.jpg").cachefile_name == "named/photos/a.jpg"


def test_large_results_are_encoded_fast_unless_options_are_set(
    stored_photo: Any, settings: Any
) -> None:
    """The least effort is a default: what a project or a spec asks for comes before it."""
    attributes = {"processors": [ResizeToFill(200, 150)], "format": "PNG"}
    name = stored_photo()

    def size(**more: Any) -> int:
        return len(type("Spec", (ImageSpec,), {**attributes, **more})(name).generate().getvalue())

    small = size()
    settings.IMAGEKIT_MAX_OUTPUT_PIXELS = 200 * 150
    large = size()
    assert large > small
    assert size(options={"compress_level": 9}) < small
    settings.IMAGEKIT_FORMAT_OPTIONS = {"png": {"compress_level": 9}}
    assert size() < small


class LoudDecoder(PillowDecoder):
    """A decoder of the project's own."""

    opened: ClassVar[list[int]] = []

    def open(self, file: Any, limits: Limits, deadline: Any = None) -> Any:
        """Open an image, and tell."""
        self.opened.append(1)
        return super().open(file, limits, deadline)


def test_a_decoder_of_ones_own_is_used(stored_photo: Any, settings: Any) -> None:
    """It is named by its dotted path, and changes no name."""
    made = type("Small", (ImageSpec,), {"processors": [ResizeToFill(5, 5)]})(stored_photo())
    before = made.get_hash()
    settings.IMAGEKIT_DECODER = f"{__name__}.LoudDecoder"
    assert made.generate().width == 5
    assert LoudDecoder.opened == [1]
    assert made.get_hash() == before


class LoudResizer(PillowResizer):
    """A resizer of the project's own."""

    asked: ClassVar[list[tuple[int, int]]] = []

    def resize(self, image: Any, size: tuple[int, int], box: Any) -> Any:
        """Scale, and tell."""
        self.asked.append(size)
        return super().resize(image, size, box)


def test_a_resizer_of_ones_own_is_used(stored_photo: Any, settings: Any) -> None:
    """It is named by its dotted path, and changes no name."""
    made = type("Small", (ImageSpec,), {"processors": [ResizeToFill(5, 5)]})(stored_photo())
    before = made.get_hash()
    settings.IMAGEKIT_RESIZER = f"{__name__}.LoudResizer"
    assert made.generate().width == 5
    assert LoudResizer.asked == [(5, 5)]
    assert made.get_hash() == before


def _by_rule(generator: Any) -> str:
    return f"named/{generator.source.name}"


def test_a_resizer_that_is_not_installed_is_looked_for_once(
    stored_photo: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """It was looked for by each image, and its remedy written, which took 2.5 ms."""
    looks: list[str] = []

    def look() -> Any:
        looks.append("simd")
        raise InvalidConfiguration("it is not installed")

    monkeypatch.setattr("imagekit_registry.imaging._scaling.SimdResizer", look)
    settings.IMAGEKIT_RESIZER = "auto"
    name = stored_photo("rocket.jpg")
    for _ in range(2):
        ImageSpec(name).generate()
    assert looks == ["simd"]


def test_a_project_says_how_much_of_a_file_may_be_missing(stored_photo: Any, settings: Any) -> None:
    """For all its specs; a spec's own limits come before it."""
    with storages["default"].open(stored_photo()) as file:
        whole = file.read()
    name = storages["default"].save("cut.jpg", ContentFile(whole[: len(whole) // 2]))
    with pytest.raises(UnreadableImage, match="damaged"):
        ImageSpec(name).generate()
    settings.IMAGEKIT_MAX_MISSING = 0.9
    assert ImageSpec(name).generate().height == 427  # type: ignore[attr-defined]
