"""When the HTML of tags is written: at once, or by the batch around them, after one round trip."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from itertools import chain
from typing import TypeVar, cast

from django.utils.functional import SimpleLazyObject
from django.utils.safestring import SafeString

from imagekit_registry.cachefiles import ImageCacheFile, generate_many
from imagekit_registry.cachefiles.existence import fetch, known
from imagekit_registry.cachefiles.rendering import source_key
from imagekit_registry.cachefiles.renditions import fetch_possible
from imagekit_registry.cachefiles.state import records_are_known
from imagekit_registry.cachefiles.strategies import makes_when_required
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import (
    GenerationError,
    ImageKitError,
    InvalidArgument,
    InvalidArgumentType,
    MissingSource,
)
from imagekit_registry.html._elements import (
    LookUp,
    Markup,
    build_attributes,
    look_up,
    style_rule,
)
from imagekit_registry.html._picture import ShownPicture
from imagekit_registry.state import Status, images_left, state_scope

_logger = logging.getLogger("imagekit_registry.html")

#: What values from outside can cause: a missing image, a size from a query string.
_INPUT_ERRORS = (InvalidArgument, InvalidArgumentType, MissingSource)
#: A source without a name is read for its name, so that planning can fail as making can.
_PLANNING_ERRORS = (*_INPUT_ERRORS, GenerationError)

T = TypeVar("T")
Render = Callable[[LookUp], str]


def attempt(
    plan: Callable[..., T], *args: object, errors: tuple[type[Exception], ...] = _PLANNING_ERRORS
) -> T | None:
    """Return what ``plan(*args)`` gives, or None if input from outside makes it impossible.

    Args:
        plan: Makes the cache files of a tag, and no images.
        *args: What it takes.
        errors: What such input causes.

    Raises:
        ImageKitError: ``IMAGEKIT_ON_ERROR`` is ``"raise"``, or a programmer erred.
    """
    try:
        return plan(*args)
    except errors as error:
        if isinstance(error, MissingSource) and error.is_empty_field:
            # As a variable in Django's templates: a row may have no image.
            return None
        if conf.ON_ERROR == "raise":
            raise
        _logger.warning("%s", error)
        return None


def _write(render: Render, look: LookUp) -> SafeString:
    # Images that cannot be made have been dealt with by then: a `GenerationError` is to be raised.
    return SafeString(attempt(render, look, errors=_INPUT_ERRORS) or "")


def write_now(markup: Markup, render: Render) -> SafeString:
    """Return the HTML of *markup*, whose missing images are made first, together."""
    if not markup.renditions and len(markup.files) < 2:
        return _write(render, look_up)
    return made_together(markup, partial(_write, render))


def made_together(markup: Markup, use: Callable[[LookUp], T]) -> T:
    """Return what *use* gives, which is called when all images of *markup* are made, or have failed."""
    with state_scope():
        return use(_make_missing([markup]))


def _make_missing(markups: Sequence[Markup]) -> LookUp:
    """Fetch the state of all images, and make or schedule together what is missing.

    That is one round trip; two, if pictures are among them of which only the record of the image says
    how wide it is. Call it in a `state_scope`, which keeps what was read.

    Returns:
        What gives URLs and sizes, and knows what has just failed.
    """
    plain = [file for markup in markups if not markup.renditions for file in markup.files]
    fetch_possible([each for markup in markups for each in markup.renditions], plain)
    files = [file for markup in markups for file in markup.files]
    missing = [file for file in files if _is_to_be_made(file)]
    if len(missing) < 2:
        return look_up
    here = [file for file in missing if not file.cachefile_backend.is_async]
    if len(here) > images_left():
        del here[int(images_left()) :]
    _schedule([file for file in missing if file.cachefile_backend.is_async])
    failures = {failure.file: failure.error for failure in generate_many(here).failures}
    return partial(look_up, failures=failures)


def _schedule(files: Sequence[ImageCacheFile]) -> None:
    """Have *files* made by workers: those of one source by one message, of one decode."""
    groups: dict[object, list[ImageCacheFile]] = {}
    for file in files:
        groups.setdefault((file.cachefile_backend, source_key(file)), []).append(file)
    for group in groups.values():
        # What fails is tried again, by itself, when it is shown.
        with suppress(ImageKitError):
            group[0].cachefile_backend.hand_over(group)


def _is_to_be_made(file: ImageCacheFile) -> bool:
    """Return whether the page would make or schedule *file* at once, since it is missing."""
    backend = file.cachefile_backend
    if not file.name or backend.states is None:
        return False
    if not makes_when_required(file.cachefile_strategy):
        return False
    record = known(file)
    return record is None or record.status not in {Status.EXISTS, Status.FAILED}


class Batch:
    """Collects what tags show, leaves a mark in each place, and fills the marks in.

    Only what is known to write a mark into the page as it is may add something: a mark that is
    cached, filtered or counted would be cached, filtered or counted in place of the HTML.
    """

    def __init__(self) -> None:
        # Nobody can guess it: a text that looks like a mark is a text.
        self._token = str(secrets.randbits(64))
        self._waiting: list[tuple[Markup, Render]] = []
        # By the ids of the objects that stand for them, which are kept, so that these stay theirs.
        self._lent: dict[int, tuple[object, ImageCacheFile]] = {}
        #: The CSS rules of what is shown, each once, in their order.
        self.rules: dict[str, None] = {}

    def add(self, markup: Markup, render: Render) -> SafeString:
        """Return a mark for what *render* gives, or its HTML if nothing of it is to be fetched."""
        # In which sizes a picture is offered has to be fetched as well.
        if not markup.renditions and records_are_known(markup.files):
            return write_now(markup, render)
        self._waiting.append((markup, render))
        return SafeString(f"\ue000{self._token}:{len(self._waiting) - 1}\ue001")

    def lend(self, file: T) -> T:
        """Return *file* for a variable; when it is used, the state of all files is fetched.

        What is no cache file is returned as it is: a picture that is known already.
        """
        if not isinstance(file, ImageCacheFile) or records_are_known([file]):
            return file

        def hand_out() -> object:
            lent, self._lent = self._lent.values(), {}
            plain = [markup.files for markup, _ in self._waiting if not markup.renditions]
            fetch([*(other for _, other in lent), *chain(*plain)])
            return file

        lazy = SimpleLazyObject(hand_out)
        self._lent[id(lazy)] = (lazy, file)
        return cast("T", lazy)

    def lent_file(self, value: object) -> ImageCacheFile | None:
        """Return the file that a variable stands for, if nobody has used any yet; else None."""
        return self._lent.get(id(value), (None, None))[1]

    def with_rule(self, markup: Markup, render: Render, look: LookUp) -> str:
        """Return the HTML of *markup*, whose rule this batch writes beside that of all others."""
        html = render(look)
        if html and (rule := style_rule(markup.files)):
            self.rules[rule] = None
        return html

    def style(self, nonce: object) -> str:
        """Return the ``<style>`` element with the rules; nothing if there are none.

        Args:
            nonce: That of the page's Content-Security-Policy, asked for if there are rules; None
                for none.
        """
        if not self.rules:
            return ""
        # Django's is false until it is asked for.
        attributes = build_attributes({"nonce": (nonce is not None and str(nonce)) or None})
        return f"<style{attributes}>{''.join(self.rules)}</style>"

    def fill(self, text: str) -> str:
        """Return *text* with the marks filled in, after one round trip for all of them."""
        if not self._waiting:
            return text
        look = _make_missing([markup for markup, _ in self._waiting])
        pattern = re.compile(f"\ue000{self._token}:(\\d+)\ue001")
        return pattern.sub(lambda found: _write(self._waiting[int(found[1])][1], look), text)


_active: ContextVar[Batch | None] = ContextVar("imagekit_batch", default=None)


def active_batch() -> Batch | None:
    """Return the batch around what is being rendered, or None."""
    return _active.get()


def batched(render: Callable[[], str], nonce: object = None) -> SafeString:
    """Return what ``render()`` gives, with the state of all images in it fetched at once.

    Args:
        render: Gives the text of the block.
        nonce: That of the page's Content-Security-Policy, for a style sheet of placeholders.
    """
    batch = Batch()
    with state_scope():
        token = _active.set(batch)
        try:
            text = render()
        finally:
            _active.reset(token)
        text = batch.fill(text)
        return SafeString(f"{batch.style(nonce)}{text}")


def lend(
    file_of: Callable[..., ImageCacheFile | ShownPicture | None], *args: object, waits: bool = False
) -> ImageCacheFile | ShownPicture | None:
    """Return what ``file_of(*args)`` gives, for a variable; None if input prevents it.

    Args:
        file_of: Makes the cache file, and no image; or says what is shown of a picture.
        *args: What it takes.
        waits: Whether its state may be fetched with that of all in the batch around it.
    """
    file = attempt(file_of, *args)
    batch = _active.get() if waits else None
    # Not by its truth, which would ask for its state.
    return file if batch is None or file is None else batch.lend(file)
