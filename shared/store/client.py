"""The connection to an S3 server, and its errors as errors of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.core.errors.infrastructure import ObjectMissing, StoreFull, StoreUnavailable
from shared.core.settings import Settings, is_loopback

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

# What servers say when the disk is full: S3 Express and MinIO; SeaweedFS says InternalError and this.
_FULL_CODES = {"InsufficientStorage", "XMinioStorageFull", "507"}
_FULL_WORDS = ("no space left", "no free volumes", "no writable volumes", "not enough space")

_MISSING_CODES = {"NoSuchKey", "404"}


def connected(settings: Settings, endpoint: str, read_timeout_s: float, tries: int) -> S3Client:
    """A client of the store.

    Args:
        settings: region and credentials.
        endpoint: the address to connect to, and to sign requests for.
        read_timeout_s: seconds without a byte after which a request has failed.
        tries: how often each request is tried.
    """
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        config=Config(
            connect_timeout=5,
            read_timeout=read_timeout_s,
            # Resets, time-outs, throttling and 5xx, with exponential back-off and full jitter.
            retries={"mode": "standard", "total_max_attempts": tries},
            max_pool_connections=32,
            s3={
                "addressing_style": "path",
                # Nothing can change a body on the loopback, and its SHA-256 took 1 ms a megabyte.
                "payload_signing_enabled": not is_loopback(urlsplit(endpoint).hostname or ""),
            },
            # The default (a CRC trailer in aws-chunked encoding) is not understood by every S3 server.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


@contextmanager
def translated(endpoint: str) -> Iterator[None]:
    """Raise errors of the server inside as errors of ours.

    Args:
        endpoint: the store's address, for the error.

    Raises:
        StoreFull: it has no room left.
        ObjectMissing: it does not have the object.
        StoreUnavailable: anything else.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"].get("Code", "") if isinstance(error, ClientError) else ""
        if code in _FULL_CODES or any(words in str(error).lower() for words in _FULL_WORDS):
            raise StoreFull from error
        if code in _MISSING_CODES:
            raise ObjectMissing(endpoint=endpoint) from error
        raise StoreUnavailable(endpoint=endpoint, reason=error) from error
