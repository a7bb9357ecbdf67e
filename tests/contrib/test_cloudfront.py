"""Signed URLs of Amazon CloudFront."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("botocore", reason="botocore is not installed")

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as elliptic_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.contrib.cloudfront import CloudFrontSigned
from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.processors import ResizeToFit


def pem_of(key: Any) -> bytes:
    """Return a key as a file has it."""
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    """Return a key."""
    return generate_private_key(65537, 2048)


@pytest.fixture
def provider(key: RSAPrivateKey) -> CloudFrontSigned:
    """Return a provider with that key."""
    return CloudFrontSigned("https://d1.cloudfront.net", "KEY", pem_of(key).decode(), seconds=60)


def test_a_url_is_signed_as_cloudfront_checks_it(
    provider: CloudFrontSigned, key: RSAPrivateKey, name: str
) -> None:
    """With the key's public half, over the URL and its end."""
    spec = ImageSpec(name)
    spec.processors, spec.url_provider = [ResizeToFit(50)], provider
    file = ImageCacheFile(spec)
    parts = urlsplit(file.url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    resource = f"https://d1.cloudfront.net/{file.name}"
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == resource
    assert query["Key-Pair-Id"] == "KEY"
    condition = {"DateLessThan": {"AWS:EpochTime": int(query["Expires"])}}
    policy = {"Statement": [{"Resource": resource, "Condition": condition}]}
    written = json.dumps(policy, separators=(",", ":")).encode()
    signature = query["Signature"].translate(str.maketrans("-_~", "+=/"))
    key.public_key().verify(base64.b64decode(signature), written, PKCS1v15(), SHA1())


def test_a_url_is_the_same_for_all_processes_until_its_bucket_ends(
    provider: CloudFrontSigned, key: RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And good for some time after that."""
    now = 1_700_000_000 // 900 * 900
    monkeypatch.setattr("time.time", lambda: now)
    first = provider.url(None, "a.jpg")
    other = CloudFrontSigned("https://d1.cloudfront.net/", "KEY", pem_of(key), seconds=60)
    monkeypatch.setattr("time.time", lambda: now + 899)
    assert other.url(None, "a.jpg") == provider.url(None, "a.jpg") == first
    assert f"Expires={now + 900 + 60}&" in first
    monkeypatch.setattr("time.time", lambda: now + 900)
    assert provider.url(None, "a.jpg") != first


@pytest.mark.parametrize("pem", [b"no key", pem_of(elliptic_key(SECP256R1()))])
def test_what_is_no_key_of_cloudfront_is_refused(pem: bytes) -> None:
    """Before any page is made."""
    with pytest.raises(InvalidConfiguration, match="key of CloudFront"):
        CloudFrontSigned("https://d1.cloudfront.net", "KEY", pem)
