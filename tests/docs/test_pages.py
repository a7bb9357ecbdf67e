"""Every code block of the documentation does what its page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs._markdown import PAGES, Block, blocks_of, missing_need, name_of
from tests.docs.conftest import Run

#: Run from nothing by `test_tutorial.py`.
_TUTORIAL = "docs/tutorial/"
_EXAMPLES = [page for page in PAGES if _TUTORIAL not in name_of(page) and blocks_of(page)]


@pytest.mark.parametrize("page", _EXAMPLES, ids=name_of)
def test_every_example_of_a_page_runs(page: Path, run_examples: Run) -> None:
    """Code, templates, settings and commands of a page run, in their order."""
    result = run_examples("page", name_of(page))
    assert not result["problems"], "\n\n".join(result["problems"])
    shown = [block for block in blocks_of(page) if block.language != "test" and not block.not_run]
    left_out = [block for block in shown if missing_need(block.needs)]
    assert result["ran"] == len(shown) - len(left_out)


def test_examples_that_are_not_run_say_why() -> None:
    """A block is left out for a reason that a reader of the page's source can judge."""
    not_run = [block for block in _all_blocks() if block.not_run]
    assert all(len(block.not_run.split()) > 2 for block in not_run), not_run
    assert len(not_run) < len(_all_blocks()) / 10, [block.where for block in not_run]


def _all_blocks() -> list[Block]:
    return [block for page in PAGES for block in blocks_of(page)]
