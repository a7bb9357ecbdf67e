"""Whatever a processor is given: an image that keeps its promise, or one of our errors."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from imagekit_registry import processors
from imagekit_registry.exceptions import (
    ImageKitError,
    InvalidArgument,
    InvalidArgumentType,
    LimitExceeded,
)
from imagekit_registry.imaging import Limits, Recipe, get_resizer, render
from imagekit_registry.processors import ResizeToFill, Transpose
from imagekit_registry.processors._geometry import anchored_box
from imagekit_registry.processors.anchors import FocalPoint
from imagekit_registry.processors.resampling import Resizer, resized_by
from tests.imaging.conftest import encode, opened
from tests.processors.conftest import MODES, make_image

#: Small, so that each example is fast, and large results are refused.
LIMITS = Limits(max_pixels=1_000_000, max_output_pixels=100_000, max_seconds=10.0)
CLASSES = [
    getattr(processors, name)
    for name in processors.__all__
    if attrs.has(getattr(processors, name)) and getattr(processors, name) is not Transpose
]
#: What query strings, templates and mistakes are made of.
ANYTHING = st.one_of(
    st.integers(-3, 300),
    st.integers(),
    st.floats(-2, 3),
    st.floats(),
    st.booleans(),
    st.none(),
    st.sampled_from(["", "tl", "c", "auto", "red", "#0f08", "#12345", "NaN", "1e9", "L", "I;16"]),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.lists(st.integers(-10, 300), max_size=5),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)),
    st.just(object()),
)
#: What fits more often, by the argument's name.
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "width": st.integers(1, 400),
    "height": st.integers(1, 400),
    "radius": st.integers(0, 60),
    "mode": st.sampled_from(
        ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "HSV", "I;16", "F"]
    ),
    "color": st.sampled_from(["red", "#0f08", (1, 2, 3), (1, 2, 3, 4), 7]),
    "anchor": st.sampled_from(
        [
            "tl",
            "c",
            "br",
            (0.3, 1),
            (0.2, 0.9, 0, 0),
            (0.7, 0.4, 0.5, 0.1),
            "focal",
            "entropy",
            None,
        ]
    ),
    "otherwise": st.sampled_from(["tl", "entropy", ("attention", "top"), None]),
    "closeness": st.integers(0, 100),
    "zoom": st.integers(0, 200),
    "target": st.tuples(st.floats(0, 1), st.floats(0, 1)),
    **dict.fromkeys(["left", "right", "top", "bottom"], st.integers(0, 100)),
}
SIDES = st.sampled_from([1, 2, 3, 17, 64, 1000])


@st.composite
def wanted(draw: st.DrawFn) -> Any:
    """Return a class and arguments for it, most of them possible."""
    cls = draw(st.sampled_from(CLASSES))
    arguments = {}
    for field in attrs.fields(cls):
        if field.default is not attrs.NOTHING and draw(st.booleans()):
            continue
        likely = LIKELY.get(field.name, st.floats(0, 2))
        arguments[field.name] = draw(st.one_of(likely, likely, likely, ANYTHING))
    return cls, arguments


QUICK = settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(params=["pillow", "simd"], scope="module")
def resizer(request: pytest.FixtureRequest) -> Resizer:
    """Return each resizer that is installed."""
    if request.param == "simd":
        pytest.importorskip("cykooz_resizer")
    return get_resizer(request.param)


@QUICK
@example(wanted=(processors.Convert, {"mode": []}), mode="1", width=1, height=1)
@example(wanted=(processors.TrimBorderColor, {"sides": [[]]}), mode="1", width=1, height=1)
@given(wanted=wanted(), mode=st.sampled_from(MODES), width=SIDES, height=SIDES)
def test_any_argument_gives_an_image_or_our_error(
    resizer: Resizer, wanted: Any, mode: str, width: int, height: int
) -> None:
    """Made, it works on every mode and size: the result has the size that was promised."""
    cls, arguments = wanted
    try:
        processor = cls(**arguments)
        sized = hasattr(processor, "output_size")
        promise = processor.output_size((width, height)) if sized else None
    except (InvalidArgument, InvalidArgumentType) as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert cls.__name__ in refusal or "anchor" in refusal
        return
    if promise is not None and promise[0] * promise[1] > 1_000_000:
        return  # what the renderer refuses; see below
    with resized_by(resizer):
        result = processor.process(make_image(mode, (width, height)))
    assert min(result.size) >= 1
    assert promise is None or result.size == promise
    result.tobytes()


FRACTIONS = st.one_of(st.sampled_from([0, 1]), st.floats(0, 1))
PIXELS = st.one_of(st.integers(1, 20), st.integers(1, 5000))


@settings(QUICK, max_examples=10_000)
@given(
    size=st.tuples(PIXELS, PIXELS),
    wanted=st.tuples(PIXELS, PIXELS),
    point=st.builds(FocalPoint, FRACTIONS, FRACTIONS, FRACTIONS, FRACTIONS),
    closeness=st.integers(0, 100),
)
def test_a_focal_point_lies_inside_every_crop(
    size: tuple[int, int], wanted: tuple[int, int], point: FocalPoint, closeness: int
) -> None:
    """The point itself always, its box where there is a pixel to spare; nothing is enlarged for it."""
    processor = ResizeToFill(*wanted, anchor=point.anchor, closeness=closeness)
    scaled = processor.required_size(size)
    cut = processor.output_size(size)
    assert cut == ResizeToFill(*wanted).output_size(size)
    plain = ResizeToFill(*wanted).required_size(size)
    assert all(s <= max(p, side) for s, p, side in zip(scaled, plain, size, strict=True))
    box = anchored_box(scaled, cut, point.anchor)
    for start, end, side, middle, extent in (
        (box[0], box[2], scaled[0], point.x, point.width),
        (box[1], box[3], scaled[1], point.y, point.height),
    ):
        assert 0 <= start <= middle * side <= end <= side
        first = max(0.0, (middle - extent / 2) * side)
        last = min(float(side), (middle + extent / 2) * side)
        if last - first <= end - start - 1:
            assert start <= first + 1e-6
            assert last - 1e-6 <= end


@settings(QUICK, max_examples=150)
@given(
    made=st.lists(wanted(), min_size=1, max_size=4),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
    width=SIDES,
    height=SIDES,
    format=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF"]),
)
def test_any_chain_of_processors_gives_an_image_or_a_limit(
    resizer: Resizer, made: Any, mode: str, width: int, height: int, format: str
) -> None:
    """Several in a row: a file of the wanted format, or what was too large is said."""
    chain = []
    for cls, arguments in made:
        try:
            chain.append(cls(**arguments))
        except ImageKitError:
            continue
    source = encode(make_image(mode, (width, height)), "PNG")
    try:
        result = render(
            source, Recipe(chain, format=format), limits=LIMITS, format_options={}, resizer=resizer
        )
    except (InvalidArgument, LimitExceeded):
        return  # a Thumbnail says at last what it cannot crop
    image = opened(result)
    assert (image.format, image.size) == (format, (result.width, result.height))
    assert math.prod(image.size) <= 100_000


def test_all_processors_take_part() -> None:
    """None is left out because of how it is written."""
    assert len(CLASSES) >= 20
    assert all(hasattr(cls, "process") for cls in CLASSES)
    assert isinstance(make_image("RGB"), Image.Image)
