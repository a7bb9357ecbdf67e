"""Which format of an image a browser likes best, by its ``Accept`` header."""

from __future__ import annotations

import re
from collections.abc import Sequence

_QUALITY = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII)
_LONGEST = 4_000


def qualities(header: str) -> dict[str, float]:
    """Return how much each media type, or range of them, is liked: from 0, a no, to 1.

    What makes no sense is passed over.

    Args:
        header: The value of an ``Accept`` header; it may be anything.

    Example:
        >>> qualities("image/avif, image/webp;q=0.5")
        {'image/avif': 1.0, 'image/webp': 0.5}
    """
    found: dict[str, float] = {}
    for item in header[:_LONGEST].lower().split(","):
        media_type, *parameters = (part.strip() for part in item.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = (part.strip() for part in parameter.partition("="))
            if name == "q":
                quality = float(value) if _QUALITY.fullmatch(value) else 0.0
        if "/" in media_type:
            found[media_type] = quality
    return found


def choose(header: str, offered: Sequence[str], own: str) -> str:
    """Return the media type that is liked best.

    Args:
        header: The value of an ``Accept`` header.
        offered: Media types that not every client knows, the best ones first: they are sent to who
            names them, whatever wildcards say.
        own: The one that is sent to all others.
    """
    liked = qualities(header)
    kind = own.partition("/")[0]
    best, most = own, liked.get(own, liked.get(f"{kind}/*", liked.get("*/*", 0.0)))
    for each in reversed(offered):
        quality = liked.get(each, 0.0)
        if quality and quality >= most:
            best, most = each, quality
    return best
