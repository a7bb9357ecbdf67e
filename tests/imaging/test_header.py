"""Headers: what is known before pixels are decoded, and files left as they were."""

from __future__ import annotations

import contextlib
import io
import tracemalloc

import attrs
import pytest
from PIL import Image, ImageFile

from imagekit_registry.exceptions import LimitExceeded, UnreadableImage
from imagekit_registry.imaging import Header, Limits, read_header

from . import conftest as made
from .conftest import LIMITS


class Watched(io.BytesIO):
    """A file that counts what is done to it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


class Stream:
    """A file that can only be read forwards, as from a network."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self.closed = False

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


class TestReadHeader:
    """`read_header`."""

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "ICO"])
    def test_a_header_tells_size_and_format(self, format: str) -> None:
        """Width, height and format are told for every format."""
        header = read_header(made.encode(made.sample(), format), LIMITS)
        assert (header.format, header.frames, header.orientation) == (format, 1, 1)
        assert header.size == ((64, 48) if format != "ICO" else (64, 64)) or format == "ICO"

    def test_a_large_file_from_a_network_is_not_held_in_memory(self) -> None:
        """What cannot be read twice is put onto the disk."""
        stream = Stream(made.encode(made.sample(), "JPEG").getvalue())
        pieces = iter([stream.read(), *[bytes(64 * 1024)] * 400])
        stream.read = lambda size=-1: next(pieces, b"")  # type: ignore[method-assign]
        tracemalloc.start()
        header = read_header(stream, attrs.evolve(LIMITS, max_bytes=None))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert header.size == (64, 48)
        assert peak < 12_000_000

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_header_tells_the_orientation(self, format: str, orientation: int) -> None:
        """The orientation tag is read, and turns the size that people see."""
        exif = Image.Exif()
        exif[0x0112] = orientation
        header = read_header(made.encode(made.sample(), format, exif=exif), LIMITS)
        # Pillow turns a TIFF itself, so that there is nothing left to do.
        assert header.orientation == (1 if format == "TIFF" else orientation)
        assert header.oriented_size == ((64, 48) if orientation < 5 else (48, 64))

    def test_what_stands_behind_the_pixels_of_a_png_turns_nothing(self) -> None:
        """As in browsers; rights that stand there are kept."""
        exif = Image.Exif()
        exif[0x0112], exif[0x8298] = 6, "somebody"
        data = made.png()
        late = made.png_chunk(b"eXIf", exif.tobytes()[6:])
        source = data[:-12] + late + data[-12:]
        assert read_header(io.BytesIO(source), LIMITS).orientation == 1
        result = made.opened(made.make(io.BytesIO(source), metadata="copyright"))
        assert result.getexif()[0x8298] == "somebody"

    @pytest.mark.parametrize("value", [0, 9, 77], ids=str)
    def test_an_orientation_that_does_not_exist_counts_as_none(self, value: int) -> None:
        """A nonsensical tag does not turn anything."""
        exif = Image.Exif()
        exif[0x0112] = value
        assert read_header(made.encode(made.sample(), "JPEG", exif=exif), LIMITS).orientation == 1

    def test_a_header_holds_the_profile(self) -> None:
        """The embedded profile is part of the header."""
        profile = made.make_profile("p3")
        file = made.encode(made.sample(), "JPEG", icc_profile=profile)
        assert read_header(file, LIMITS).profile == profile

    @pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "AVIF"])
    def test_frames_of_animations_are_counted_and_limited(self, format: str) -> None:
        """Frames are counted without being decoded, and limited."""
        file = made.animation(format, 4)
        assert read_header(file, LIMITS).frames == 4
        with pytest.raises(LimitExceeded, match="more than the 3 frames"):
            read_header(file, attrs.evolve(LIMITS, max_frames=3))

    def test_pages_of_a_tiff_are_no_frames(self) -> None:
        """Only the first page of a document is looked at."""
        pages = [made.sample(), made.sample()]
        file = made.encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
        assert read_header(file, attrs.evolve(LIMITS, max_frames=1)).frames == 1

    def test_a_camera_with_two_views_gives_a_jpeg(self) -> None:
        """MPO is a JPEG with more views of the same scene, and is treated as one."""
        file = made.encode(made.sample(), "MPO", save_all=True, append_images=[made.sample()])
        assert read_header(file, LIMITS) == Header(64, 48, "RGB", "JPEG")

    def test_pixels_are_not_decoded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Reading a header decodes nothing."""
        file = made.encode(made.sample(), "PNG")

        def load(image: ImageFile.ImageFile) -> None:
            raise AssertionError("decoded")

        monkeypatch.setattr(ImageFile.ImageFile, "load", load)
        assert read_header(file, LIMITS).width == 64

    def test_a_large_jpeg_is_not_read_to_its_end(self) -> None:
        """The header is at the start, and no more is asked of the storage than a few blocks."""
        file = Watched(made.encode(Image.effect_noise((2000, 2000), 90), "JPEG").getvalue())
        read_header(file, LIMITS)
        assert file.bytes_read <= 3 * 65_536 < len(file.getvalue())


class TestFiles:
    """Whose file it is."""

    @pytest.mark.parametrize("data", [made.png(), b"no image"], ids=["image", "no image"])
    def test_a_file_stays_open_where_it_was(self, data: bytes) -> None:
        """Whatever happens, the file is open afterwards, at the position that it had."""
        file = io.BytesIO(data)
        file.seek(5)
        with contextlib.suppress(UnreadableImage):
            read_header(file, LIMITS)
        assert (file.tell(), file.closed) == (5, False)

    def test_a_stream_is_read_into_memory(self) -> None:
        """A file that cannot seek will do."""
        assert read_header(Stream(made.png()), LIMITS).size == (8, 8)

    def test_a_stream_is_read_no_further_than_allowed(self) -> None:
        """An endless stream ends at the limit."""
        with pytest.raises(LimitExceeded, match="1001 bytes"):
            read_header(Stream(b"\0" * 100_000), Limits(max_bytes=1000))
