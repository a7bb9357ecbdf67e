"""Running processors: limits before and after each, and errors that name who raised them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from imagekit_registry.exceptions import GenerationError, ProcessingError

from ._limits import Deadline, Limits
from ._plan import Size, flat, needed_size, overrides

__all__ = ["check_result", "run"]


REDUCED = "process_reduced"


def _name(processor: Any) -> str:
    return type(processor).__name__


def _predicted(processor: Any, size: Size) -> Size | None:
    predict = getattr(processor, "output_size", None)
    if predict is None:
        return None
    predicted: Size | None = predict(size)
    return predicted


def _call(processor: Any, image: Image.Image, source_size: Size) -> Image.Image:
    reduced = getattr(processor, REDUCED, None)
    if reduced is not None and image.size != source_size and not overrides(processor, REDUCED):
        result = reduced(image, source_size)
    else:
        result = processor.process(image)
    if not isinstance(result, Image.Image):
        cause = f"{_name(processor)} returned {type(result).__name__} instead of an image"
        raise ProcessingError(cause, hint="Return the image at the end of process().")
    return result


def _after_points(chain: Sequence[Any], source_size: Size) -> Sequence[Any]:
    """Return *chain* without what comes first and works on single pixels of a smaller decode.

    What such processors are said to return is as large as the source, which is never made.
    """
    if needed_size(chain, source_size) is None:
        return chain
    first = next(
        index for index, each in enumerate(chain) if not getattr(each, "scale_invariant", False)
    )
    return chain[first:]


def check_result(processors: Sequence[Any], source_size: Size, limits: Limits) -> None:
    """Check the size of the result, as far as it can be known before there is an image.

    Raises:
        LimitExceeded: It would be too large.
    """
    size = source_size
    for processor in _after_points(flat(processors), source_size):
        if overrides(processor, "output_size"):
            return
        try:
            predicted = _predicted(processor, size)
        except Exception:  # noqa: BLE001 - a processor's own mistake shows when it is run
            return
        if predicted is None:
            return
        size = predicted
        limits.check_step(size)
    limits.check_output(size)


def run(
    image: Image.Image,
    processors: Sequence[Any],
    source_size: Size,
    limits: Limits,
    deadline: Deadline,
    *,
    shared: bool = False,
) -> Image.Image:
    """Return what *processors* make of *image*.

    Args:
        image: Decoded in full, or smaller.
        processors: Applied in this order.
        source_size: The size in pixels that *image* stands for: that of a full decode.
        limits: For the size of every result.
        deadline: Looked at after each processor.
        shared: Whether others use *image* too: it is copied before a processor that may paint on it.

    Raises:
        ProcessingError: A processor raised an exception or returned no image.
        LimitExceeded: A result is, or would be, too large, or the time is over.
    """
    base, size = image, source_size
    chain = flat(processors)
    for number, processor in enumerate(chain, 1):
        check = limits.check_output if number == len(chain) else limits.check_step
        try:
            # What works on single pixels keeps the size of what it is given, which may be less.
            is_point = image.size != size and getattr(processor, "scale_invariant", False)
            predicted = image.size if is_point else _predicted(processor, size)
            if predicted is not None:
                check(predicted)
            if shared and image is base and not hasattr(processor, "required_size"):
                image = image.copy()
            result = _call(processor, image, size)
        except GenerationError:
            raise
        except Exception as error:
            text = str(error) or "no message"
            cause = f"{_name(processor)} failed ({type(error).__name__}: {text})"
            raise ProcessingError(cause) from error
        if result.size != image.size:
            size = result.size
        image = result
        if min(image.size) < 1:
            raise ProcessingError(f"{_name(processor)} returned an image without pixels")
        check(image.size)
        deadline.check()
    return image
