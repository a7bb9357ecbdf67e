"""Hostile and damaged sources: a right image or one of our errors, in bounded time and memory."""

from __future__ import annotations

import io
import os
import random
import resource
import sys
import threading
import warnings
import zlib
from collections import Counter
from typing import Any

import attrs
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from imagekit_registry.exceptions import (
    EncodingError,
    GenerationError,
    LimitExceeded,
    ProcessingError,
    SourceUnavailable,
    UnreadableImage,
)
from imagekit_registry.imaging import Limits, Recipe, get_decoder, read_header, render_many
from imagekit_registry.imaging._metadata import xmp_without_orientation
from imagekit_registry.processors import Adjust, ResizeCanvas, ResizeToFill, ResizeToFit

from . import conftest as made
from .conftest import LIMITS, make

MUTATIONS = int(os.environ.get("IMAGEKIT_MUTATIONS", "2000"))
SIDE = (64, 48)


def gif_of_many_frames(count: int) -> bytes:
    """Return a GIF with *count* frames of one pixel."""
    one = made.encode(Image.new("P", (1, 1)), "GIF").getvalue()
    start = one.index(b",")
    return one[:start] + one[start:-1] * count + one[-1:]


def webp_of_claimed_size() -> bytes:
    """Return a WebP whose canvas claims 16384 x 16384 pixels."""
    data = bytearray(made.animation("WEBP").getvalue())
    data[24:30] = (16383).to_bytes(3, "little") * 2
    return bytes(data)


HUGE = {
    "png header of 30000 x 30000": made.png(size=(30_000, 30_000)),
    "jpeg header of 65500 x 65500": made.jpeg_header(65_500, 65_500),
    "webp canvas of 16384 x 16384": webp_of_claimed_size(),
    "gif of 20000 frames": gif_of_many_frames(20_000),
    "jpeg of 5000 scans": made.many_scans(5_000, (64, 64)),
}
#: What is left out of a picture, which is shown.
UNPACKED = {
    "zTXt that unpacks to 20 MB": made.png(
        made.png_chunk(b"zTXt", b"k\0\0" + zlib.compress(b"\0" * 20_000_000, 9))
    ),
    "iTXt that unpacks to 20 MB": made.png(
        made.png_chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(b"\0" * 20_000_000, 9))
    ),
    "iCCP that unpacks to 20 MB": made.png(
        made.png_chunk(b"iCCP", b"k\0\0" + zlib.compress(b"\0" * 20_000_000, 9))
    ),
}
BROKEN = {
    "empty file": b"",
    "text": b"This is no image at all, whatever its name says.\n" * 20,
    "html": b"<!doctype html><script>alert(1)</script>",
    "jpeg cut in half": made.encode(made.sample(), "JPEG").getvalue()[:600],
    "png cut in half": made.encode(made.sample(), "PNG").getvalue()[:100],
    "webp cut in half": made.encode(made.sample(), "WEBP", lossless=True).getvalue()[:50],
    "gif without pixels": b"GIF89a\x40\x00\x30\x00\x00\x00\x00;",
    "png of zero pixels": made.png(size=(0, 5)),
    "only a signature": b"\x89PNG\r\n\x1a\n",
    "jpeg of markers": b"\xff\xd8" + b"\xff\xe0\x00\x02" * 1000,
}


class TestSource:
    """What a source may not be."""

    @pytest.mark.parametrize("data", HUGE.values(), ids=HUGE.keys())
    def test_what_costs_too_much_is_refused_at_once(self, data: bytes) -> None:
        """A source that would take gigabytes or hours is refused before it is decoded."""
        with pytest.raises(LimitExceeded):
            make(data, ResizeToFit(300, 200), format="PNG")

    @pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
    def test_what_is_no_image_is_unreadable(self, data: bytes) -> None:
        """A damaged file and one that never was an image give one error, in plain words."""
        with pytest.raises(UnreadableImage, match=r"damaged|empty|not an image"):
            make(data, ResizeToFit(300, 200), format="PNG")

    def test_format_that_is_not_allowed_is_named(self) -> None:
        """A known format that may run programs is refused by name, also for its header."""
        file = made.encode(made.sample(), "EPS")
        with pytest.raises(UnreadableImage, match="EPS are not allowed"):
            make(file, format="PNG")
        with pytest.raises(UnreadableImage, match="EPS are not allowed"):
            read_header(file, LIMITS)

    def test_allowed_formats_are_the_only_ones(self) -> None:
        """A list of formats shuts out all others, and case does not matter."""
        limits = attrs.evolve(LIMITS, allowed_formats=["webp"])
        with pytest.raises(UnreadableImage, match="PNG are not allowed"):
            make(made.encode(made.sample(), "PNG"), limits=limits)
        assert make(made.encode(made.sample(), "WEBP"), limits=limits).format == "WEBP"

    def test_too_many_bytes_are_refused_before_anything_is_read(self) -> None:
        """The file's size is checked before anything is read."""
        limits = attrs.evolve(LIMITS, max_bytes=100)
        with pytest.raises(LimitExceeded, match="more than the 100 that are allowed"):
            make(made.encode(made.sample(), "PNG"), limits=limits)

    def test_our_pixel_limit_stands_above_pillows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Within our limit an image is made though Pillow's own would refuse it, without a word."""
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        assert make(made.encode(made.sample(), "PNG"), ResizeToFit(8, 8)).width == 8

    def test_limits_of_none_let_anything_pass(self) -> None:
        """Limits of None let anything pass."""
        assert make(made.encode(made.sample(), "PNG"), limits=Limits()).width == 64

    def test_cyclic_directories_of_a_tiff_do_not_matter(self) -> None:
        """Only the first page of a TIFF is looked at."""
        assert make(made.cyclic_tiff(), ResizeToFit(32), format="PNG").width == 32

    def test_a_time_limit_ends_an_animation(self) -> None:
        """The clock is looked at between the frames."""
        limits = attrs.evolve(LIMITS, max_seconds=0.0)
        with pytest.raises(LimitExceeded, match="took longer than"):
            make(made.animation("GIF", 30), limits=limits)

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP"])
    def test_what_else_a_file_is_goes_no_further(self, format: str) -> None:
        """A picture that is a script, or an archive, as well comes out as a picture alone."""
        script = b"<script>alert(1)</script>PK\3\4"
        options: dict[str, Any] = {"JPEG": {"comment": script}, "GIF": {"comment": script}}
        data = made.encode(made.sample(), format, **options.get(format, {})).getvalue() + script
        assert script not in make(data).getvalue()
        assert script not in make(data, ResizeToFit(20), metadata="keep").getvalue()

    def test_a_failing_storage_is_not_called_a_damaged_image(self) -> None:
        """An exception of the file itself says that the storage is at fault."""

        class Failing(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                raise OSError("connection reset")

        with pytest.raises(SourceUnavailable, match="connection reset"):
            make(Failing(made.encode(made.sample(), "PNG").getvalue()))


class TestResult:
    """What a result may not be."""

    @pytest.mark.parametrize(
        "processors",
        [
            (ResizeCanvas(60_000, 60_000),),
            (ResizeToFill(60_000, 60_000),),
            (ResizeToFit(30_000, None),),
        ],
        ids=["canvas", "fill", "fit"],
    )
    def test_a_huge_result_is_refused_before_it_is_made(self, processors: tuple[Any, ...]) -> None:
        """Sizes out of a query string cost nothing."""
        with pytest.raises(LimitExceeded, match="the result would be"):
            make(made.encode(made.sample(), "PNG"), *processors)

    def test_a_huge_result_is_refused_before_the_source_is_decoded(self) -> None:
        """What is known from sizes alone costs no decoding: the missing pixels are not missed."""
        cut = made.encode(made.sample(), "PNG").getvalue()[:150]
        with pytest.raises(LimitExceeded, match="60000 x 60000"):
            make(cut, ResizeToFill(60_000, 60_000))

    def test_a_custom_processor_is_measured_afterwards(self) -> None:
        """A processor that says nothing of its result is stopped after it."""

        class Blow:
            def process(self, image: Image.Image) -> Image.Image:
                return image.resize((200, 200))

        limits = attrs.evolve(LIMITS, max_output_pixels=10_000)
        with pytest.raises(LimitExceeded, match="200 x 200"):
            make(made.encode(made.sample(), "PNG"), Blow(), limits=limits)

    @pytest.mark.parametrize(
        ("source", "processors"),
        [
            (made.encode(made.sample(), "PNG"), [ResizeToFill(90, 90)]),
            (made.animation("GIF", 10), []),
        ],
    )
    def test_the_limit_of_a_result_is_named_as_it_was_given(
        self, source: bytes, processors: list[Any]
    ) -> None:
        """Who has to raise it finds the number in the project, however often it may be taken."""
        limits = attrs.evolve(LIMITS, max_output_pixels=1237)
        with pytest.raises(LimitExceeded, match=r"more than the (\d x )?1237 pixels"):
            make(source, *processors, limits=limits)

    def test_all_frames_together_are_limited(self) -> None:
        """An animation may have a few times the pixels of a still, over all its frames."""
        limits = attrs.evolve(LIMITS, max_output_pixels=40 * 30)
        with pytest.raises(LimitExceeded, match="5 frames of 40 x 30"):
            make(made.animation("GIF", 10), limits=limits)

    def test_a_failing_processor_is_named(self) -> None:
        """An error in a processor names the processor and keeps the cause."""

        class Watermark:
            def process(self, image: Image.Image) -> Image.Image:
                raise KeyError("logo")

        with pytest.raises(ProcessingError, match=r"Watermark failed .KeyError: 'logo'") as caught:
            make(made.encode(made.sample(), "PNG"), Watermark())
        assert isinstance(caught.value.__cause__, KeyError)

    def test_a_processor_must_return_an_image(self) -> None:
        """Forgetting to return is the usual mistake, and says so."""

        class Forgetful:
            def process(self, image: Image.Image) -> None:
                return None

        with pytest.raises(ProcessingError, match="Forgetful returned NoneType instead"):
            make(made.encode(made.sample(), "PNG"), Forgetful())

    def test_refused_options_are_shown(self) -> None:
        """Options that Pillow refuses give an error that shows them."""
        with pytest.raises(EncodingError, match=r"JPEG cannot be written.*quality"):
            make(made.encode(made.sample(), "PNG"), format="JPEG", options={"quality": "best"})

    def test_interrupts_pass(self) -> None:
        """A KeyboardInterrupt is nobody's broken image."""

        class Interrupted:
            def process(self, image: Image.Image) -> Image.Image:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            make(made.encode(made.sample(), "PNG"), Interrupted())


def corpus() -> list[bytes]:
    """Return one small file of each format and of several modes."""
    files = [
        made.encode(made.sample(mode), format)
        for format, modes in {
            "JPEG": ("RGB", "L", "CMYK"),
            "PNG": ("RGB", "RGBA", "P", "I;16", "1"),
            "GIF": ("P", "L"),
            "WEBP": ("RGB", "RGBA"),
            "TIFF": ("RGB", "CMYK", "F"),
            "BMP": ("RGB",),
            "ICO": ("RGBA",),
            "PPM": ("RGB",),
            "TGA": ("RGB",),
            "PCX": ("RGB",),
            "SGI": ("RGB",),
            **({"AVIF": ("RGB",)} if made.HAS_AVIF else {}),
        }.items()
        for mode in modes
    ]
    files += [made.animation(format) for format in ("GIF", "PNG", "WEBP")]
    files.append(made.encode(made.sample(), "JPEG", progressive=True))
    files.append(made.encode(made.sample(), "PNG", icc_profile=made.make_profile("p3")))
    return [file.getvalue() for file in files]


def process_globals() -> tuple[Any, ...]:
    """Return what Pillow, and Python's warnings, keep for the whole process."""
    return (
        Image.MAX_IMAGE_PIXELS,
        ImageFile.LOAD_TRUNCATED_IMAGES,
        ImageFile.MAXBLOCK,
        PngImagePlugin.MAX_TEXT_CHUNK,
        PngImagePlugin.MAX_TEXT_MEMORY,
        tuple(warnings.filters),
        warnings.showwarning,
    )


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Return *data* with a few bytes changed, removed, doubled or cut off."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed)) if len(changed) > 1 else 0
        match chance.randrange(5):
            case 0:
                changed = changed[: place + 1]
            case 1:
                del changed[place : place + chance.randint(1, 16)]
            case 2:
                changed[place:place] = changed[place : place + chance.randint(1, 16)]
            case 3:
                changed[place : place + 1] = bytes([chance.choice((0, 1, 127, 128, 255))])
            case _:
                changed[place : place + 1] = bytes([chance.randrange(256)])
        changed = changed or bytearray(b"\0")
    return bytes(changed)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("part", range(4))
def test_mutated_images_give_an_image_or_our_error(part: int) -> None:
    """Damage of any kind ends in a right image or in one of our errors, by both decoders.

    ``IMAGEKIT_MUTATIONS`` sets how many are tried.
    """
    chance = random.Random(f"imaging {part}")
    files = corpus()
    recipes = [
        Recipe([ResizeToFit(24, 24)], format="PNG"),
        Recipe([ResizeToFill(9, 30)], metadata="keep"),
    ]
    limits = attrs.evolve(LIMITS, max_pixels=4_000_000, max_seconds=30.0)
    decoder = get_decoder("vips" if part % 2 else "pillow")
    outcomes = Counter[bool]()
    for _ in range(MUTATIONS // 4):
        data = mutate(chance.choice(files), chance)
        results = render_many(
            io.BytesIO(data), recipes, limits=limits, format_options={}, decoder=decoder
        )
        for result in results:
            outcomes[isinstance(result, GenerationError)] += 1
            if not isinstance(result, GenerationError):
                assert made.opened(result).size == (result.width, result.height)
    # Damage must be small enough for some to be shown, and large enough for some not to be.
    assert outcomes.total() == 2 * (MUTATIONS // 4)
    assert min(outcomes[True], outcomes[False]) > outcomes.total() // 20


class TestBounds:
    """Memory and globals."""

    def test_a_slow_encoder_may_have_less(self) -> None:
        """JPEG 2000 takes four times as long: its largest result is a quarter."""
        limits = attrs.evolve(LIMITS, max_output_pixels=4 * 64 * 48 - 1)
        source = made.encode(made.sample(), "PNG")
        assert make(source, format="PNG", limits=limits).width == 64
        with pytest.raises(LimitExceeded, match="allowed for JPEG2000"):
            make(source, format="JPEG2000", limits=limits)

    @pytest.mark.parametrize(
        ("format", "mode", "bytes_each"),
        [("PNG", "RGB", 8), ("PNG", "RGBA", 10), ("WEBP", "RGB", 16), ("JPEG2000", "RGB", 24)],
    )
    def test_memory_of_decoding_is_bounded(self, format: str, mode: str, bytes_each: int) -> None:
        """A decode may take 8 bytes for each pixel of the largest source, whatever the format."""
        source = made.encode(made.sample(mode, (64, 64)), format)
        enough = attrs.evolve(LIMITS, max_pixels=64 * 64 * bytes_each // 8)
        assert make(source, format="PNG", limits=enough).width == 64
        too_little = attrs.evolve(LIMITS, max_pixels=max(64 * 64, 64 * 64 * bytes_each // 8 - 1))
        if bytes_each > 8:
            with pytest.raises(LimitExceeded, match="MB of memory"):
                make(source, format="PNG", limits=too_little)

    def test_a_still_of_a_costly_animation_is_made(self) -> None:
        """What all the frames would cost does not count where only the first is looked at."""
        limits = attrs.evolve(LIMITS, max_pixels=4 * 40 * 30 - 1)
        with pytest.raises(LimitExceeded, match="for one"):
            make(made.animation("GIF"), limits=limits)
        assert make(made.animation("GIF"), animated=False, limits=limits).frames == 1
        assert make(made.animation("GIF"), format="PNG", animated=False, limits=limits).width == 40

    def test_single_pixels_before_scaling_are_no_large_result(self) -> None:
        """A large photograph that is adjusted first is decoded small: nothing large is made."""
        limits = attrs.evolve(LIMITS, max_output_pixels=100 * 100)
        source = made.encode(made.sample(size=(600, 400)), "JPEG")
        assert make(source, Adjust(contrast=1.2), ResizeToFit(20, 20), limits=limits).width == 20
        with pytest.raises(LimitExceeded, match="600 x 400"):
            make(source, Adjust(sharpness=1.2), ResizeToFit(20, 20), limits=limits)

    def test_metadata_of_blanks_is_read_once(self) -> None:
        """Looking for the orientation in a megabyte of blanks takes no minutes."""
        blanks = b" " * 1_000_000
        assert xmp_without_orientation(blanks) == blanks
        text = b'<x  tiff:Orientation="6" y="1"/><tiff:Orientation>6</tiff:Orientation>'
        assert xmp_without_orientation(text) == b'<x y="1"/>'

    @pytest.mark.skipif(sys.platform != "linux", reason="units of ru_maxrss")
    @pytest.mark.parametrize("name", list(HUGE), ids=list(HUGE))
    def test_refusal_needs_little_memory(self, name: str) -> None:
        """What is refused is refused within 100 MB."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(LimitExceeded):
            make(HUGE[name], ResizeToFit(300, 200), format="PNG")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000

    @pytest.mark.skipif(sys.platform != "linux", reason="units of ru_maxrss")
    @pytest.mark.parametrize("name", list(UNPACKED), ids=list(UNPACKED))
    def test_what_is_left_out_needs_little_memory(self, name: str) -> None:
        """No more of a text or a profile is unpacked than it takes to see that it is too long."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert make(UNPACKED[name], format="PNG").width == 8
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 15_000

    def test_pillows_globals_are_left_alone(self) -> None:
        """Nothing that other code of the process relies on is touched, not even for a moment.

        Another thread looks at it all the time; processors look at it while they are at work.
        """
        before = process_globals()
        seen = []
        stop = threading.Event()

        def look() -> None:
            while not stop.is_set():
                seen.append(process_globals())

        class Looking:
            def process(self, image: Image.Image) -> Image.Image:
                seen.append(process_globals())
                return image

        thread = threading.Thread(target=look)
        thread.start()
        try:
            for data in [*corpus(), *BROKEN.values(), *HUGE.values()]:
                for name in ("pillow", "vips"):
                    render_many(
                        io.BytesIO(data),
                        [Recipe([Looking(), ResizeToFit(8)]), Recipe([ResizeToFit(9)])],
                        limits=LIMITS,
                        format_options={},
                        decoder=get_decoder(name),
                    )
        finally:
            stop.set()
            thread.join()
        assert len(seen) > 50
        assert all(each == before for each in seen)
        assert process_globals() == before

    def test_globals_that_are_set_change_no_result(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A process that lets any number of pixels pass, or truncated images, has our limits."""
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
        for data in HUGE.values():
            with pytest.raises(LimitExceeded):
                make(data, ResizeToFit(300, 200), format="PNG")
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        for name, data in HUGE.items():
            if "unpacks" not in name:  # Pillow leaves such chunks out then
                with pytest.raises(LimitExceeded):
                    make(data, ResizeToFit(300, 200), format="PNG")
