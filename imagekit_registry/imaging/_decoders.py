"""Decoders by name."""

from __future__ import annotations

from collections.abc import Callable

from imagekit_registry.exceptions import InvalidConfiguration

from ._decoder import Decoder
from ._decoder_pillow import PillowDecoder
from ._decoder_vips import VipsDecoder

__all__ = ["get_decoder"]

_MAKERS: dict[str, Callable[[], Decoder]] = {"pillow": PillowDecoder, "vips": VipsDecoder}


def get_decoder(name: str) -> Decoder:
    """Return the decoder called *name*.

    Args:
        name: ``'pillow'`` or ``'vips'``.

    Raises:
        InvalidConfiguration: There is no such decoder, or what it needs is not installed.

    Example:
        >>> get_decoder("pillow").name
        'pillow'
    """
    try:
        maker = _MAKERS[name]
    except KeyError:
        known = ", ".join(sorted(_MAKERS))
        raise InvalidConfiguration(f"there is no decoder {name!r}; there are: {known}") from None
    return maker()
