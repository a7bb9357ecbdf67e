"""The steps in which images are made, for who measures them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

#: Tells of an error that ends a part of a step, and is not raised.
Note = Callable[[Exception], None]


class StepObserver(Protocol):
    """**Protocol:** measures the steps in which images are made.

    Called at the beginning of each step, by any thread, several at a time; what it returns is
    entered, and left at the end, with the exception if one ends the step. None may be raised by it.
    The steps are ``"generate"`` (all files of one source: attributes ``specs`` and ``source``), and
    within it ``"decode"``, ``"encode"`` (``format``, ``width``, ``height``) and ``"save"``.

    Example:
        >>> def observer(name, attributes):
        ...     print(name)
        ...     return nullcontext(lambda error: None)
    """

    def __call__(self, name: str, attributes: Mapping[str, object]) -> AbstractContextManager[Note]:
        """Return what the step is done in, which gives what is told of errors."""
        ...


class _Steps:
    observer: StepObserver | None = None


_UNOBSERVED: AbstractContextManager[Note] = nullcontext(lambda error: None)


def observe_steps(observer: StepObserver | None) -> None:
    """Have all steps measured by *observer* from now on, in this process; None: by nobody."""
    _Steps.observer = observer


def step(name: str, **attributes: object) -> AbstractContextManager[Note]:
    """Return what the step called *name* is done in."""
    return _Steps.observer(name, attributes) if _Steps.observer is not None else _UNOBSERVED
