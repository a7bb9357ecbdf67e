"""The reference lists what there is, and nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import BaseCommand, load_command_class
from PIL import Image

from docs.write_pictures import EXAMPLES, PICTURES
from docs.write_reference import written
from imagekit_registry import exceptions, processors, signals
from imagekit_registry.conf import all_settings
from tests.docs._markdown import ROOT

REFERENCE = ROOT / "docs" / "reference"
_PRIVATE = re.compile(r"\._|\.(management|migrations|templatetags)\b")
_EXAMPLES: dict[str, tuple[Any, ...]] = {
    "AddBorder": (5,),
    "BasicCrop": (0, 0, 50, 50),
    "ColorOverlay": ("red",),
    "Convert": ("L",),
    "GaussianBlur": (2,),
    "Posterize": (4,),
    "Rotate": (45,),
    "RoundedCorners": (5,),
    **dict.fromkeys(
        ["Adjust", "AutoContrast", "Grayscale", "Invert", "MakeOpaque", "Reflection", "Transpose"],
        (),
    ),
    **dict.fromkeys(["Detail", "Sharpen", "TrimBorderColor", "UnsharpMask"], ()),
}


def read(page: str) -> str:
    """Return the text of a page of the reference."""
    return (REFERENCE / page).read_text(encoding="utf-8")


def public_modules() -> dict[str, list[str]]:
    """Return the public names of every public module; read, not imported: some need an extra."""
    package = ROOT / "imagekit_registry"
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not _PRIVATE.search(name) and (names := _all_of(path)) is not None:
            found[name] = names
    return dict(sorted(found.items()))


def _all_of(path: Path) -> list[str] | None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


class TestSettings:
    """The page of settings."""

    sections = re.split(r"^### ", read("settings.md"), flags=re.MULTILINE)[1:]

    def test_every_setting_is_there(self) -> None:
        """No setting is missing, and none is left that is gone."""
        documented = [section.split("`")[1] for section in self.sections]
        assert sorted(documented) == sorted(all_settings())

    @pytest.mark.parametrize("section", sections, ids=lambda text: text.split("`")[1])
    def test_the_default_on_the_page_is_the_default_in_the_code(self, section: str) -> None:
        """What the page says of a default is what the code has."""
        setting = all_settings()[section.split("`")[1]]
        default = _literal(section, "Default")
        if isinstance(setting.default, frozenset):
            default = frozenset(default)
        assert default == setting.default
        debug = _literal(section, "Under `DEBUG`") if "Under `DEBUG`" in section else default
        assert debug == setting.debug_default


def _literal(section: str, label: str) -> Any:
    found = re.search(rf"^- {label}: `(.*)`$", section, re.MULTILINE)
    assert found, f"no line {label!r}"
    return ast.literal_eval(found[1])


class TestDocstrings:
    """What the pages show of docstrings."""

    @pytest.mark.parametrize("page", sorted(path.name for path in REFERENCE.glob("*.md")))
    def test_pages_say_what_the_docstrings_say(self, page: str) -> None:
        """If not, `make docs` writes them anew."""
        assert read(page) == written(read(page))

    def test_no_argument_is_left_out(self) -> None:
        """A class has its signature, its arguments with their units, and its example."""
        entry = read("processors.md").split("### `ResizeToFill`")[1].split("<!-- end -->")[0]
        assert "    anchor=None,\n" in entry
        assert "- `width`: In pixels.\n" in entry
        assert ">>> ResizeToFill(300, 200, anchor=Anchor.TOP)" in entry

    def test_a_line_that_goes_on_is_no_argument(self) -> None:
        """A sentence with a colon in it was taken for one."""
        entry = read("fields.md").split("### `ImageSpecField`")[1].split("<!-- end -->")[0]
        assert "\n  the related row then: of all of them" in entry

    def test_every_processor_is_shown_before_and_after(self) -> None:
        """Each has its code and its picture."""
        for name in re.findall(r"^\| `(\w+)` \| ", read("processors.md"), re.MULTILINE):
            assert f"`{EXAMPLES[name][1]}`, before and after:" in read("processors.md")
            with Image.open(PICTURES / f"{name}.webp") as picture:
                assert picture.width > 240


class TestNames:
    """The page of public names."""

    text = read("names.md")

    def test_every_module_is_there(self) -> None:
        """A new public module is announced."""
        assert re.findall(r"^`([\w.]+)`$", self.text, re.MULTILINE) == list(public_modules())

    @pytest.mark.parametrize("module", list(public_modules()))
    def test_every_name_is_there(self, module: str) -> None:
        """`__all__` is sorted, and the page says the same."""
        names = public_modules()[module]
        assert f"`{module}`\n: {', '.join(f'`{name}`' for name in names)}\n" in self.text
        # As ruff sorts it: constants, classes, then the rest.
        kinds = [(0 if n.isupper() else 1 if n[0].isupper() else 2, n) for n in names]
        assert kinds == sorted(kinds)


class TestTables:
    """Tables that repeat what the code says."""

    def test_every_check_is_in_the_table(self) -> None:
        """Every id that the code gives, and no other one, in order."""
        files = (ROOT / "imagekit_registry").rglob("*.py")
        used = {id for file in files for id in re.findall(r"\b[EIW]0\d\d\b", file.read_text())}
        rows = re.findall(r"^\| `imagekit\.(\w+)` \| .+ \|$", read("checks.md"), re.MULTILINE)
        assert rows == sorted(used)

    def test_every_signal_is_in_the_table(self) -> None:
        """Every signal."""
        assert set(re.findall(r"^\| `(\w+)` \|", read("signals.md"), re.MULTILINE)) == set(
            signals.__all__
        )

    def test_every_exception_is_on_the_page(self) -> None:
        """Every name of the module, those that are other names of an exception too."""
        text = read("exceptions.md")
        assert [name for name in exceptions.__all__ if f"`{name}`" not in text] == []

    def test_every_processor_is_in_the_table(self) -> None:
        """Every processor, with what it says of sizes."""
        rows = re.findall(
            r"^\| `(\w+)` \| ([\w ]+) \| (\w+) \|$", read("processors.md"), re.MULTILINE
        )
        others = {"Anchor", "Processor", "ProcessorPipeline", "Side", "SizedProcessor"}
        assert {row[0] for row in rows} == set(processors.__all__) - others
        for name, small, known in rows:
            arguments = _EXAMPLES.get(name, (50, 50))
            assert (name, small, known) == (name, *_sizes(getattr(processors, name)(*arguments)))

    @pytest.mark.parametrize(
        "name",
        sorted(
            path.stem for path in (ROOT / "imagekit_registry/management/commands").glob("[a-z]*.py")
        ),
    )
    def test_every_command_is_there_with_its_options(self, name: str) -> None:
        """Every command, with each of its own options."""
        section = read("commands.md").split(f"## `{name}`")[1].split("\n## ")[0]
        documented = set(re.findall(r"^\| `(--[\w-]+)", section, re.MULTILINE))
        parser = load_command_class("imagekit_registry", name).create_parser("manage.py", name)
        common = BaseCommand().create_parser("manage.py", name)
        own = _options(parser) - _options(common)
        assert documented == own


def _sizes(processor: Any) -> tuple[str, str]:
    size = (640, 480)
    required = processor.required_size(size) if hasattr(processor, "required_size") else None
    small = "passes on" if processor.scale_invariant else "yes" if required else "no"
    if not hasattr(processor, "output_size"):
        return small, "no"
    return small, "yes" if processor.output_size(size) else "sometimes"


def _options(parser: Any) -> set[str]:
    return {
        option
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--")
    }
