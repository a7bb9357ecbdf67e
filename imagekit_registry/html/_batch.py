"""Many tags, one round trip: what they show is filled in when all of them are known."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.utils.functional import SimpleLazyObject
from django.utils.safestring import SafeString

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.existence import fetch
from imagekit_registry.cachefiles.state import records_are_known
from imagekit_registry.html._elements import Markup, attempt, guard
from imagekit_registry.html._resolved import Answers
from imagekit_registry.state import state_scope

__all__ = ["Batch", "LentFile", "active_batch", "batched"]


class Batch:
    """Collects what tags show, leaves a mark in each place, and fills the marks in.

    Only what is known to write a mark into the page as it is may add something: a mark that is
    cached, filtered or counted would be cached, filtered or counted in place of the HTML.
    """

    def __init__(self) -> None:
        # Nobody can guess it: a text that looks like a mark is a text.
        self._token = str(secrets.randbits(64))
        self._waiting: list[Markup] = []
        self._lent: list[ImageCacheFile] = []

    def show(self, plan: Callable[[], Markup]) -> SafeString:
        """Return a mark for what ``plan()`` gives, or its HTML if that costs no round trip."""
        markup = attempt(plan)
        return SafeString("" if markup is None else self.add(markup))

    def add(self, markup: Markup) -> str:
        """Return a mark for *markup*, or its HTML if that costs no round trip."""
        if records_are_known(markup.files):
            return guard(lambda: markup.render(Answers.about(markup.files)))
        self._waiting.append(markup)
        return f"\ue000{self._token}:{len(self._waiting) - 1}\ue001"

    def lend(self, file: ImageCacheFile) -> ImageCacheFile | LentFile:
        """Return *file* for a variable; when it is used, the state of all files is fetched."""
        if records_are_known([file]):
            return file
        self._lent.append(file)
        return LentFile(file, self)

    def fetch(self) -> None:
        """Fetch the state of all files that the batch knows of by now, in one round trip."""
        lent, self._lent = self._lent, []
        fetch([*lent, *(file for markup in self._waiting for file in markup.files)])

    def fill(self, text: str) -> str:
        """Return *text* with the marks filled in, after one round trip for all of them."""
        if not self._waiting:
            return text
        answers = Answers.about([file for markup in self._waiting for file in markup.files])
        pattern = re.compile(f"\ue000{self._token}:(\\d+)\ue001")
        return pattern.sub(
            lambda found: guard(lambda: self._waiting[int(found[1])].render(answers)), text
        )


class LentFile(SimpleLazyObject):  # type: ignore[type-arg]
    """A cache file in a variable of a batch, whose state may not have been fetched yet."""

    def __init__(self, file: ImageCacheFile, batch: Batch) -> None:
        def hand_out() -> ImageCacheFile:
            batch.fetch()
            return file

        super().__init__(hand_out)
        self.__dict__["_lent_file"] = file


def waiting_file(value: Any) -> ImageCacheFile | None:
    """Return the cache file behind a variable of a batch that nobody has used yet, else None."""
    if type(value) is not LentFile:
        return None
    file: ImageCacheFile = value.__dict__["_lent_file"]
    return None if records_are_known([file]) else file


_active: ContextVar[Batch | None] = ContextVar("imagekit_batch", default=None)


def active_batch() -> Batch | None:
    """Return the batch around what is being rendered, or None."""
    return _active.get()


def batched(render: Callable[[], str]) -> SafeString:
    """Return what ``render()`` gives, with the state of all images in it fetched at once."""
    batch = Batch()
    with state_scope():
        token = _active.set(batch)
        try:
            text = render()
        finally:
            _active.reset(token)
        return SafeString(batch.fill(text))
