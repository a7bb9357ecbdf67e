"""Storages of django-storages: sources by one request, and what is told of files that are uploaded."""

from __future__ import annotations

from typing import IO, Any

import attrs

from imagekit_registry.specs import SourceReader

__all__ = ["S3Reader", "reader_of"]

#: Parameters without which S3 does not give an object; who has them reads in the storage's own way.
_OF_READERS = frozenset(
    ["ExpectedBucketOwner", "RequestPayer", "SSECustomerAlgorithm", "SSECustomerKey", "VersionId"]
)


def _is_s3(storage: Any) -> bool:
    """Return whether *storage* is one of django-storages for S3, or like it."""
    names = ("bucket_name", "connection", "get_object_parameters", "_normalize_name")
    return all(hasattr(type(storage), name) or name in vars(storage) for name in names)


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
