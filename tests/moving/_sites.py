"""Sites as users of other libraries have them, moved by what the guides say and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import attrs

from tests.docs._console import commands_in

ROOT = Path(__file__).resolve().parents[2]
SITES = Path(__file__).resolve().parent / "sites"


@attrs.frozen
class Guide:
    """A page of the documentation, read for what it tells people to type and to write.

    Args:
        name: Of its file.
    """

    name: str

    @property
    def text(self) -> str:
        """The page."""
        return (ROOT / "docs" / "how-to" / self.name).read_text()

    def command(self, word: str) -> str:
        """Return the one command of the page that has *word* in it, as it is typed."""
        blocks = re.findall(r"^ *```console\n(.*?)^ *```", self.text, re.MULTILINE | re.DOTALL)
        (found,) = [
            line for block in blocks for line in commands_in(_dedent(block)) if word in line
        ]
        return found

    def settings(self, word: str) -> str:
        """Return the one block of settings of the page that has *word* in it."""
        (found,) = [block for block in map(_dedent, self._python()) if word in block]
        return found

    def example(self, start: str) -> tuple[str, str]:
        """Return the blocks that begin with a line: the first, as it was, and the last, as it is."""
        pattern = rf"^```[\w+]+\n({re.escape(start)}\n.*?)^```"
        found: list[str] = re.findall(pattern, self.text, re.MULTILINE | re.DOTALL)
        return found[0], found[-1]

    def _python(self) -> list[str]:
        return re.findall(r"^ *```python\n(.*?)^ *```", self.text, re.MULTILINE | re.DOTALL)


def _dedent(block: str) -> str:
    return "".join(f"{line.strip()}\n" for line in block.splitlines())


@attrs.frozen
class Site:
    """A copy of a site.

    Args:
        folder: Where it is.
    """

    folder: Path

    @classmethod
    def copied(cls, name: str, to: Path) -> Site:
        """Return a copy of a site of this folder."""
        shutil.copytree(SITES / name, to / name)
        return cls(to / name)

    def type(self, command: str) -> None:
        """Run a command in a shell, as people type it."""
        subprocess.run(["bash", "-ec", command], cwd=self.folder, check=True)

    def install(self, app: str, beside: str, *, instead: bool = False) -> None:
        """Put an app into ``INSTALLED_APPS``, in front of another one, or in its place."""
        settings = self.folder / "settings.py"
        pattern = rf"^( *)[\"']{re.escape(beside)}[\"'],$"
        text, count = re.subn(
            pattern,
            rf'\1"{app}",' + ("" if instead else "\n\\g<0>"),
            settings.read_text(),
            flags=re.MULTILINE,
        )
        assert count == 1, f"{beside} stands {count} times in the settings"
        settings.write_text(text)

    def rewrite(self, path: str, example: tuple[str, str]) -> None:
        """Write the file of a guide's example, which the site has as it was, as it is."""
        before, after = example
        file = self.folder / path
        assert file.read_text().strip() in before, "the site has another file than the page"
        file.write_text(after)

    def add_settings(self, block: str) -> None:
        """Write more settings at the end."""
        with (self.folder / "settings.py").open("a") as file:
            file.write(f"\n{block}")

    def manage(self, *arguments: str, is_quiet: bool = False) -> str:
        """Run ``manage.py``; return what it says, and fail if it does.

        Args:
            *arguments: What is typed behind it.
            is_quiet: Whether its standard output alone is meant.
        """
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "settings"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout if is_quiet else done.stdout + done.stderr
