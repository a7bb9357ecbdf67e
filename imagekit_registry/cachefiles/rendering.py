"""From the generators of files of one source to their content, and to errors of ours; and what is told of both."""

from __future__ import annotations

import copy
import logging
import posixpath
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import IO, TypedDict, cast

import attrs
from django.dispatch import Signal

from imagekit_registry import imaging
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.exceptions import (
    EncodingError,
    GenerationError,
    ImageKitError,
    LimitExceeded,
    MissingSource,
    ProcessingError,
    SourceUnavailable,
    UnknownFormat,
    UnreadableImage,
    answer_or,
)
from imagekit_registry.imaging.formats import (
    AUTO,
    AUTO_FORMATS,
    format_to_extension,
    suggest_extension,
)
from imagekit_registry.imaging.placeholders import Placeholder
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.signals import generated, generation_failed
from imagekit_registry.specs import (
    BaseImageSpec,
    ImageSpec,
    default_limits,
    fingerprint,
    format_options,
    generate_together,
    reading,
)
from imagekit_registry.state import CacheFileRecord, Status, current_scope

__all__ = [
    "explained",
    "log_failure",
    "name_for",
    "placeholder_of",
    "properties_of",
    "render",
    "report_failure",
    "report_made",
    "source_key",
]

_logger = logging.getLogger("imagekit_registry.cachefiles")
_made = logging.getLogger("imagekit_registry.made")
if not _made.level:
    # A project that logs all that is INFO did not ask for a line for each image; it names this logger.
    _made.setLevel(logging.WARNING)

#: More pixels to a side than a placeholder is made of.
_SMALL = 256
#: Failures of a source, whatever is to be made of it.
_OF_SOURCE = (LimitExceeded, SourceUnavailable, UnreadableImage)


def source_key(file: CacheFile) -> Hashable:
    """Return what is equal for files that can be made of one decode."""
    spec = file.spec
    return (file.identity.source, spec.limits) if _shares_decode(file) else id(file)


def _shares_decode(file: CacheFile) -> bool:
    spec = file.spec
    is_plain = isinstance(spec, ImageSpec) and type(spec).generate is ImageSpec.generate
    return is_plain and bool(file.identity.source)


def render(files: Sequence[CacheFile]) -> tuple[list[IO[bytes] | ImageKitError], str]:
    """Return an image or an error for each of *files*, which are of one source.

    Returns:
        These, and the fingerprint that the source had when it was read, or before.
    """
    source = files[0].spec.source
    if not all(map(_shares_decode, files)):
        # They open it in their own ways, or one after the other.
        seen = fingerprint(source)
        return [_render_one(file) for file in files], seen
    with reading(source) as seen:
        try:
            specs = [cast("ImageSpec", file.spec) for file in files]
            return list(generate_together(specs)), seen
        except (GenerationError, MissingSource) as error:
            return [_copy_for(file, error) for file in files], seen
        except Exception as error:  # noqa: BLE001 -- specs and processors are the project's code
            if len(files) == 1:
                return [explained(error, files[0])], seen
    # One of the specs is at fault, and must not take the others with it.
    return [_render_one(file) for file in files], seen


def _render_one(file: CacheFile) -> IO[bytes] | ImageKitError:
    try:
        content = file.spec.generate()
    except Exception as error:  # noqa: BLE001 -- generators are the project's code
        return explained(error, file)
    if hasattr(content, "read"):
        return content
    return ProcessingError(
        f"the generator returned a {type(content).__name__}, not an open file",
        hint="Let its generate() return a binary file at its start.",
    ).located(file.identity.spec_id, file.identity.source_name)


def _copy_for(file: CacheFile, error: ImageKitError) -> ImageKitError:
    """Return *error*, which kept a whole source from being read, as that of one file."""
    own = copy.copy(error)
    own.__cause__ = error.__cause__
    if isinstance(own, GenerationError):
        own.spec_id = file.identity.spec_id
    return own


def explained(error: Exception, file: CacheFile | None) -> ImageKitError:
    """Return *error* as one of ours, which names the spec, the source and the cause.

    Args:
        error: What was raised.
        file: The file; None if it could not even be built.
    """
    if isinstance(error, GenerationError):
        wrapped = error
    elif isinstance(error, UnknownFormat):
        wrapped = EncodingError(str(error))
    elif isinstance(error, ImageKitError):
        return error
    else:
        wrapped = ProcessingError(f"the generator raised {type(error).__name__}: {error}")
    if wrapped is not error:
        wrapped.__cause__ = error
    if file is None:
        return wrapped
    # A lazy file may be the one that cannot be built.
    spec_id, source_name = answer_or((None, None), _place_of, file)
    return wrapped.located(spec_id, source_name)


def _place_of(file: CacheFile) -> tuple[str | None, str | None]:
    return file.spec.describe(), file.spec.source_name


def log_failure(error: GenerationError, level: int = logging.WARNING, failures: int = 1) -> None:
    """Log *error*, unless the log has it, or the same of this source in this request or scope.

    Who makes an image and who shows it would both tell; and what is wrong with a source, each image
    of it.

    Args:
        error: What was raised.
        level: The level of the line.
        failures: How many tries in a row have failed: a line tells of the first, and whenever the
            number has doubled.
    """
    scope = current_scope()
    spec_id = None if isinstance(error, _OF_SOURCE) else error.spec_id
    what = (error.source, spec_id, error.cause)
    is_known = error.is_logged or (scope is not None and what in scope.logged)
    is_between = failures & (failures - 1)
    times = f" It has failed {failures:,} times." if failures > 1 else ""
    _logger.log(logging.DEBUG if is_known or is_between else level, "%s%s", error, times)
    error.is_logged = True
    if scope is not None:
        scope.logged.add(what)


def name_for(file: CacheFile, content: IO[bytes]) -> str:
    """Return the name for the content of *file*; a generator may make no image."""
    if isinstance(content, imaging.Encoded):
        return name_with(file, content.format)
    return file.identity.name


def name_with(file: CacheFile, format: str) -> str:
    """Return the name of *file* in a format: its own, whose extension says the format.

    What is in a picture shows only now: what the formats ``"auto"`` and ``"smallest"`` have chosen
    may have another.
    """
    name, *others = file.identity.names
    root = posixpath.splitext(name)[0]
    if others:
        return root + suggest_extension(name, format)
    is_chosen = (file.spec.format or "").upper() == AUTO
    if not is_chosen or format == AUTO_FORMATS[0]:
        return name
    return root + format_to_extension(format)


class _Properties(TypedDict, total=False):
    width: int | None
    height: int | None
    format: str
    placeholder: str
    quality: int | None
    tries: int | None


def properties_of(content: IO[bytes], spec: BaseImageSpec) -> _Properties:
    """Return what is to be known of an image: its own word for it, else what is read in it."""
    if isinstance(content, imaging.Encoded):
        return {
            "width": content.width,
            "height": content.height,
            "format": content.format,
            "placeholder": content.placeholder,
            "quality": content.quality,
            "tries": content.tries,
        }
    content.seek(0)
    try:
        header = imaging.read_header(content, default_limits())
    except GenerationError:
        # A generator may make no image.
        return {}
    found: _Properties = {
        "width": header.width,
        "height": header.height,
        "format": header.format,
        "placeholder": placeholder_of(spec, content),
    }
    return found


def is_complete(file: CacheFile, record: CacheFileRecord) -> bool:
    """Return whether the record of a file that exists says what is known of one that was just made."""
    made = Placeholder.decode(record.placeholder).values
    return record.size is not None and file.spec.placeholder_makers().keys() <= made.keys()


def completed(file: CacheFile, record: CacheFileRecord) -> CacheFileRecord:
    """Return *record* with what it lacks of a file that exists, read from it: its maker was killed, say.

    Raises:
        Exception: Whatever the storage raises; a `GenerationError` if the image cannot be read.
    """
    if record.status != Status.EXISTS or is_complete(file, record):
        return record
    with file.storage.open(record.published_name or record.name, "rb") as content:
        return attrs.evolve(record, size=content.size, **properties_of(content, file.spec))


def placeholder_of(spec: BaseImageSpec, content: IO[bytes]) -> str:
    """Return the placeholders of a finished image, read from its file, as a record has them.

    Raises:
        GenerationError: It cannot be read.
    """
    makers = spec.placeholder_makers()
    if not makers:
        return ""
    recipe = imaging.Recipe(
        processors=(ResizeToFit(_SMALL, _SMALL, upscale=False),),
        format="WEBP",
        animated=False,
        placeholder=makers,
    )
    made = imaging.render(content, recipe, limits=default_limits(), format_options=format_options())
    return made.placeholder


def report_made(file: CacheFile, record: CacheFileRecord, seconds: float) -> Callable[[], object]:
    """Log that *file* was made.

    Args:
        file: The file.
        record: What is known of it now.
        seconds: How long the files of its source have taken until it was there.

    Returns:
        What sends the signal: for when the record is remembered, so that a receiver may ask the
        file for its URL.
    """
    identity, name = file.identity, record.published_name or record.name
    _made.info(
        "%s of %r: %s of %s x %s pixels, %s bytes, in %.3f s, as %s",
        identity.spec_id,
        identity.source_name,
        record.format or "a file",
        record.width,
        record.height,
        record.size,
        seconds,
        name,
    )
    return _signal(generated, file, seconds, bytes=record.size, name=name)


def report_failure(
    file: CacheFile, error: GenerationError, seconds: float, failures: int = 1
) -> Callable[[], object]:
    """Log that *file* could not be made.

    Args:
        file: The file.
        error: Why.
        seconds: How long the files of its source have taken.
        failures: How many tries in a row have failed.

    Returns:
        What sends the signal, as above.
    """
    log_failure(error, failures=failures)
    return _signal(generation_failed, file, seconds, cause=error.cause, error=error)


def _signal(
    signal: Signal, file: CacheFile, seconds: float, **more: object
) -> Callable[[], object]:
    return partial(
        signal.send_robust,
        sender=type(file.generator),
        file=file,
        spec_id=file.identity.spec_id,
        source=file.identity.source_name,
        seconds=seconds,
        **more,
    )
