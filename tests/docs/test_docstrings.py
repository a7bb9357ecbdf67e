"""The examples in the package's docstrings give what they say."""

from __future__ import annotations

import pytest

from tests.docs._markdown import ROOT
from tests.docs.conftest import Run

_PACKAGE = ROOT / "imagekit_registry"
_MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(_PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", _MODULES)
def test_docstrings_hold_true_examples(name: str, run_examples: Run) -> None:
    """What follows a prompt in a docstring is what one sees there."""
    if name == "imagekit_registry.jinja2":
        pytest.importorskip("jinja2")
    result = run_examples("docstrings", name)
    assert not result["problems"], "\n".join(result["problems"])
    assert result["ran"], "the prompts are not in docstrings"
