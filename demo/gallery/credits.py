"""Reads who is to be credited for the photographs that come with the demo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs


@attrs.frozen
class Credit:
    """One row of the table of credits.

    Args:
        file: The photograph's name in the folder of the table.
        what: What it shows and who took it.
        rights: Its licence.
    """

    file: str
    what: str
    rights: str

    @property
    def by(self) -> str:
        """Who is to be named: what follows the subject, "a cup of coffee, by Rachel Michetti"."""
        return self.what.partition(", ")[2].removeprefix("by ")


def read_credits(path: Path) -> Iterator[Credit]:
    """Yield the rows of the Markdown table in *path*: file, size, what, rights."""
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 4 and cells[0] != "file" and not cells[0].startswith("-"):
            yield Credit(file=cells[0], what=cells[2], rights=cells[3])
