"""One recording, to hear: read back from its shard."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Path, Response

from api.access import Reader
from api.paced import PacedResponse
from api.services import Services, Wired
from shared.core.errors.requests import NoAudio, UnknownClip, WrongRange
from shared.database.clips import clip_place
from shared.database.paging import Pace
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
    place, head = await to_thread.run_sync(
        _found, services, clip_id, caller.only, limiter=services.listening.limiter
    )
    size = place.size
    first, last = (0, size - 1) if wanted is None else _bounds(wanted, size)
    kinds = (kind for magic, kind in _MEDIA_TYPES.items() if head.startswith(magic))
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(last - first + 1)}
    if wanted is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    pace = Pace()
    return PacedResponse(
        _blocks(services, place, first, last, pace),
        services.listening,
        pace,
        status_code=200 if wanted is None else 206,
        headers=headers,
        media_type=next(kinds, "application/octet-stream"),
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """A recording's bytes in the store: `size` of them, from `offset` of the shard on."""

    shard: StoredObject
    offset: int
    size: int


def _found(services: Services, clip_id: int, key_id: int | None) -> tuple[_Place, bytes]:
    """Where a clip's bytes lie, and the first of them, which say what it is.

    Raises:
        UnknownClip: there is none, or it is another key's.
        NoAudio: unpack could not take it out.
    """
    with services.database.read() as connection:
        row = clip_place(connection, clip_id, key_id)
    if row is None:
        raise UnknownClip(clip=clip_id)
    if row.object_key is None:
        raise NoAudio(clip=clip_id, reason=row.error)
    place = _Place(StoredObject(row.object_key), row.offset, row.size)
    return place, services.storage.get_range(place.shard, place.offset, min(4, place.size))


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


def _blocks(services: Services, place: _Place, first: int, last: int, pace: Pace) -> Generator[bytes]:
    begun = position = first
    while position <= last:
        if pace.lags:
            begun, pace.lags = position, False
        wished = min(max((position - begun) // 4, LEAST_BLOCK_BYTES), BLOCK_BYTES)
        count = min(wished, last + 1 - position)
        yield services.storage.get_range(place.shard, place.offset + position, count)
        position += count
