"""Signed URLs of Amazon CloudFront; needs the extra ``cloudfront``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

import attrs
from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from imagekit_registry.cachefiles.urls import Prefix
from imagekit_registry.exceptions import InvalidConfiguration

__all__ = ["CloudFrontSigned"]


def _load_key(pem: str | bytes) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode() if isinstance(pem, str) else pem, password=None)
    except ValueError as error:
        raise InvalidConfiguration(f"The key of CloudFront is no private key: {error}") from error
    if not isinstance(key, RSAPrivateKey):
        raise InvalidConfiguration("The key of CloudFront must be an RSA key.")
    return key


@attrs.frozen(eq=False)
class CloudFrontSigned:
    """Gives signed URLs of a CloudFront distribution; all processes give the same for some time.

    Args:
        prefix: What they begin with: the address of the distribution.
        key_id: The id of the public key.
        private_key: The private key, as PEM.
        seconds: For how long a URL is good, at least.
        bucket: For how long the same URL is given, in seconds.

    Raises:
        InvalidConfiguration: The key cannot be read.

    Example:
        >>> CloudFrontSigned("https://d1.cloudfront.net/", "K2JCJMDEHXQW5F", "-----BEGIN ...")
        Traceback (most recent call last):
        imagekit_registry.exceptions.InvalidConfiguration: The key of CloudFront is no private key: ...
    """

    prefix: Prefix = attrs.field(converter=Prefix)
    key_id: str
    private_key: RSAPrivateKey = attrs.field(converter=_load_key, repr=False)
    seconds: int = 3600
    bucket: int = attrs.field(default=900, validator=attrs.validators.ge(1))
    _signed: Any = attrs.field(init=False, repr=False)

    @_signed.default
    def _remember_signed(self) -> Any:
        # A signature takes a millisecond.
        return lru_cache(maxsize=10_000)(self._sign)

    def url(self, file: object, name: str) -> str:
        """Return the URL of the file of a name, with its signature."""
        ends_at = (int(time.time()) // self.bucket + 1) * self.bucket + self.seconds
        url: str = self._signed(self.prefix.url(file, name), ends_at)
        return url

    def _sign(self, url: str, ends_at: int) -> str:
        sha1 = SHA1()  # noqa: S303 -- CloudFront takes no other
        sign = partial(self.private_key.sign, padding=PKCS1v15(), algorithm=sha1)
        until = datetime.fromtimestamp(ends_at, UTC)
        signer = CloudFrontSigner(self.key_id, sign)
        signed: str = signer.generate_presigned_url(url, date_less_than=until)
        return signed
