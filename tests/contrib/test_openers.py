"""Files that Pillow does not read: PDF, SVG, videos, JPEG XL and HEIF, by the real packages."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image, ImageChops

from imagekit_registry import ImageSpec, get_image, register, unregister
from imagekit_registry._openers import opener_registry
from imagekit_registry.contrib.openers import open_jxl, open_svg, register_openers
from imagekit_registry.exceptions import (
    AlreadyRegistered,
    InvalidConfiguration,
    LimitExceeded,
    UnreadableImage,
)
from imagekit_registry.forms import ProcessedImageField
from imagekit_registry.imaging import Deadline, Limits
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.validators import ImageLimits

SVG = (
    b'<?xml version="1.0"?><!-- drawn --><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20">'
    b'<rect width="20" height="20" fill="red"/>%b</svg>'
)


@pytest.fixture(autouse=True)
def openers() -> Iterator[None]:
    """Take out what a test has registered, and what a plug-in has told Pillow."""
    known, opened = opener_registry.registered(), dict(Image.OPEN)
    yield
    for each in opener_registry.registered():
        if each not in known:
            opener_registry.unregister(each.media_type)
    Image.ID[:] = [each for each in Image.ID if each in opened]
    Image.OPEN.clear()
    Image.OPEN.update(opened)


class Card(ImageSpec):
    """Fits into 100 x 100 pixels, in the format that there is."""

    processors = [ResizeToFit(100, 100)]


def image_of(content: bytes, name: str, spec: type[ImageSpec] = Card, **limits: Any) -> Any:
    """Return what a spec makes of a stored file."""
    if limits:
        spec = type("Limited", (spec,), {"limits": Limits(**limits)})
    register.generator("tests:card", spec)
    try:
        stored = default_storage.save(name, ContentFile(content))
        image = get_image("tests:card", source=stored)
        with image.open() as file:
            made = Image.open(io.BytesIO(file.read()))
        return image, made
    finally:
        unregister.generator("tests:card")


def need(*modules: str) -> None:
    """Skip the test without what an extra installs."""
    for module in modules:
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


def is_near(image: Image.Image, at: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    """Return whether a pixel has nearly a colour."""
    found = image.convert("RGB").getpixel(at)
    assert isinstance(found, tuple)
    return all(abs(a - b) < 30 for a, b in zip(found, colour, strict=True))


def pdf() -> bytes:
    """Return a PDF of one page, half of it red."""
    page = Image.new("RGB", (200, 100), "white")
    page.paste("red", (0, 0, 100, 100))
    buffer = io.BytesIO()
    page.save(buffer, "PDF")
    return buffer.getvalue()


def video(format: str, codec: str) -> bytes:
    """Return a video of five frames, the first red."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=format) as container:
        stream = container.add_stream(codec, rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"  # type: ignore[union-attr]
        for colour in ("red", "blue", "blue", "blue", "blue"):
            frame = av.VideoFrame.from_image(Image.new("RGB", (64, 48), colour))  # type: ignore[no-untyped-call]
            container.mux(stream.encode(frame))  # type: ignore[union-attr]
        container.mux(stream.encode(None))  # type: ignore[union-attr]
    return buffer.getvalue()


def jxl(size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    """Return a red JPEG XL."""
    import pillow_jxl  # noqa: F401 -- registers itself

    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, "JXL", **options)
    return buffer.getvalue()


class TestKinds:
    """What each extra makes of its files."""

    def test_the_first_page_of_a_pdf_is_an_image(self) -> None:
        """Half red, half white, in a format that browsers show."""
        need("pypdfium2")
        register_openers("pdf")
        image, made = image_of(pdf(), "report.pdf")
        assert (made.size, made.format) == ((100, 50), "WEBP")
        assert str(image.name).endswith(".webp")
        assert is_near(made, (10, 25), (255, 0, 0))
        assert is_near(made, (90, 25), (255, 255, 255))

    def test_a_drawing_is_an_image_with_its_transparency(self) -> None:
        """As wide as its view box says."""
        need("resvg_py")
        register_openers("svg")
        _, made = image_of(SVG % b"", "logo.svg")
        assert made.size == (100, 50)
        assert is_near(made, (10, 25), (255, 0, 0))
        assert made.convert("RGBA").getpixel((90, 25))[3] == 0

    @pytest.mark.parametrize(
        ("format", "codec", "name"),
        [("mp4", "mpeg4", "a.mp4"), ("webm", "libvpx", "a.webm"), ("mov", "mpeg4", "a.mov")],
        ids=["mp4", "webm", "mov"],
    )
    def test_the_first_frame_of_a_video_is_an_image(
        self, format: str, codec: str, name: str
    ) -> None:
        """Not a later one."""
        need("av")
        register_openers("video")
        _, made = image_of(video(format, codec), name)
        assert (made.size, made.format) == ((100, 75), "WEBP")
        assert is_near(made, (50, 37), (255, 0, 0))

    @pytest.mark.parametrize("options", [{}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}])
    def test_a_jpeg_xl_is_an_image(self, options: dict[str, Any]) -> None:
        """Bare, and in a container."""
        need("pillow_jxl")
        content = jxl(**options)
        register_openers("jxl")
        _, made = image_of(content, "a.jxl")
        assert made.size == (100, 75)
        assert is_near(made, (50, 37), (255, 0, 0))

    def test_heif_is_read_where_its_package_is_installed(self) -> None:
        """Nobody registers anything; also by Pillow alone, as forms of Django's do."""
        need("pillow_heif")
        import pillow_heif

        buffer = io.BytesIO()
        pillow_heif.from_pillow(Image.new("RGB", (64, 48), "red")).save(buffer)
        _, made = image_of(buffer.getvalue(), "a.heic")
        assert made.format == "WEBP"
        with Image.open(buffer) as image:
            assert image.size == (64, 48)

    def test_an_upload_in_a_form_may_be_of_such_a_file(self) -> None:
        """A field of ours asks the same openers; limits call the file by its own format."""
        need("pypdfium2")
        register_openers("pdf")
        upload = SimpleUploadedFile("a.pdf", pdf())
        field = ProcessedImageField([], format="PNG", spec_id="tests:pdf-upload")
        assert field.clean(upload).image.size == (2048, 1024)
        with pytest.raises(ValidationError, match=r"of the format PDF\. Upload one of these: PNG"):
            ImageLimits(formats=["PNG"])(upload)


class TestUnknownKinds:
    """What is said of a file that nothing reads."""

    @pytest.mark.parametrize(
        ("content", "kind"),
        [
            (b"%PDF-1.4 ...", "pdf"),
            (SVG % b"", "svg"),
            (b"\0\0\0\x20ftypisom\0\0\2\0", "video"),
            (b"\x1a\x45\xdf\xa3 webm", "video"),
            (b"\xff\x0a ...", "jxl"),
        ],
    )
    def test_the_error_names_the_extra_and_what_to_call(self, content: bytes, kind: str) -> None:
        """Word for word what is to be typed."""
        package = {"pdf": "pypdfium2", "svg": "resvg-py", "video": "av", "jxl": "pillow-jxl-plugin"}
        with pytest.raises(UnreadableImage) as raised:
            image_of(content, "a.bin")
        assert f"pip install '{package[kind]}>=" in str(raised.value)
        assert f"call register_openers('{kind}')" in str(raised.value)

    def test_the_error_of_heif_names_the_extra_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """There is nothing to call."""
        monkeypatch.setattr(Image, "ID", [each for each in Image.ID if each != "HEIF"])
        with pytest.raises(UnreadableImage, match=r"HEIC are not read.*'pillow-heif>=[\d.]+'\.$"):
            image_of(b"\0\0\0\x18ftypheic\0\0\0\0" + b"\0" * 100, "a.heic")

    def test_a_kind_that_is_none_or_not_installed_is_told_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When the project starts."""
        with pytest.raises(InvalidConfiguration, match="no opener 'docx'; there are: jxl, pdf"):
            register_openers("docx")
        monkeypatch.setattr("imagekit_registry.contrib.openers.find_spec", lambda name: None)
        with pytest.raises(InvalidConfiguration, match="pip install 'pypdfium2"):
            register_openers("pdf")


def open_flat(file: IO[bytes], limits: Any, deadline: Any) -> Image.Image:
    """Open files of a kind of its own: a size, and a colour."""
    size, colour = re.findall(rb"FLAT (\d+) (\w+)", file.read())[0]
    return Image.new("CMYK" if colour == b"ink" else "RGB", (int(size), int(size)), "red")


def open_slowly(file: IO[bytes], limits: Any, deadline: Any) -> Image.Image:
    """Never come to an end."""
    time.sleep(60)
    raise AssertionError("it was not killed")


def open_nothing(file: IO[bytes], limits: Any, deadline: Any) -> Any:
    """Give no image."""


def leave(file: IO[bytes], limits: Any, deadline: Any) -> Any:
    """End the process as if all were well."""
    sys.exit(0)


def png() -> bytes:
    """Return a PNG."""
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    return buffer.getvalue()


def crash(file: IO[bytes], limits: Any, deadline: Any) -> Image.Image:
    """End the process, as a mistake in a library of C does."""
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError


class TestOwnOpeners:
    """Openers of a project."""

    @pytest.fixture(autouse=True, params=[False, True], ids=["here", "apart"])
    def process(self, request: pytest.FixtureRequest, settings: Any) -> bool:
        """Open in this process and in another one."""
        settings.IMAGEKIT_OPENER_PROCESS = request.param
        return bool(request.param)

    @pytest.mark.parametrize("colour", [b"red", b"ink"])
    def test_an_opener_is_found_by_how_files_begin(self, colour: bytes) -> None:
        """Whatever they are called, and whatever mode it gives."""
        register.opener("image/x-flat", open_flat, sniff=b"FLAT ")
        _, made = image_of(b"FLAT 40 " + colour, "a.bin", type("P", (Card,), {"format": "PNG"}))
        assert made.size == (100, 100)

    def test_what_an_opener_gives_is_held_to_the_limits(self) -> None:
        """An opener that looks at no limits does no harm to what comes after it."""
        register.opener("image/x-flat", open_flat, sniff=b"FLAT ")
        with pytest.raises(LimitExceeded, match="400 x 400 pixels, more than the 10000"):
            image_of(b"FLAT 400 red", "a.bin", max_pixels=10_000, allowed_formats=["X-FLAT"])
        with pytest.raises(LimitExceeded, match="12 bytes, more than the 5"):
            image_of(b"FLAT 400 red", "a.bin", max_bytes=5)

    def test_a_spec_may_take_the_formats_that_it_names_alone(self) -> None:
        """Those of openers go by the names of their media types."""
        register.opener("image/x-flat", open_flat, sniff=b"FLAT ")
        with pytest.raises(UnreadableImage, match="the format X-FLAT are not allowed"):
            image_of(b"FLAT 40 red", "a.bin", allowed_formats=["PNG"])

    @pytest.mark.parametrize(
        ("content", "open", "text"),
        [
            pytest.param(b"FLAT", open_flat, "index out of range", id="raises"),
            pytest.param(b"FLAT", open_nothing, "gave None, no image", id="none"),
        ],
    )
    def test_an_opener_that_fails_is_told_as_a_source_that_cannot_be_read(
        self, content: bytes, open: Any, text: str
    ) -> None:
        """With its own words."""
        register.opener("image/x-flat", open, sniff=b"FLAT")
        with pytest.raises(UnreadableImage, match=text):
            image_of(content, "a.bin")


class TestProcess:
    """What a process of its own is good for."""

    def test_an_opener_that_takes_too_long_is_killed(self, settings: Any) -> None:
        """Where it could not be stopped within this process."""
        settings.IMAGEKIT_OPENER_PROCESS = True
        register.opener("image/x-flat", open_slowly, sniff=b"FLAT")
        with pytest.raises(LimitExceeded, match=r"longer than the 1\.5 seconds") as raised:
            image_of(b"FLAT", "a.bin", max_seconds=1.5, allowed_formats=["X-FLAT"])
        assert raised.value.limit == "seconds"

    def test_an_opener_that_crashes_harms_nobody(self, settings: Any) -> None:
        """The page goes on, and the message does not blame the project's modules."""
        settings.IMAGEKIT_OPENER_PROCESS = True
        register.opener("image/x-flat", crash, sniff=b"FLAT")
        with pytest.raises(UnreadableImage, match=r"ended the process \(signal 11\)") as raised:
            image_of(b"FLAT", "a.bin")
        assert "Django" not in raised.value.hint

    def test_an_opener_that_ends_its_process_without_an_image_is_told_as_a_failure(
        self, settings: Any
    ) -> None:
        """Nobody else reads the file in its place: Pillow would show the PNG."""
        settings.IMAGEKIT_OPENER_PROCESS = True
        register.opener("image/x-own", leave, sniff=b"\x89PNG")
        with pytest.raises(UnreadableImage, match=r"its opener failed \(code 0\)"):
            image_of(png(), "a.png")

    def test_an_opener_of_ours_gives_the_same_in_a_process(self, settings: Any) -> None:
        """To the pixel."""
        need("pypdfium2")
        register_openers("pdf")
        _, here = image_of(pdf(), "here.pdf")
        settings.IMAGEKIT_OPENER_PROCESS = True
        _, apart = image_of(pdf(), "apart.pdf")
        assert ImageChops.difference(here, apart).getbbox() is None

    def test_an_opener_that_no_process_can_import_is_found_by_the_checks(
        self, settings: Any
    ) -> None:
        """Where it is to run in one."""
        # Which the processes that import the openers above cannot import.
        from imagekit_registry.checks import check_all

        register.opener("image/x-flat", lambda *args: open_flat(*args), sniff=b"FLAT")
        register.opener("image/x-other", open_flat, sniff=b"OTHER")
        assert check_all(None) == []
        settings.IMAGEKIT_OPENER_PROCESS = True
        (error,) = check_all(None)
        assert error.id == "imagekit.E024"
        assert "'image/x-flat' cannot be imported by its name" in str(error.msg)


class TestHostile:
    """Files that are made to do harm."""

    @pytest.mark.parametrize(
        "href", ["file://{}", "{}", "data:image/svg+xml,<svg/>"], ids=["url", "path", "svg"]
    )
    def test_a_drawing_shows_no_file_of_the_server(
        self, tmp_path: Path, photos: Path, href: str
    ) -> None:
        """Where it refers to one, there is nothing."""
        need("resvg_py")
        register_openers("svg")
        secret = tmp_path / "secret.png"
        Image.new("RGB", (20, 20), "blue").save(secret)
        link = href.format(secret).replace("<", "&lt;")
        within = f'<image x="20" width="20" height="20" href="{link}"/>'.encode()
        _, made = image_of(SVG % within, "logo.svg")
        assert made.convert("RGBA").getpixel((90, 25))[3] == 0

    def test_a_drawing_with_entities_is_refused(self) -> None:
        """They can make a small file large."""
        need("resvg_py")
        register_openers("svg")
        text = (
            b'<!DOCTYPE svg [<!ENTITY a "aaaa">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>'
        )
        with pytest.raises(UnreadableImage, match="declares entities"):
            image_of(text, "logo.svg")

    @pytest.mark.parametrize("box", [b"0 0 0 0", b"0 0 1e9 1", b"", b"a b c d"])
    def test_a_drawing_of_no_size_is_an_image_or_an_error_of_ours(self, box: bytes) -> None:
        """Never another one, nor a large one."""
        need("resvg_py")
        register_openers("svg")
        text = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="%b"/>' % box
        with suppress(UnreadableImage):
            _, made = image_of(text, "logo.svg")
            assert max(made.size) <= 100

    def test_a_drawing_of_elements_that_lie_too_deep_is_refused(self) -> None:
        """Once resvg ended the process, by some three hundred."""
        need("resvg_py")
        register_openers("svg")
        assert image_of(SVG % (b"<g>" * 90 + b"</g>" * 90), "logo.svg")
        with pytest.raises(UnreadableImage, match="more than 100 elements within one another"):
            image_of(SVG % (b"<g>" * 100 + b"</g>" * 100), "logo.svg")

    def test_a_drawing_far_longer_than_wide_is_refused(self) -> None:
        """Once it took resvg as long as it liked."""
        need("resvg_py")
        register_openers("svg")
        text = b'<svg xmlns="http://www.w3.org/2000/svg" width="0.001" height="9999999"/>'
        with pytest.raises(UnreadableImage, match="more than 2,048 times the other"):
            image_of(text, "logo.svg")

    @pytest.mark.parametrize("written", [";base64,{}", ";charset=x;BASE64, {}", ";base64,%69{}"])
    def test_a_picture_in_a_drawing_is_held_to_the_limits(self, written: str) -> None:
        """Once it was decoded in whatever size it had."""
        need("resvg_py")
        for side, error in ((140, nullcontext()), (150, pytest.raises(LimitExceeded))):
            buffer = io.BytesIO()
            Image.new("RGB", (side, side), "blue").save(buffer, "PNG")
            data = written.format(b64encode(buffer.getvalue()).decode())
            href = "data:image/png" + data.replace("%69i", "%69")
            within = f'<image x="20" width="20" height="20" href="{href}"/>'.encode()
            with error:
                made = open_svg(io.BytesIO(SVG % within), Limits(max_pixels=20_000), Deadline(10))
                assert made.convert("RGB").getpixel((180, 50)) == (0, 0, 255)

    @pytest.mark.parametrize("size", [(2000, 2000), (1001, 3), (1024, 768), (264, 8)])
    def test_a_jpeg_xl_is_measured_before_it_is_decoded(self, size: tuple[int, int]) -> None:
        """Its header tells the size in few bits; the plug-in would decode it first."""
        need("pillow_jxl")
        width, height = size
        limits = Limits(max_pixels=width * height - 1)
        with pytest.raises(LimitExceeded, match=f"{width} x {height} pixels"):
            open_jxl(io.BytesIO(jxl(size)), limits, Deadline(10))

    def test_a_playlist_is_no_video(self, tmp_path: Path) -> None:
        """FFmpeg would open what it names."""
        need("av")
        register_openers("video")
        with pytest.raises(UnreadableImage):
            image_of(b"\x1a\x45\xdf\xa3\nffconcat version 1.0\nfile /etc/passwd\n", "a.webm")


class TestRegistering:
    """The registry of openers."""

    def test_a_media_type_has_one_opener(self) -> None:
        """Another one is refused until the first is gone."""
        register.opener("image/x-flat", open_flat, sniff=b"FLAT")
        register.opener("image/x-flat", open_flat, sniff=b"FLAT")
        with pytest.raises(AlreadyRegistered, match="open_flat"):
            register.opener("image/x-flat", open_nothing, sniff=b"FLAT")
        unregister.opener("image/x-flat")
        register.opener("image/x-flat", open_nothing, sniff=b"FLAT")
