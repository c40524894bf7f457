"""The object store: S3 through boto3, whatever server answers."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from shared.core.errors.infrastructure import StoreBrokeOff
from shared.core.retries import again
from shared.core.settings import Settings
from shared.store.client import connected, translated
from shared.store.names import StoredObject
from shared.store.ranged_reader import RangedReader

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, ObjectIdentifierTypeDef, ObjectTypeDef


class Storage:
    """One bucket of our own, and reading from other buckets of the same store.

    Reads take a `StoredObject`. Writes and deletions take the key alone: they never concern another bucket.
    Every error of the server becomes `StoreUnavailable` or `StoreFull`, or one of their kinds.
    """

    def __init__(self, settings: Settings, *, read_timeout_s: float = 60.0, tries: int = 5) -> None:
        """Connect to the store that the settings name.

        Args:
            settings: address, credentials, bucket and sizes.
            read_timeout_s: seconds without a byte after which a request has failed.
            tries: how often each request is tried.
        """
        self.endpoint = settings.s3_endpoint
        self.bucket = settings.s3_bucket
        self.part_bytes = settings.part_bytes
        self._settings = settings
        self._read_timeout_s = read_timeout_s
        self._tries = tries
        self._client = connected(settings, self.endpoint, read_timeout_s, tries)

    def ensure_bucket(self) -> bool:
        """Create the bucket if it does not exist; returns true once it does."""
        with translated(self.endpoint):
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
        """Write an object of our bucket with one request."""
        with translated(self.endpoint):
            # boto3 takes both; its stubs know of one.
            self._client.put_object(Bucket=self.bucket, Key=key, Body=cast("bytes", body))

    def get(self, stored: StoredObject) -> bytes:
        """Read a whole object into memory; for shards, whose size is bounded."""
        return self._body(**self._named(stored))

    def get_range(self, stored: StoredObject, start: int, length: int) -> bytes:
        """Read bytes [start, start + length) of an object."""
        if length <= 0:
            return b""
        wanted = f"bytes={start}-{start + length - 1}"
        return self._body(**self._named(stored), Range=wanted)

    def _body(self, **request: Any) -> bytes:
        """The body of an answer, read again where it breaks off before its announced length."""

        def once() -> bytes:
            with translated(self.endpoint):
                found = self._client.get_object(**request)
            try:
                return found["Body"].read()
            except BotoCoreError as error:
                raise StoreBrokeOff(endpoint=self.endpoint) from error

        return again(once, (StoreBrokeOff,), self._read_timeout_s)

    def _named(self, stored: StoredObject) -> dict[str, str]:
        return {"Bucket": stored.bucket or self.bucket, "Key": stored.key}

    def size(self, stored: StoredObject) -> int | None:
        """The size of an object in bytes; None if it does not exist."""
        with translated(self.endpoint):
            try:
                found = self._client.head_object(Bucket=stored.bucket or self.bucket, Key=stored.key)
                return found["ContentLength"]
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return None
                raise

    def delete(self, key: str) -> None:
        """Remove an object of our bucket; it is no error if it does not exist."""
        with translated(self.endpoint):
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def older_than(self, prefix: str, age_s: float) -> Iterator[list[str]]:
        """Find objects of our bucket by age.

        Args:
            prefix: of their keys.
            age_s: seconds since the store wrote them, by its own clock.

        Yields:
            Their keys, in lists of one request each.
        """
        before = datetime.now(UTC) - timedelta(seconds=age_s)
        with translated(self.endpoint):
            for page in self._pages(prefix):
                yield [item["Key"] for item in page if item["LastModified"] < before]

    def delete_prefix(self, prefix: str) -> None:
        """Remove every object under `prefix`, and every unfinished multipart upload."""
        with translated(self.endpoint):
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
        """Abort unfinished multipart uploads under `prefix`.

        Args:
            prefix: of their keys.
            age_s: seconds since they began.

        Returns:
            How many were aborted.
        """
        before = datetime.now(UTC) - timedelta(seconds=age_s)
        count = 0
        with translated(self.endpoint):
            paginator = self._client.get_paginator("list_multipart_uploads")
            for page in paginator.paginate(Bucket=self.bucket, Prefix=prefix):
                for begun in page.get("Uploads", []):
                    if begun["Initiated"] <= before or age_s == 0:
                        self.abort_parts(begun["Key"], begun["UploadId"])
                        count += 1
        return count

    def abort_parts(self, key: str, upload_id: str) -> None:
        """Abort a multipart upload; it is no error if it does not exist any more."""
        with translated(self.endpoint):
            try:
                self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                    raise

    def begin_parts(self, key: str) -> str:
        """Begin a multipart upload and return the store's id for it."""
        with translated(self.endpoint):
            return self._client.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]

    def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> str:
        """Write one part of a multipart upload.

        Args:
            key: of the object.
            upload_id: from `begin_parts`.
            number: of the part, from 1.
            body: its bytes; all parts but the one with the highest number need 5 MiB or more.

        Returns:
            The part's ETag, for `complete_parts`.
        """
        with translated(self.endpoint):
            return self._client.upload_part(
                Bucket=self.bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body
            )["ETag"]

    def complete_parts(self, key: str, upload_id: str, tags: Mapping[int, str], size: int) -> None:
        """Make the object of a multipart upload appear; a second call is no error.

        Args:
            key: of the object.
            upload_id: from `begin_parts`.
            tags: the ETag of each part by its number.
            size: of the whole object, in bytes.
        """
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": tag} for number, tag in sorted(tags.items())
        ]
        with translated(self.endpoint):
            try:
                self._client.complete_multipart_upload(
                    Bucket=self.bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
                )
            except ClientError as error:
                if (
                    error.response["Error"].get("Code") != "NoSuchUpload"
                    or self.size(StoredObject(key)) != size
                ):
                    raise

    def open(
        self,
        stored: StoredObject,
        start: int,
        length: int,
        on_read: Callable[[int], None] | None = None,
    ) -> io.BufferedReader:
        """Open a range of an object as a seekable file, read in blocks of `part_bytes`.

        Args:
            stored: the object.
            start: the first byte of the range.
            length: bytes of the range.
            on_read: called with the number of bytes after each block that came from the store.
        """

        def read(position: int, count: int) -> bytes:
            block = self.get_range(stored, start + position, count)
            if on_read is not None:
                on_read(len(block))
            return block

        return io.BufferedReader(RangedReader(read, length), buffer_size=self.part_bytes)

    def objects(self, bucket: str, prefix: str, most: int) -> list[tuple[StoredObject, int]]:
        """List the objects under a prefix that have at least one byte.

        Args:
            bucket: any bucket of the store.
            prefix: of their keys.
            most: how many are listed at most.

        Returns:
            The objects, sorted by key, each with its size in bytes.
        """
        found: list[tuple[str, int]] = []
        with translated(self.endpoint):
            paginator = self._client.get_paginator("list_objects_v2")
            for page in paginator.paginate(Bucket=bucket, Prefix=prefix):
                found += [(item["Key"], item["Size"]) for item in page.get("Contents", []) if item["Size"]]
                if len(found) > most:
                    break
        return [(StoredObject(key, bucket), size) for key, size in sorted(found[:most])]

    def presigned_post(self, key: str, most_bytes: int, expires_s: int, public_url: str) -> dict[str, object]:
        """An address and form fields with which a browser or curl sends one object straight to the store.

        Args:
            key: of the object.
            most_bytes: how large it may be.
            expires_s: seconds for which the form is valid.
            public_url: the address under which clients reach the store.
        """
        client = connected(self._settings, public_url, self._read_timeout_s, self._tries)
        conditions: list[Any] = [["content-length-range", 1, most_bytes]]
        return dict(
            client.generate_presigned_post(self.bucket, key, Conditions=conditions, ExpiresIn=expires_s)
        )
