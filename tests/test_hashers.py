"""The digest under its old name."""

from __future__ import annotations

import pytest

from imagekit_registry.exceptions import NotCanonical
from imagekit_registry.hashers import pickle


def test_the_old_hasher_gives_one_digest_for_what_is_equal() -> None:
    """In whatever order a dict or a set has it."""
    one, other = pickle({"a": {1, 2}, "b": [3]}), pickle({"b": [3], "a": {2, 1}})
    assert one == other != pickle({"a": {1, 2}, "b": [4]})
    assert len(one) == 32


def test_the_old_hasher_pickles_nothing() -> None:
    """An object that says how it is pickled is not asked."""

    class Trap:
        def __reduce__(self) -> str:
            raise AssertionError("it was pickled")

    with pytest.raises(NotCanonical):
        pickle(Trap())
