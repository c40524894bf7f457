"""The object store: S3 through boto3, whatever server answers.

Keys: `jobs/<job key>/uploads/<uuid>` as sent, `jobs/<job key>/shards/<uuid>.tar` as unpacked. No name
from outside is ever part of a key.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.core.errors.infrastructure import ObjectMissing, StoreBrokeOff, StoreFull, StoreUnavailable
from shared.core.retries import again
from shared.core.settings import Settings, is_loopback

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, ObjectIdentifierTypeDef, ObjectTypeDef

# What servers say when the disk is full: S3 Express and MinIO; SeaweedFS says InternalError and this.
_FULL_CODES = {"InsufficientStorage", "XMinioStorageFull", "507"}
_FULL_WORDS = ("no space left", "no free volumes", "no writable volumes", "not enough space")

_MISSING_CODES = {"NoSuchKey", "404"}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Where bytes lie: key and bucket are one value, so that none is looked for in the other's place.

    bucket: None for our own.
    """

    key: str
    bucket: str | None = None


def _stored(place: str | StoredObject) -> StoredObject:
    return place if isinstance(place, StoredObject) else StoredObject(place)


class Storage:
    """One bucket of ours, and reading from others; a key alone is one of ours.

    Every error of the server becomes `StoreUnavailable` or `StoreFull`.
    """

    def __init__(self, settings: Settings, *, read_timeout_s: float = 60.0, tries: int = 5) -> None:
        """read_timeout_s: seconds without a byte until a request has failed; tries: of each request."""
        self.endpoint = settings.s3_endpoint
        self.bucket = settings.s3_bucket
        self.part_bytes = settings.part_bytes
        self._settings = settings
        self._read_timeout_s = read_timeout_s
        self._tries = tries
        self._client = self._connect(settings.s3_endpoint)

    def _connect(self, endpoint: str) -> S3Client:
        settings = self._settings
        return boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=settings.s3_region,
            aws_access_key_id=settings.s3_access_key,
            aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
            config=Config(
                connect_timeout=5,
                read_timeout=self._read_timeout_s,
                # Resets, time-outs, throttling and 5xx, with exponential back-off and full jitter.
                retries={"mode": "standard", "total_max_attempts": self._tries},
                max_pool_connections=32,
                s3={
                    "addressing_style": "path",
                    # On loopback nobody is between: a SHA-256 of each body took 1 ms a megabyte.
                    "payload_signing_enabled": not is_loopback(urlsplit(endpoint).hostname or ""),
                },
                # The default (a CRC trailer in aws-chunked encoding) is not understood by every S3 server.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            code = error.response["Error"].get("Code", "") if isinstance(error, ClientError) else ""
            if code in _FULL_CODES or any(words in str(error).lower() for words in _FULL_WORDS):
                raise StoreFull from error
            if code in _MISSING_CODES:
                raise ObjectMissing(endpoint=self.endpoint) from error
            raise StoreUnavailable(endpoint=self.endpoint, reason=error) from error

    def ensure_bucket(self) -> bool:
        """Make the bucket if it is not there; true once it is."""
        with self._translated():
            try:
                self._client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                    raise
                self._client.create_bucket(Bucket=self.bucket)
        return True

    def answers(self) -> bool:
        """Whether the bucket can be reached."""
        try:
            self._client.head_bucket(Bucket=self.bucket)
        except (ClientError, BotoCoreError):
            return False
        return True

    def put(self, key: str, body: bytes | bytearray) -> None:
        """Write one object whole."""
        with self._translated():
            # boto3 takes both; its stubs know of one.
            self._client.put_object(Bucket=self.bucket, Key=key, Body=cast("bytes", body))

    def get(self, key: str) -> bytes:
        """Read one object whole; for shards, which are bounded."""
        return self._body(Bucket=self.bucket, Key=key)

    def get_range(self, place: str | StoredObject, start: int, length: int) -> bytes:
        """Bytes [start, start + length) of an object."""
        if length <= 0:
            return b""
        wanted = f"bytes={start}-{start + length - 1}"
        return self._body(**self._named(place), Range=wanted)

    def _body(self, **request: Any) -> bytes:
        """An answer's body, read again where it breaks off: it is checked against its announced length."""

        def once() -> bytes:
            with self._translated():
                found = self._client.get_object(**request)
            try:
                return found["Body"].read()
            except BotoCoreError as error:
                raise StoreBrokeOff(endpoint=self.endpoint) from error

        return again(once, (StoreBrokeOff,), self._read_timeout_s)

    def _named(self, place: str | StoredObject) -> dict[str, str]:
        stored = _stored(place)
        return {"Bucket": stored.bucket or self.bucket, "Key": stored.key}

    def size(self, place: str | StoredObject) -> int | None:
        """Bytes of an object; None when there is none."""
        with self._translated():
            try:
                stored = _stored(place)
                found = self._client.head_object(Bucket=stored.bucket or self.bucket, Key=stored.key)
                return found["ContentLength"]
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return None
                raise

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        with self._translated():
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def older_than(self, prefix: str, age_s: float) -> Iterator[list[str]]:
        """Keys under `prefix` that are older than `age_s` seconds by the store's dates, in lists."""
        before = datetime.now(UTC) - timedelta(seconds=age_s)
        with self._translated():
            for page in self._pages(prefix):
                yield [item["Key"] for item in page if item["LastModified"] < before]

    def delete_prefix(self, prefix: str) -> None:
        """Remove every object under `prefix`, and every upload in parts that has not ended."""
        with self._translated():
            for page in self._pages(prefix):
                doomed: list[ObjectIdentifierTypeDef] = [{"Key": item["Key"]} for item in page]
                self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": doomed, "Quiet": True})
        self.abort_parts_older_than(prefix, 0.0)

    def _pages(self, prefix: str) -> Iterator[list[ObjectTypeDef]]:
        paginator = self._client.get_paginator("list_objects_v2")
        for page in paginator.paginate(Bucket=self.bucket, Prefix=prefix):
            if found := page.get("Contents"):
                yield found

    def abort_parts_older_than(self, prefix: str, age_s: float) -> int:
        """Forget uploads in parts under `prefix` that began over `age_s` seconds ago; returns how many."""
        before = datetime.now(UTC) - timedelta(seconds=age_s)
        count = 0
        with self._translated():
            paginator = self._client.get_paginator("list_multipart_uploads")
            for page in paginator.paginate(Bucket=self.bucket, Prefix=prefix):
                for begun in page.get("Uploads", []):
                    if begun["Initiated"] <= before or age_s == 0:
                        self.abort_parts(begun["Key"], begun["UploadId"])
                        count += 1
        return count

    def abort_parts(self, key: str, upload_id: str) -> None:
        """Forget an upload in parts; one that is not there any more is no error."""
        with self._translated():
            try:
                self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                    raise

    def begin_parts(self, key: str) -> str:
        """Begin an object in parts; returns the store's name for it."""
        with self._translated():
            return self._client.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]

    def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> str:
        """Write part `number` (from 1) and return its tag; all but the highest need 5 MiB or more."""
        with self._translated():
            return self._client.upload_part(
                Bucket=self.bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body
            )["ETag"]

    def complete_parts(self, key: str, upload_id: str, tags: Mapping[int, str], size: int) -> None:
        """Make the object of `size` bytes appear, its parts by their numbers. A second call is no error."""
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": tag} for number, tag in sorted(tags.items())
        ]
        with self._translated():
            try:
                self._client.complete_multipart_upload(
                    Bucket=self.bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
                )
            except ClientError as error:
                if error.response["Error"].get("Code") != "NoSuchUpload" or self.size(key) != size:
                    raise

    def open(
        self,
        place: str | StoredObject,
        start: int,
        length: int,
        on_read: Callable[[int], None] | None = None,
    ) -> io.BufferedReader:
        """A seekable file over a range of an object, read in blocks of `part_bytes`.

        `on_read(bytes)` is called after each block that came from the store.
        """

        def read(position: int, count: int) -> bytes:
            block = self.get_range(place, start + position, count)
            if on_read is not None:
                on_read(len(block))
            return block

        return io.BufferedReader(_RangedReader(read, length), buffer_size=self.part_bytes)

    def objects(self, bucket: str, prefix: str, most: int) -> list[tuple[str, int]]:
        """Key and size of up to `most` objects with bytes in another bucket, sorted."""
        found: list[tuple[str, int]] = []
        with self._translated():
            paginator = self._client.get_paginator("list_objects_v2")
            for page in paginator.paginate(Bucket=bucket, Prefix=prefix):
                found += [(item["Key"], item["Size"]) for item in page.get("Contents", []) if item["Size"]]
                if len(found) > most:
                    break
        return sorted(found[:most])

    def presigned_post(self, key: str, most_bytes: int, expires_s: int, public_url: str) -> dict[str, object]:
        """Address and form fields with which a browser or curl sends one object straight to the store."""
        client = self._connect(public_url)
        conditions: list[Any] = [["content-length-range", 1, most_bytes]]
        return dict(
            client.generate_presigned_post(self.bucket, key, Conditions=conditions, ExpiresIn=expires_s)
        )


class _RangedReader(io.RawIOBase):
    """The raw side of `Storage.open`: each `readinto` is one ranged GET."""

    def __init__(self, read: Callable[[int, int], bytes], length: int) -> None:
        self._read = read
        self._length = length
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._length - self._position)
        if wanted <= 0:
            return 0
        block = self._read(self._position, wanted)
        view[: len(block)] = block
        self._position += len(block)
        return len(block)


def job_prefix(job_key: str) -> str:
    """Everything of one job lies under it."""
    return f"jobs/{job_key}/"


def upload_key(job_key: str) -> str:
    """A fresh key for an upload."""
    return f"{job_prefix(job_key)}uploads/{uuid.uuid4().hex}"


def shard_key(job_key: str) -> str:
    """A fresh key for a shard."""
    return f"{job_prefix(job_key)}shards/{uuid.uuid4().hex}.tar"
