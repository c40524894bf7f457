"""The queue and the store for tests: real servers, each on a port and in a folder of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
import redis
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.stack import programs
from shared.stack.ports import LOOPBACK, remove_store_sockets
from tests.children import free_ports, running_program, temporary_folder, wait_until_ready

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


@dataclass(frozen=True)
class Store:
    """Where a store answers, and with which keys."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str

    @property
    def environment(self) -> dict[str, str]:
        """The same as voxmood's environment variables."""
        return {
            "VOXMOOD_S3_ENDPOINT": self.endpoint,
            "VOXMOOD_S3_ACCESS_KEY": self.access_key,
            "VOXMOOD_S3_SECRET_KEY": self.secret_key,
            "VOXMOOD_S3_BUCKET": self.bucket,
        }

    def client(self) -> S3Client:
        """A boto3 client that does not try again."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10),
        )


@contextmanager
def running_valkey() -> Iterator[str]:
    """A Valkey server; yields its address, redis://:password@127.0.0.1:port/0."""
    with temporary_folder("valkey") as folder, free_ports("queue") as ports:
        part = programs.queue(folder, ports["queue"], password := secrets.token_hex(8))
        address = f"redis://:{password}@{LOOPBACK}:{ports['queue']}/0"
        with (
            running_program(part.argv, folder, part.environment),
            redis.Redis.from_url(address, retry=None) as client,
        ):
            wait_until_ready(client.ping, redis.exceptions.ConnectionError, folder)
            yield address


@contextmanager
def running_store(bucket: str = "voxmood") -> Iterator[Store]:
    """SeaweedFS with one bucket."""
    with temporary_folder("store") as folder, free_ports(*programs.STORE_PORTS) as ports:
        store = Store(f"http://{LOOPBACK}:{ports['s3']}", "tests", secrets.token_hex(16), bucket)
        part = programs.store(folder / "data", ports, store.access_key, store.secret_key, bucket)
        with running_program(part.argv, folder, part.environment):
            client = store.client()
            wait_until_ready(lambda: client.head_bucket(Bucket=bucket), (BotoCoreError, ClientError), folder)
            yield store
        remove_store_sockets(ports.values())
