"""The tables, as SQLAlchemy Core knows them. docs/architecture.md explains the words.

Times are seconds since 1970 by the database's own clock (`sessions.clock`), never by a process's.
Ids are never reused (SQLite: AUTOINCREMENT), because messages and object keys outlive rows.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from shared.core.states import JobState, Outcome, UploadState, WebhookState, WorkState

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
Id = BigInteger().with_variant(Integer, "sqlite")
# Compared byte by byte on both databases, so that a range of paths is what begins alike.
Path = Text().with_variant(Text(collation="C"), "postgresql")
Seconds = Float(53)


class EnumText(TypeDecorator[StrEnum]):
    """The values of an enum as text; rows have the enum's members."""

    impl = String
    cache_ok = True

    def __init__(self, values: type[StrEnum]) -> None:
        super().__init__(16)
        self.values = values

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        """The member of a value that the database has."""
        return None if value is None else self.values(value)


def _one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(str(value)) for value in values)})", name=column)


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


api_key = Table(
    "api_key",
    metadata,
    Column("id", Id, primary_key=True),
    Column("prefix", String(11), nullable=False, index=True, comment="how the key begins; in lists"),
    Column("digest", String(64), nullable=False, unique=True, comment="SHA-256 of the key"),
    Column("name", Text, nullable=False, server_default=text("''")),
    Column("scopes", Text, nullable=False, comment="separated by spaces"),
    Column("created_at", Seconds, nullable=False),
    Column("expires_at", Seconds),
    Column("last_used_at", Seconds, comment="to the minute"),
    Column("revoked_at", Seconds),
    sqlite_autoincrement=True,
)

job = Table(
    "job",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", String(32), nullable=False, unique=True, comment="UUID in the object store's keys"),
    Column("name", Text),
    Column("state", EnumText(JobState), nullable=False),
    Column("model_version", Text, nullable=False, comment="resolved at creation; never moves"),
    Column("threshold", Seconds, comment="the job's own; null: the version's"),
    Column("windows", String(16), nullable=False, server_default=text("'clip'"), comment="clip or sliding"),
    Column("win_s", Seconds, comment="of sliding windows; null: as long as the version hears at once"),
    Column("hop_s", Seconds, comment="of sliding windows; null: half of a window"),
    Column("channels", String(16), nullable=False, server_default=text("'mix'"), comment="mix or separate"),
    Column("small", Boolean, nullable=False, server_default=text("false"), comment="takes the small queues"),
    Column("encoding", Text, comment="of names in archives that do not say it; null: none was given"),
    # No foreign key: SQLite cannot add one to a table that stands. Keys are revoked, never removed.
    Column("key_id", Id, comment="the API key that made it; null: made without one"),
    Column("idempotency_key", Text, comment="of the request that made it"),
    Column("idempotency_digest", String(64), comment="SHA-256 of that request's body"),
    Column("created_at", Seconds, nullable=False),
    Column("started_at", Seconds),
    Column("ended_at", Seconds),
    Column("run_started_at", Seconds, comment="by the last retry or reclassify; null: at started_at"),
    Column("run_done", Integer, nullable=False, server_default=text("0"),
           comment="outcomes that stood when that run began"),
    _one_of("state", JobState),
    # Unique for each API key; null is like no other null, so those without one have an index of their own.
    Index("uq_job_key_id_idempotency_key", "key_id", "idempotency_key", unique=True),
    Index("uq_job_idempotency_key", "idempotency_key", unique=True, sqlite_where=text("key_id IS NULL"),
          postgresql_where=text("key_id IS NULL")),
    sqlite_autoincrement=True,
)  # fmt: skip

upload = Table(
    "upload",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job_id", Id, ForeignKey("job.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("object_key", Text, nullable=False),
    Column("state", EnumText(UploadState), nullable=False),
    Column("bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("bytes_read", BigInteger, nullable=False, server_default=text("0"), comment="by unpack so far"),
    Column("attempts", Integer, nullable=False, server_default=text("0"), comment="fences stale leases"),
    Column("lease_until", Seconds),
    Column("rung_at", Seconds),
    Column("next_member", Integer, nullable=False, server_default=text("0"), comment="where unpack goes on"),
    _count("shards"),
    _count("clips"),
    _count("failed"),
    _count("duplicates"),
    Column("error_code", Text),
    Column("error", Text),
    Column("bucket", Text, comment="where another than ours holds it: then it is never deleted"),
    Column("multipart_id", Text, comment="the store's name for an upload in parts that is being received"),
    Column("expected_bytes", BigInteger, comment="as the client announced"),
    Column("touched_at", Seconds, comment="last part received; an hour later it counts as given up"),
    Column("crashes", Integer, nullable=False, server_default=text("0"), comment="since the last boundary"),
    Column("returns", Integer, nullable=False, server_default=text("0"), comment="leases given back"),
    Column("not_before", Seconds, comment="a pause after something outside failed; null: now"),
    _one_of("state", UploadState),
    UniqueConstraint("job_id", "name"),
    Index("ix_upload_waiting", "state", "rung_at", sqlite_where=text("state IN ('pending', 'leased')"),
          postgresql_where=text("state IN ('pending', 'leased')")),
    sqlite_autoincrement=True,
)  # fmt: skip

upload_part = Table(
    "upload_part",
    metadata,
    Column("upload_id", Id, ForeignKey("upload.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False, comment="from 1"),
    Column("etag", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)

shard = Table(
    "shard",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job_id", Id, ForeignKey("job.id"), nullable=False, index=True),
    Column("upload_id", Id, ForeignKey("upload.id"), nullable=False),
    Column("number", Integer, nullable=False, comment="1, 2, … within the upload"),
    Column("object_key", Text, nullable=False, unique=True),
    Column("bytes", BigInteger, nullable=False),
    Column("clips", Integer, nullable=False),
    UniqueConstraint("upload_id", "number"),
    sqlite_autoincrement=True,
)

clip = Table(
    "clip",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job_id", Id, ForeignKey("job.id"), nullable=False),
    Column("upload_id", Id, ForeignKey("upload.id"), nullable=False),
    Column("member", Integer, nullable=False, comment="its number in the archive, from 0"),
    Column("path", Path, nullable=False, comment="as the archive has it; data, never a path to open"),
    Column("sha256", String(64)),
    Column("shard_id", Id, ForeignKey("shard.id"), index=True),
    Column("offset", BigInteger, comment="of its first byte in the shard"),
    Column("size", BigInteger, comment="bytes"),
    Column("duplicate_of", Id, ForeignKey("clip.id"), index=True),
    Column("error_code", Text, comment="set when unpack itself ended the clip: true for every version"),
    Column("error", Text),
    UniqueConstraint("upload_id", "member"),
    # The first clip with these bytes in a job is computed, the others point to it.
    Index("uq_clip_original", "job_id", "sha256", unique=True, sqlite_where=text("duplicate_of IS NULL"),
          postgresql_where=text("duplicate_of IS NULL")),
    Index("ix_clip_archive_order", "job_id", "upload_id", "member"),
    Index("ix_clip_copies", "job_id", "upload_id", "member", "duplicate_of",
          sqlite_where=text("duplicate_of IS NOT NULL"), postgresql_where=text("duplicate_of IS NOT NULL")),
    Index("ix_clip_unpack_failures", "job_id", "upload_id", "member",
          sqlite_where=text("error_code IS NOT NULL"), postgresql_where=text("error_code IS NOT NULL")),
    # A path may have 64 kB; PostgreSQL indexes 2,704 bytes.
    Index("ix_clip_path", "job_id", text("substr(path, 1, 250)"), "upload_id", "member"),
    sqlite_autoincrement=True,
)  # fmt: skip

unit = Table(
    "unit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job_id", Id, ForeignKey("job.id"), nullable=False, index=True),
    Column("shard_id", Id, ForeignKey("shard.id"), nullable=False),
    Column("model_version", Text, nullable=False),
    Column("state", EnumText(WorkState), nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0"), comment="fences stale leases"),
    Column("lease_until", Seconds),
    Column("rung_at", Seconds),
    Column("crashes", Integer, nullable=False, server_default=text("0"), comment="children lost to it"),
    *(_count(outcome) for outcome in Outcome),
    Column("returns", Integer, nullable=False, server_default=text("0"), comment="leases given back"),
    Column("not_before", Seconds, comment="a pause after something outside failed; null: now"),
    _one_of("state", WorkState),
    UniqueConstraint("shard_id", "model_version"),
    Index("ix_unit_waiting", "state", "rung_at", sqlite_where=text("state IN ('pending', 'leased')"),
          postgresql_where=text("state IN ('pending', 'leased')")),
    sqlite_autoincrement=True,
)  # fmt: skip

clip_try = Table(
    "clip_try",
    metadata,
    Column("unit_id", Id, ForeignKey("unit.id"), primary_key=True),
    Column("clip_id", Id, ForeignKey("clip.id"), primary_key=True),
    Column("tries", Integer, nullable=False, comment="committed before each decode of a unit that crashed"),
)

prediction = Table(
    "prediction",
    metadata,
    Column("clip_id", Id, ForeignKey("clip.id"), primary_key=True),
    Column("model_version", Text, primary_key=True),
    Column("unit_id", Id, ForeignKey("unit.id"), nullable=False, index=True),
    Column("outcome", EnumText(Outcome), nullable=False),
    Column("emotion", Text, comment="null unless classified"),
    Column("confidence", Seconds),
    Column("threshold", Seconds),
    Column("duration_s", Seconds),
    Column("error_code", Text),
    Column("error", Text, comment="{path} stands for the clip's path: its duplicates share the row"),
    Column("probabilities", JSON(none_as_null=True)),
    Column("job_id", Id, nullable=False, comment="the clip's, as the next two: for the indexes"),
    Column("upload_id", Id, nullable=False),
    Column("member", Integer, nullable=False),
    Column("quality", String(32), comment="good, or of narrow_band, noisy, little_voice those that are so, "
                                          "by spaces; null: not measured"),
    Column("bandwidth_hz", Seconds, comment="up to where there is sound"),
    Column("snr_db", Seconds, comment="of the voice, above the floor between words"),
    Column("voiced_s", Seconds, comment="seconds of voice in all that was heard"),
    _one_of("outcome", Outcome),
    # A page of any outcome or emotion is one walk along these, in archive order.
    Index("ix_prediction_by_outcome", "job_id", "model_version", "outcome", "upload_id", "member",
          "confidence"),
    Index("ix_prediction_by_emotion", "job_id", "model_version", "emotion", "upload_id", "member",
          "confidence", sqlite_where=text("emotion IS NOT NULL"),
          postgresql_where=text("emotion IS NOT NULL")),
    # Of a range that holds few, all are looked at: a walk of 1,000,000 took 0.15 s to find 700 of them.
    Index("ix_prediction_by_confidence", "job_id", "model_version", "confidence", "upload_id", "member",
          sqlite_where=text("confidence IS NOT NULL"), postgresql_where=text("confidence IS NOT NULL")),
)  # fmt: skip

segment = Table(
    "segment",
    metadata,
    Column("clip_id", Id, primary_key=True),
    Column("model_version", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False, comment="by channel, then time, from 0"),
    Column("channel", Integer, nullable=False, comment="from 1; 0: all of them, mixed"),
    Column("start_s", Seconds, nullable=False),
    Column("end_s", Seconds, nullable=False),
    Column("outcome", EnumText(Outcome), nullable=False),
    Column("emotion", Text, comment="null unless classified"),
    Column("confidence", Seconds),
    Column("probabilities", JSON(none_as_null=True)),
    ForeignKeyConstraint(["clip_id", "model_version"], ["prediction.clip_id", "prediction.model_version"]),
    _one_of("outcome", Outcome),
)

consumption = Table(
    "consumption",
    metadata,
    Column("queue", Text, primary_key=True),
    Column("seen_at", Seconds, nullable=False, comment="when a worker last took something from the queue"),
)

tombstone = Table(
    "tombstone",
    metadata,
    Column("id", Id, primary_key=True),
    Column("prefix", Text, nullable=False, unique=True, comment="of a deleted job's keys in the store"),
    Column("sweep_after", Seconds, nullable=False, comment="when no presigned address is valid any more"),
    sqlite_autoincrement=True,
)

label = Table(
    "label",
    metadata,
    Column("id", Id, primary_key=True),
    Column("clip_id", Id, ForeignKey("clip.id"), nullable=False),
    Column("emotion", Text, nullable=False),
    Column("speaker", Text),
    Column("labeller", Text, nullable=False, server_default=text("''")),
    Column("created_at", Seconds, nullable=False),
    UniqueConstraint("clip_id", "labeller"),
    sqlite_autoincrement=True,
)

review_sample = Table(
    "review_sample",
    metadata,
    Column("job_id", Id, ForeignKey("job.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False,
           comment="in the order in which they were drawn, from 0"),
    Column("clip_id", Id, ForeignKey("clip.id"), nullable=False, index=True),
)  # fmt: skip

model = Table(
    "model",
    metadata,
    Column("version", Text, primary_key=True),
    Column("manifest", JSON, nullable=False),
    Column("created_at", Seconds, nullable=False),
)

retraining = Table(
    "retraining",
    metadata,
    # One row, made with the table.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("attempts", Integer, nullable=False, server_default=text("0"), comment="fences stale leases"),
    Column("lease_until", Seconds),
    Column("asked_at", Seconds, comment="by a person; null: nobody waits"),
    Column("taken_at", Seconds),
    Column("ended_at", Seconds),
    Column("text", Text, comment="what became of the last one"),
    Column("frozen_at", Seconds, comment="null: the champion may move"),
)

promotion = Table(
    "promotion",
    metadata,
    Column("id", Id, primary_key=True),
    Column("version", Text, nullable=False),
    Column("previous", Text, nullable=False, comment="the champion until then"),
    Column("promoted_by", Text, nullable=False, comment="an API key, the owner, or the gate"),
    Column("promoted_at", Seconds, nullable=False),
    Column("undone_at", Seconds, comment="by a rollback; null: it stands"),
    sqlite_autoincrement=True,
)

alias = Table(
    "alias",
    metadata,
    Column("name", Text, primary_key=True, comment="candidate, …"),
    Column("version", Text, nullable=False),
    Column("moved_at", Seconds, nullable=False),
)

webhook = Table(
    "webhook",
    metadata,
    Column("job_id", Id, ForeignKey("job.id"), primary_key=True, autoincrement=False),
    Column("url", Text, nullable=False),
    Column("private", Boolean, nullable=False, comment="whether it may lead into a private network"),
    Column("state", EnumText(WebhookState), nullable=False, server_default=text("'waiting'")),
    Column("event_id", Text, comment="of the job's last end; null: it has not ended yet"),
    _count("attempts"),
    Column("due_at", Seconds, comment="when to try; null: nothing is owed"),
    Column("error", Text, comment="why the last try failed"),
    _one_of("state", WebhookState),
    Index("ix_webhook_due_at", "due_at", sqlite_where=text("due_at IS NOT NULL"),
          postgresql_where=text("due_at IS NOT NULL")),
)  # fmt: skip
