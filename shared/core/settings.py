"""All settings of voxmood: environment variables named VOXMOOD_…, typed, with their unit and their reason.

A process reads its settings once, where it is wired (`Settings()`), and passes them on as a value. This
module is a table: what is computed from settings belongs where it is used.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from voxmood.environment import default_state_dir as default_state_dir
from voxmood.errors import WrongWebhookSecret
from voxmood.webhooks import webhook_key

MEBIBYTE = 2**20
REPOSITORY = Path(__file__).resolve().parents[2]
Runtime = Literal["onnx", "tensorflow"]
Device = Literal["cpu", "gpu", "auto"]


def default_feature_cache() -> Path:
    """The folder of cached features: $XDG_CACHE_HOME/voxmood/features, else below ~/.cache."""
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "voxmood" / "features"


def is_loopback(host: str) -> bool:
    """Whether a server that listens on this address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Settings(BaseSettings):
    """The settings of one process."""

    model_config = SettingsConfigDict(env_prefix="VOXMOOD_", extra="ignore", hide_input_in_errors=True)

    # --- servers -------------------------------------------------------------------------------
    database_url: str = Field(
        default_factory=lambda: f"sqlite:///{default_state_dir() / 'voxmood.db'}",
        description="SQLAlchemy address of the SQL database: sqlite:///… or postgresql+psycopg://…",
    )
    broker_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="Celery's broker: Redis or Valkey. Holds doorbells only; may be lost at any moment.",
    )
    s3_endpoint: str = Field(default="http://127.0.0.1:8333", description="address of the object store")
    s3_access_key: str = Field(default="voxmood", description="its access key")
    s3_secret_key: SecretStr = Field(default=SecretStr(""), description="its secret key")
    s3_bucket: str = Field(default="voxmood", min_length=3, description="bucket for uploads and shards")
    s3_public_url: str | None = Field(
        default=None, description="the store's address for clients outside: enables presigned uploads"
    )
    source_buckets: list[str] = Field(
        default_factory=list,
        description='buckets of the store that jobs may name as sources, as in ["tapes"]',
    )
    s3_region: str = Field(default="us-east-1", description="region to sign for; SeaweedFS takes any")

    # --- the API -------------------------------------------------------------------------------
    api_host: str = Field(default="127.0.0.1", description="address to listen on; loopback by default")
    api_port: int = Field(default=8000, ge=1, le=65535, description="port to listen on")
    require_key: bool = Field(
        default=False,
        description="ask for an API key on loopback too; on any other address one is always asked for",
    )
    allowed_hosts: list[str] = Field(
        default_factory=list,
        description="Host headers, ports included, that are answered where keys are asked for, as in "
        '["voxmood.example"]; unless set, any: the key is what counts',
    )
    page_password: SecretStr | None = Field(
        default=None,
        min_length=12,
        description="what the page asks visitors for; off loopback it shows nothing without",
    )
    page_key: SecretStr | None = Field(
        default=None, description="a key to be known from the start: that of the page, made by `voxmood up`"
    )
    api_concurrent_uploads: int = Field(
        default=8,
        ge=1,
        description="parts of uploads on their way into the store at once, each held in memory",
    )
    api_uploads: int = Field(
        default=128,
        ge=1,
        description="uploads received at once; what has come of one and fills no part yet waits on disk",
    )
    api_exports: int = Field(
        default=96,
        ge=1,
        description="exports at once; each holds a page of rows that its reader has not taken yet, 1.3 MB",
    )
    spool_dir: Path | None = Field(
        default=None,
        description="folder for what has come of uploads and fills no part yet, in files without a name: a "
        "part for each upload; unless set, the system's for temporary files",
    )
    header_timeout_s: float = Field(
        default=10.0, gt=0, description="seconds in which a connection must bring the header of a request"
    )
    body_timeout_s: float = Field(
        default=30.0,
        gt=0,
        description="seconds in which a body must bring, or a reader take, something; not all of it",
    )
    api_connections: int = Field(
        default=600,
        ge=10,
        description="connections at once, a file each, of the 1,024 that a process has; more are told 503",
    )

    # --- models --------------------------------------------------------------------------------
    models_dir: Path = Field(
        default=REPOSITORY / "saved_models", description="folder with one folder a model version"
    )
    trained_dir: Path = Field(
        default_factory=lambda: default_state_dir() / "models",
        description="folder for the versions that retraining makes; shared by API and workers",
    )
    feature_cache: Path = Field(
        default_factory=default_feature_cache,
        description="folder where `train` and `evaluate` keep features of datasets, the four last used: they "
        "take ten minutes for 2,036 recordings and v8, and 620 MB",
    )
    champion: str = Field(
        default="v8", description="the version that a job without --model gets, until one is promoted"
    )
    runtime: Runtime = Field(
        default="onnx",
        description="what runs the networks: onnx is loaded in 1.2 s and 350 MB and takes 0.9 ms a clip, "
        "tensorflow 5.8 s, 890 MB and 0.8 ms; a version without model.onnx is run by tensorflow",
    )
    device: Device = Field(
        default="auto",
        description="where the networks run: cpu looks for no GPU, gpu demands one, auto takes one that the "
        "runtime has; TensorFlow trains on one that it sees, except with cpu",
    )

    # --- sizes ---------------------------------------------------------------------------------
    part_bytes: int = Field(
        default=8 * MEBIBYTE,
        ge=5 * MEBIBYTE,
        description="bytes a multipart part, and the read-ahead of ranged reads (S3's minimum is 5 MiB)",
    )
    shard_clips: int = Field(
        default=256, ge=1, le=2000, description="clips after which a shard is closed; one insert each"
    )
    shard_bytes: int = Field(
        default=32 * MEBIBYTE,
        ge=1,
        description="bytes after which a shard is closed; a larger recording is a shard of its own",
    )
    batch_clips: int | None = Field(
        default=None,
        ge=1,
        description="windows a network call; unset: 32 on a CPU, where more gain nothing (1.4 ms a clip), "
        "and 512 on a GPU",
    )

    # --- retraining ----------------------------------------------------------------------------
    retrain_every_s: float = Field(
        default=86_400.0, gt=0, description="seconds between two looks whether to retrain; a day"
    )
    retrain_min_labels: int = Field(
        default=200, ge=1, description="clips labelled since the last candidate that make a new one"
    )
    retrain_min_examples: int = Field(
        default=20, ge=5, description="labelled clips below which an emotion counts as unknown"
    )
    retrain_max_labels: int = Field(
        default=20_000,
        ge=10,
        description="labels used, the newest; features take 24 kB each, thrice while training: 1.4 GB; "
        "350 kB each where the champion is of the network v8: 7 GB",
    )
    retrain_epochs: int | None = Field(
        default=None, ge=1, description="epochs at most; unset: the network's own"
    )
    retrain_lease_s: float = Field(
        default=1800.0,
        gt=0,
        description="seconds until a killed retraining begins anew; at the lowest priority on busy cores "
        "TensorFlow alone may take minutes to load",
    )

    # --- what is kept --------------------------------------------------------------------------
    keep_uploads: bool = Field(default=False, description="keep an upload in the store once it is unpacked")
    store_dir: Path | None = Field(
        default=None, description="the store's folder, where it is on this machine: its free space is checked"
    )

    retention_days: float | None = Field(
        default=None, gt=0, description="days after its end when a job is deleted; never unless set"
    )
    upload_abandoned_s: float = Field(
        default=3600.0,
        gt=0,
        description="seconds without a byte after which an unfinished upload is given up",
    )

    # --- webhooks ------------------------------------------------------------------------------
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="signs what webhooks are told: whsec_ and the base64 of 24 to 64 bytes; unsigned without",
    )
    webhook_private: bool | None = Field(
        default=None,
        description="whether webhooks may lead into private networks; unless set, where the API itself "
        "listens on loopback",
    )

    # --- limits --------------------------------------------------------------------------------
    max_upload_bytes: int = Field(default=2**40, ge=1, description="bytes an upload may have")
    key_max_jobs: int = Field(default=100, ge=1, description="open and running jobs an API key may have")
    key_max_bytes: int = Field(
        default=2**40, ge=1, description="bytes in the store that an API key's jobs may have, now"
    )
    key_max_uploads: int = Field(
        default=96, ge=1, description="uploads that come in at once with one API key"
    )
    key_max_exports: int = Field(default=48, ge=1, description="exports at once with one API key")
    max_source_objects: int = Field(default=10_000, ge=1, description="objects a source prefix may name")
    max_members: int = Field(
        default=250_000, ge=1, description="members an archive may have (zipfile takes 514 B for each)"
    )
    max_directory_bytes: int = Field(
        default=64 * MEBIBYTE, ge=1, description="bytes of a zip's directory, held in memory three times"
    )
    max_unpacked_bytes: int = Field(
        default=2**42, ge=1, description="bytes that an archive's members may have together"
    )
    max_unpack_ratio: int = Field(
        default=1000, ge=1, description="unpacked bytes for each packed one, once over 100 MB were unpacked"
    )
    max_unpack_s: float = Field(
        default=86_400, gt=0, description="seconds that one attempt to unpack an upload may take"
    )
    max_window_bytes: int = Field(
        default=128 * MEBIBYTE, ge=MEBIBYTE, description="bytes of memory that xz, zstd or LZMA may ask for"
    )
    max_clip_bytes: int = Field(
        default=4 * 2**30, ge=1, description="bytes a recording may have: three hours of 96 kHz stereo"
    )
    max_sampling_rate: int = Field(default=768_000, ge=8_000, description="Hz; above it a header lies")
    max_channels: int = Field(default=64, ge=1, description="channels; above it a header lies")
    max_windows: int = Field(
        default=50_000,
        ge=1,
        description="windows heard of a recording, over all channels: 20 hours, one every 1.5 s; so many "
        "take 3 minutes of a core, and 30 MB",
    )

    # --- the lease protocol (shared/jobs/leases.py) ---------------------------------------------------
    lease_s: float = Field(
        default=60.0, gt=0, description="seconds a lease holds without renewal; a batch takes under one"
    )
    ring_again_s: float = Field(
        default=300.0, gt=0, description="seconds after which a pending row is rung again"
    )
    sweep_every_s: float = Field(default=5.0, gt=0, description="seconds between two sweeps")
    classify_time_limit_s: int = Field(
        default=600, ge=10, description="seconds until Celery ends a classify task that hangs"
    )
    unpack_stall_s: int = Field(
        default=600, ge=10, description="seconds without progress until an unpack child is ended"
    )
    task_memory_bytes: int = Field(
        default=1024 * MEBIBYTE,
        ge=64 * MEBIBYTE,
        description="bytes that a child may take for its task, on top of what it has taken to start",
    )
    watchdog_s: float = Field(
        default=120.0,
        gt=0,
        description="seconds for which a worker may be idle while its queues wait, until it is started anew; "
        "a child that loads TensorFlow is idle for 10 s, or 30 on busy cores",
    )
    worker_memory_bytes: int = Field(
        default=1200 * MEBIBYTE, ge=1, description="resident bytes over which a worker child is replaced"
    )

    # --- this process ----------------------------------------------------------------------------
    workers: int = Field(
        default_factory=lambda: max(1, len(os.sched_getaffinity(0))),
        ge=1,
        description="children of the classify worker; one a core, each with one thread",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="below it nothing is logged"
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="text for people, json for those who gather logs; a line a record"
    )

    @property
    def asks_for_key(self) -> bool:
        """Whether the API demands a key from everybody. Off loopback no setting turns that off."""
        return self.require_key or not is_loopback(self.api_host)

    @property
    def model_folders(self) -> tuple[Path, Path]:
        """Where versions are looked up: those that ship, then those trained here."""
        return self.models_dir, self.trained_dir

    @field_validator("webhook_secret")
    @classmethod
    def _is_webhook_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is None or not secret.get_secret_value():
            return None
        try:
            webhook_key(secret.get_secret_value())
        except WrongWebhookSecret as error:
            raise ValueError("whsec_ and the base64 of 24 to 64 bytes is expected") from error
        return secret

    @property
    def webhook_key(self) -> bytes | None:
        """The bytes that sign webhooks; None: nothing is signed."""
        return None if self.webhook_secret is None else webhook_key(self.webhook_secret.get_secret_value())

    @property
    def webhooks_reach_private(self) -> bool:
        """Whether a job that comes by this API may name a webhook in a private network."""
        return is_loopback(self.api_host) if self.webhook_private is None else self.webhook_private
