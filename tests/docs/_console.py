"""Checks what a page tells people to type."""

from __future__ import annotations

import configparser
import io
import re
import shlex
from typing import Any

from django.core.management import (
    CommandError,
    call_command,
    get_commands,
    load_command_class,
)

from tests.docs._markdown import ROOT, Block

__all__ = ["check_console", "commands_in", "extras", "make_targets"]

#: Programs whose arguments are not ours.
_KNOWN = frozenset(
    [".venv/bin/python", "cd", "curl", "django-admin", "git", "mkdir", "python", "source"]
)
#: Our commands, which are not only parsed but run.
_OURS = frozenset(
    ["adoptimages", "checkimages", "cleanimages", "forgetimages", "generateimages", "imagestats"]
)


def commands_in(code: str) -> list[str]:
    """Return the lines of a console block that are typed, without their prompts."""
    joined = code.replace("\\\n", " ")
    return [line[2:].strip() for line in joined.split("\n") if line.startswith("$ ")]


def extras() -> frozenset[str]:
    """Return the extras that the package has."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return frozenset(config["options.extras_require"])


def make_targets() -> frozenset[str]:
    """Return what `make` knows."""
    text = (ROOT / "Makefile").read_text()
    return frozenset(re.findall(r"^([a-z]+):", text, re.MULTILINE))


def check_console(block: Block, names: dict[str, Any]) -> None:
    """Check every command of a block; run those that are ours, and compare what they print.

    Raises:
        ValueError: There is no such command, or it takes no such arguments.
    """
    commands = commands_in(block.code)
    if not commands:
        raise ValueError("a console block has no line that starts with '$ '")
    for command in commands:
        words = shlex.split(command, comments=True)
        names["printed"] = _check(words)


def _check(words: list[str]) -> str:
    while words and re.match(r"^[A-Z_]+=", words[0]):
        words = words[1:]
    if words[:2] == ["python", "manage.py"] or words[:1] == ["manage.py"]:
        return _check_manage(words[words.index("manage.py") + 1 :])
    if words[0] == "pip" or words[1:3] == ["-m", "pip"]:
        _check_pip(words)
    elif words[0] == "make":
        unknown = {word for word in words[1:] if "=" not in word} - make_targets()
        if unknown:
            raise ValueError(f"make does not know {', '.join(unknown)}")
    elif words[0] not in _KNOWN:
        raise ValueError(f"{words[0]!r} is no known program")
    return ""


def _check_manage(words: list[str]) -> str:
    name, *arguments = words
    app = get_commands().get(name)
    if app is None:
        raise ValueError(f"manage.py has no command {name!r}")
    if name in _OURS and "--help" not in arguments:
        out = io.StringIO()
        call_command(name, *arguments, stdout=out, stderr=out)
        return out.getvalue()
    command = load_command_class(app, name)
    if "--help" in arguments:
        return ""
    try:
        command.create_parser("manage.py", name).parse_args(arguments)
    except (CommandError, SystemExit) as error:
        raise ValueError(f"manage.py {name} does not take {arguments}: {error}") from error
    return ""


def _check_pip(words: list[str]) -> None:
    for found in re.findall(r"imagekit-registry\[([\w,]+)\]", " ".join(words)):
        unknown = set(found.split(",")) - extras()
        if unknown:
            raise ValueError(f"there is no extra {', '.join(sorted(unknown))}")
