"""One recording, to hear: read back from its shard."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Path, Response
from sqlalchemy import RowMapping, select

from api.access import Reader
from api.paced import PacedResponse
from api.services import Services, Wired
from shared.core.errors.requests import NoAudio, UnknownClip, WrongRange
from shared.core.states import JobState
from shared.database.queries import of_key
from shared.database.results import Pace
from shared.database.tables import clip, job, shard
from shared.store.names import StoredObject

router = APIRouter(prefix="/v1/clips", tags=["results"])
# So much of a recording is read at once for a listener: a quarter of what was taken without lagging. A read
# costs 5 ms of the processor, of any size; what a listener who stops has not taken stays in memory.
LEAST_BLOCK_BYTES, BLOCK_BYTES = 64 * 1024, 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
# By content, never by name; what is not here is sent as bytes.
_MEDIA_TYPES = {b"RIFF": "audio/wav", b"RF64": "audio/wav", b"fLaC": "audio/flac", b"OggS": "audio/ogg",
                b"FORM": "audio/aiff", b"ID3": "audio/mpeg", b"\xff\xfb": "audio/mpeg"}  # fmt: skip


@router.get(
    "/{clip_id}/audio",
    response_class=Response,
    responses={200: {"content": {"audio/*": {}}}, 206: {"content": {"audio/*": {}}}},
)
async def clip_audio(
    clip_id: Annotated[int, Path(ge=1, le=2**63 - 1)],
    services: Wired,
    caller: Reader,
    wanted: Annotated[str | None, Header(alias="Range", max_length=100)] = None,
) -> Response:
    """The recording as it was sent; honours Range, so players can seek."""
    row, head = await to_thread.run_sync(
        _found, services, clip_id, caller.only, limiter=services.listening.limiter
    )
    size = int(row["size"])
    first, last = (0, size - 1) if wanted is None else _bounds(wanted, size)
    kinds = (kind for magic, kind in _MEDIA_TYPES.items() if head.startswith(magic))
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(last - first + 1)}
    if wanted is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    pace = Pace()
    return PacedResponse(
        _blocks(services, row, first, last, pace),
        services.listening,
        pace,
        status_code=200 if wanted is None else 206,
        headers=headers,
        media_type=next(kinds, "application/octet-stream"),
    )


def _found(services: Services, clip_id: int, key_id: int | None) -> tuple[RowMapping, bytes]:
    """Where a clip's bytes lie, and the first of them, which say what it is."""
    row = _row(services, clip_id, key_id)
    return row, services.storage.get_range(_shard(row), row["offset"], min(4, int(row["size"])))


def _shard(row: RowMapping) -> StoredObject:
    return StoredObject(row["object_key"])


def _row(services: Services, clip_id: int, key_id: int | None) -> RowMapping:
    """Where a clip's bytes lie; UnknownClip, or NoAudio where unpack could not take it out."""
    statement = (
        select(clip.c.error, clip.c.offset, clip.c.size, shard.c.object_key)
        .join(job, job.c.id == clip.c.job_id)
        .outerjoin(shard, shard.c.id == clip.c.shard_id)
        .where(clip.c.id == clip_id, job.c.state != JobState.DELETING, of_key(key_id))
    )
    with services.database.read() as connection:
        row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise UnknownClip(clip=clip_id)
    if row["object_key"] is None:
        raise NoAudio(clip=clip_id, reason=row["error"])
    return row


def _bounds(given: str, size: int) -> tuple[int, int]:
    """First and last byte of a single range (RFC 9110, 14.1.2)."""
    match = _RANGE.fullmatch(given)
    if not match or not any(match.groups()):
        raise WrongRange(value=given)
    start, end = match.groups()
    if not start:
        return max(0, size - int(end)), size - 1
    first, last = int(start), min(int(end or size - 1), size - 1)
    if first > last:
        raise WrongRange(value=given)
    return first, last


def _blocks(services: Services, row: RowMapping, first: int, last: int, pace: Pace) -> Generator[bytes]:
    begun = position = first
    while position <= last:
        if pace.lags:
            begun, pace.lags = position, False
        wished = min(max((position - begun) // 4, LEAST_BLOCK_BYTES), BLOCK_BYTES)
        count = min(wished, last + 1 - position)
        yield services.storage.get_range(_shard(row), row["offset"] + position, count)
        position += count
