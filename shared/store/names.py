"""The names of stored objects: a bucket and a key.

Keys are `jobs/<job key>/uploads/<uuid>` for uploads as they were sent, and `jobs/<job key>/shards/<uuid>.tar`
for what was unpacked of them. No name from outside is ever part of a key.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Where an object lies: key and bucket are one value, so that none is looked for in the other's place.

    Attributes:
        key: its name within the bucket.
        bucket: None for our own.
    """

    key: str
    bucket: str | None = None


def job_prefix(job_key: str) -> str:
    """The prefix under which all objects of one job lie."""
    return f"jobs/{job_key}/"


def upload_key(job_key: str) -> str:
    """A new key for an upload of a job."""
    return f"{job_prefix(job_key)}uploads/{uuid.uuid4().hex}"


def shard_key(job_key: str) -> str:
    """A new key for a shard of a job."""
    return f"{job_prefix(job_key)}shards/{uuid.uuid4().hex}.tar"
