"""The process in which an opener runs: ``IMAGEKIT_OPENER_PROCESS``.

It reads a file from its input and writes a PNG, or what is wrong as one line of JSON.
"""

from __future__ import annotations

import io
import json
import re
import sys
from contextlib import suppress

from imagekit_registry._openers import SAID, Opener, find_open
from imagekit_registry.exceptions import GenerationError, LimitExceeded
from imagekit_registry.imaging import Deadline, Limits

#: Bytes that the process may take besides those of the pixels: libraries reserve much.
_BYTES = 2 << 30
_BYTES_PER_PIXEL = 16


def _bound(max_pixels: int | None, seconds: float | None) -> None:
    """Bound memory and time where the system can."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        if seconds is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 2,) * 2)
        if max_pixels is not None:
            resource.setrlimit(resource.RLIMIT_AS, (_BYTES + max_pixels * _BYTES_PER_PIXEL,) * 2)


def main() -> int:
    """Open the file; return the code of the process."""
    media_type, name, max_pixels, seconds = json.loads(sys.argv[1])
    _bound(max_pixels, seconds)
    opener = Opener(media_type, find_open(name), re.compile(b""))
    file = io.BytesIO(sys.stdin.buffer.read())
    try:
        made = opener.read(file, Limits(max_pixels=max_pixels), Deadline(seconds))
    except GenerationError as error:
        limit = error.limit if isinstance(error, LimitExceeded) else None
        sys.stderr.write(json.dumps([error.cause, limit, error.hint]))
        return SAID
    sys.stdout.buffer.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
