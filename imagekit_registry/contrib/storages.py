"""Storages of django-storages: sources by one request, and what is told of files that are uploaded."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import IO, Any
from weakref import WeakKeyDictionary

import attrs

from imagekit_registry.specs import SourceReader

__all__ = ["S3Reader", "reader_of", "with_headers"]

#: Parameters without which S3 does not give an object; who has them reads in the storage's own way.
_OF_READERS = frozenset(
    ["ExpectedBucketOwner", "RequestPayer", "SSECustomerAlgorithm", "SSECustomerKey", "VersionId"]
)


#: What storages that never overwrite call the option to do so.
_OVERWRITES = ("file_overwrite", "overwrite_files")
#: Copies of storages that are set otherwise, by that.
_twins: WeakKeyDictionary[object, dict[frozenset[tuple[str, object]], object]] = WeakKeyDictionary()


def _has(storage: object, *names: str) -> bool:
    """Return whether the class of *storage* has these names; also if it is Django's lazy default."""
    return all(hasattr(storage.__class__, name) for name in names)


def _is_s3(storage: object) -> bool:
    """Return whether *storage* is one of django-storages for S3, or like it."""
    return _has(storage, "connection", "get_object_parameters", "_normalize_name")


def with_headers(
    storage: Any, headers: Mapping[str, str], media_type: str, *, is_free: bool = False
) -> Any:
    """Return a storage like *storage* that sends *headers* with the files that are saved to it.

    Args:
        storage: Any storage. Those of django-storages for S3, Google and Azure can send headers;
            another one is returned as it is.
        headers: By S3's names, such as ``"CacheControl"``.
        media_type: What the file is. Google's storage is told so as well; others ask the file.
        is_free: Whether the storage was just found to have no file of the name: one that never
            overwrites then asks no second time.
    """
    if not _has(storage, "get_object_parameters"):
        return storage
    names_of_s3 = _is_s3(storage)
    parameters = dict(headers)
    if not names_of_s3:
        parameters = {_in_words(name): value for name, value in headers.items()}
        if media_type:
            parameters.setdefault("content_type", media_type)
    careful = [name for name in _OVERWRITES if is_free and not getattr(storage, name, True)]
    if not parameters and not careful:
        return storage
    twins = _twins.setdefault(storage, {})
    key = frozenset([*parameters.items(), *((name, True) for name in careful)])
    if key not in twins:
        twin = copy.copy(storage)
        twin.object_parameters = {**storage.object_parameters, **parameters}
        for name in careful:
            setattr(twin, name, True)
        twins[key] = twin
    return twins[key]


def _in_words(name: str) -> str:
    """Return a name of S3's as Google and Azure have it: ``CacheControl`` as ``cache_control``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def reader_of(storage: Any) -> SourceReader | None:
    """Return what reads sources in *storage* by one request each; None: the storage does, as it does.

    Args:
        storage: Any storage. That of django-storages for S3 has a reader, unless its objects are
            compressed, or encrypted with a key of the caller's.
    """
    if (
        not _is_s3(storage)
        or storage.gzip
        or _OF_READERS & storage.get_object_parameters("").keys()
    ):
        return None
    return S3Reader(storage)


@attrs.frozen
class S3Reader:
    """Reads objects from S3: content and ETag by one GET, where ``storage.open`` takes two HEADs more.

    Args:
        storage: An ``S3Storage`` of django-storages.
    """

    storage: Any

    def open(self, name: str) -> tuple[IO[bytes], str]:
        """Return the content of an object, as it comes, and its ETag.

        Raises:
            FileNotFoundError: There is no such object.
        """
        answer = self._ask("get_object", name)
        return answer["Body"], answer["ETag"]

    def fingerprint(self, name: str) -> str:
        """Return the ETag of an object.

        Raises:
            FileNotFoundError: There is no such object.
        """
        etag: str = self._ask("head_object", name)["ETag"]
        return etag

    def _ask(self, operation: str, name: str) -> Any:
        client = self.storage.connection.meta.client
        key = self.storage._normalize_name(name)
        try:
            return getattr(client, operation)(Bucket=self.storage.bucket_name, Key=key)
        except client.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise FileNotFoundError(f"There is no object {name!r}") from error
            raise
