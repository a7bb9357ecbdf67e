"""Code blocks of a Markdown page, and what hidden comments say about them."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import attrs
import django

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("[!_]*.md"))]

#: Languages whose blocks are run or checked.
RUN = frozenset(["console", "django", "html+django", "jinja", "pycon", "python"])
_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>[\w+{}-]*) *$")
_COMMENT = re.compile(r"^ *<!-- (?P<kind>not run|needs|raises|test)\b:? ?(?P<text>.*)$")
_PATH = re.compile(r"^(?:#|\{#) (?P<path>[\w./-]+\.(?:py|html|jinja))(?P<rest>[^#]*?)(?:#\})?$")


@attrs.frozen
class Block:
    """One block of code.

    Args:
        page: The page's path in the repository.
        line: Its first line in the page.
        language: What the fence says; ``test`` for hidden code.
        code: Its text.
        not_run: The reason why it is not run; empty if it is.
        needs: Modules, or a version of Django, that it needs.
        raises: The exception that it is to raise.
    """

    page: str
    line: int
    language: str
    code: str
    not_run: str = ""
    needs: str = ""
    raises: str = ""

    @property
    def path(self) -> str:
        """The file that the block is, by its first line; empty if it names none."""
        match = _PATH.match(self.code.split("\n", 1)[0])
        return match["path"] if match else ""

    @property
    def is_addition(self) -> bool:
        """Whether the block goes to the end of its file."""
        match = _PATH.match(self.code.split("\n", 1)[0])
        return bool(match and "at the end" in match["rest"])

    @property
    def where(self) -> str:
        """Where it stands, for messages."""
        return f"{self.page}:{self.line}"


def name_of(page: Path) -> str:
    """Return the path of *page* in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of *page* that are run, or would be but for a reason, in their order."""
    return list(_read(name_of(page), page.read_text(encoding="utf-8").split("\n")))


def _read(page: str, lines: list[str]) -> Iterator[Block]:
    notes: dict[str, str] = {}
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        if comment := _COMMENT.match(line):
            text, index = _comment(comment["text"], lines, index)
            if comment["kind"] == "test":
                yield Block(page, index, "test", dedent(text), needs=notes.pop("needs", ""))
            else:
                notes[comment["kind"].replace(" ", "_")] = text.strip()
        elif fence := _FENCE.match(line):
            end = next(i for i in range(index, len(lines)) if _closes(lines[i], fence["ticks"]))
            language = fence["language"]
            if language in RUN:
                code = dedent("\n".join(lines[index:end]))
                yield Block(page, index + 1, language, code, **notes)
            notes = {}
            index = end + 1


def _comment(text: str, lines: list[str], index: int) -> tuple[str, int]:
    """Return the text of a comment, whose first line is *text*, and the index behind it."""
    parts = [text]
    while "-->" not in parts[-1]:
        parts.append(lines[index])
        index += 1
    parts[-1] = parts[-1].partition("-->")[0]
    return "\n".join(parts), index


def _closes(line: str, ticks: str) -> bool:
    return line.strip() == ticks


def missing_need(needs: str) -> str:
    """Return what of *needs* this environment does not have; empty if it has all."""
    for need in needs.split():
        name, _, version = need.partition(">=")
        if name == "django":
            if django.VERSION[:2] < tuple(map(int, version.split("."))):
                return need
        elif importlib.util.find_spec(name) is None:
            return need
    return ""
