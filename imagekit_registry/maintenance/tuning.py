"""Which quality of a format looks as good as is wanted, by photographs; needs the extra ``quality``."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import islice
from statistics import fmean
from typing import Any

import attrs
from PIL import Image

from imagekit_registry.exceptions import GenerationError, ImageKitError, InvalidConfiguration
from imagekit_registry.imaging import Recipe, render
from imagekit_registry.maintenance.inventory import every_batch
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.specs import default_limits, open_source

__all__ = ["FORMATS", "Tuner", "photographs", "prepared"]

#: The formats of the web whose quality is a number up to 100.
FORMATS = ("AVIF", "JPEG", "WEBP")
#: Longest side of a photograph that is looked at, in pixels: of a camera's, no trace of its own
#: compression is left then, and a look takes less than half a second.
SIDE = 800
#: How much less than the best score of a format is as good: some formats end far below 100.
NEAR_BEST = 0.5


def prepared(file: Any) -> bytes:
    """Return a photograph as it is looked at: in at most 800 pixels to a side, as a PNG.

    Raises:
        GenerationError: It cannot be read.
    """
    recipe = Recipe((ResizeToFit(SIDE, SIDE, upscale=False),), "PNG", animated=False)
    return render(file, recipe, limits=default_limits(), format_options={}).getvalue()


def photographs(ids: Sequence[str], most: int) -> list[bytes]:
    """Return sources of specs as they are looked at, evenly taken of all; unreadable ones are left out.

    Args:
        ids: Ids of the specs.
        most: How many sources.
    """
    errors: list[tuple[str, ImageKitError]] = []
    files = (file for batch in every_batch(ids, errors) for file in batch)
    sources = {file.identity.source: file.spec.source for file in files if file.identity.source}
    found = []
    for source in islice(sources.values(), None, None, max(1, len(sources) // most)):
        try:
            with open_source(source) as file:
                found.append(prepared(file))
        except GenerationError:
            continue
        if len(found) == most:
            break
    return found


@attrs.define(eq=False)
class Tuner:
    """Finds qualities by SSIMULACRA2 (Sneyers, 2022), which tells how alike two images look.

    Scores are means over the photographs: 50 is medium, 70 hard to tell from the original, 90 not to
    be told from it.

    Args:
        photographs: What `prepared` returns.
        options: Pillow's save options by format; qualities among them do not count.
    """

    photographs: Sequence[bytes]
    options: Mapping[str, Mapping[str, Any]]
    _known: dict[tuple[str, int], float] = attrs.field(factory=dict, init=False)

    def find(self, format: str, goal: float) -> int:
        """Return the least quality, of 1 to 100, whose score is *goal*, or nearly the best there is.

        Raises:
            InvalidConfiguration: The library is not installed.
        """
        low, high = 1, 100
        goal = min(goal, self.score(format, high) - NEAR_BEST)
        while low < high:
            middle = (low + high) // 2
            if self.score(format, middle) >= goal:
                high = middle
            else:
                low = middle + 1
        return low

    def score(self, format: str, quality: int) -> float:
        """Return how much images of a quality look like the photographs, up to 100.

        Raises:
            InvalidConfiguration: The library is not installed.
        """
        key = format, quality
        if key not in self._known:
            options = {**self.options.get(format, {}), "quality": quality}
            scores = (self._score_one(photo, format, options) for photo in self.photographs)
            self._known[key] = fmean(scores)
        return self._known[key]

    def _score_one(self, photo: bytes, format: str, options: Mapping[str, object]) -> float:
        file = io.BytesIO()
        with Image.open(io.BytesIO(photo)) as image:
            image.convert("RGB").save(file, format, **options)
        return float(self._compare(io.BytesIO(photo), file))

    @cached_property
    def _compare(self) -> Any:
        try:
            from ssimulacra2 import compute_ssimulacra2
        except ImportError as error:
            raise InvalidConfiguration(
                f"SSIMULACRA2 cannot be used ({error})."
                " Install it by: pip install imagekit-registry[quality]"
            ) from error
        return compute_ssimulacra2
