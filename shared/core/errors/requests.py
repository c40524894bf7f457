"""What an API request can be told."""

from __future__ import annotations

from shared.core.errors.base import VoxmoodError
from voxmood.errors import UnknownEncoding as UnknownEncoding
from voxmood.errors import UnknownModel as UnknownModel


class UnknownJob(VoxmoodError):
    """There is no job {job}. `voxmood jobs` lists them."""

    status = 404


class JobNotOpen(VoxmoodError):
    """Job {job} is {state}; uploads and a start are taken only while it is open."""

    status = 409


class WrongJobState(VoxmoodError):
    """Job {job} is {state}; only a job that is {allowed} can be {action}."""

    status = 409


class JobWithoutUploads(VoxmoodError):
    """Job {job} has no upload yet; send one before starting it."""

    status = 409


class UploadUnfinished(VoxmoodError):
    """Job {job} is still receiving {name} ({received} bytes so far); wait for it, or send the rest."""

    status = 409


class UploadExists(VoxmoodError):
    """Job {job} has an upload named {name} already; choose another name."""

    status = 409


class UploadOffset(VoxmoodError):
    """{name} has {received} bytes here: go on from byte {received}, not from {start}."""

    status = 409


class WrongRange(VoxmoodError):
    """{value} is no range of bytes that is there."""

    status = 416


class UnknownClip(VoxmoodError):
    """There is no clip {clip}."""

    status = 404


class NoAudio(VoxmoodError):
    """Clip {clip} has no audio to hear: {reason}"""

    status = 404


class UnknownUpload(VoxmoodError):
    """Job {job} has no upload named {name}."""

    status = 404


class KeyUsedAgain(VoxmoodError):
    """The Idempotency-Key {key} came before with another request; choose a new key."""

    status = 422


class NoPublicStore(VoxmoodError):
    """This server's store has no public address (VOXMOOD_S3_PUBLIC_URL); PUT the upload here instead."""

    status = 409


class SourceRefused(VoxmoodError):
    """{url} is not in a bucket that this server may read (VOXMOOD_SOURCE_BUCKETS: {allowed})."""

    status = 403


class SourceEmpty(VoxmoodError):
    """{url} names no object in the store."""

    status = 404


class UploadReplaced(VoxmoodError):
    """{name} was sent a second time while this was on its way; the later one counts."""

    status = 409


class WrongCursor(VoxmoodError):
    """{cursor} is no cursor of this list; take the `next` of an earlier page."""


class UnknownParameter(VoxmoodError):
    """{name} is no parameter of this request. Available: {known}."""

    status = 422


class WrongFilter(VoxmoodError):
    """{value} is no {filter}. {allowed}"""

    status = 422


class WindowUnasked(VoxmoodError):
    """win_s and hop_s are those of sliding windows: ask for windows sliding as well, or leave them out."""

    status = 422


class WindowTooLong(VoxmoodError):
    """Windows of {win_s:g} s are longer than the {seconds:g} s that model version {version} hears at once;
    choose that or less.
    """

    status = 422


class HopTooLong(VoxmoodError):
    """A hop of {hop_s:g} s would leave gaps between windows of {win_s:g} s; choose that or less."""

    status = 422


class NoSegments(VoxmoodError):
    """Job {job} has no segments: they are kept where it is submitted with sliding windows or with separate
    channels.
    """

    status = 409


class LabelsUnnamed(VoxmoodError):
    """Say whose labels are to be deleted: a job, or a clip_id."""

    status = 422


class TooManyExports(VoxmoodError):
    """{whose} has {count} exports on their way, the most at once (VOXMOOD_API_EXPORTS in all,
    VOXMOOD_KEY_MAX_EXPORTS of a key). Try again in a moment.
    """

    status = 429


class TooManyUploads(VoxmoodError):
    """{whose} has {count} uploads on their way, the most at once (VOXMOOD_API_UPLOADS in all,
    VOXMOOD_KEY_MAX_UPLOADS of a key). Try again in a moment.
    """

    status = 429


class BodyTooLarge(VoxmoodError):
    """This request's body has over {limit_bytes} bytes, the most that is read of it. Send it as several
    requests.
    """

    status = 413


class BodyStalled(VoxmoodError):
    """This request's body brought less than {least} bytes in {seconds:g} s (VOXMOOD_BODY_TIMEOUT_S). Send it
    again; an upload goes on where it broke off.
    """

    status = 408
