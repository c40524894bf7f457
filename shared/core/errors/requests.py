"""Errors of API requests."""

from __future__ import annotations

from shared.core.errors.base import VoxmoodError
from voxmood.errors import UnknownModel as UnknownModel


class UnknownJob(VoxmoodError):
    """There is no job {job}. `voxmood jobs` lists them."""


class JobNotOpen(VoxmoodError):
    """Job {job} is {state}; uploads and a start are taken only while it is open."""


class WrongJobState(VoxmoodError):
    """Job {job} is {state}; only a job that is {allowed} can be {action}."""


class JobWithoutUploads(VoxmoodError):
    """Job {job} has no upload yet; send one before starting it."""


class UploadUnfinished(VoxmoodError):
    """Job {job} is still receiving {name} ({received} bytes so far); wait for it, or send the rest."""


class UploadExists(VoxmoodError):
    """Job {job} has an upload named {name} already; choose another name."""


class UploadOffset(VoxmoodError):
    """{name} has {received} bytes here: go on from byte {received}, not from {start}."""


class WrongRange(VoxmoodError):
    """{value} is no range of bytes that is there."""


class UnknownClip(VoxmoodError):
    """There is no clip {clip}."""


class NoAudio(VoxmoodError):
    """Clip {clip} has no audio to hear: {reason}"""


class UnknownUpload(VoxmoodError):
    """Job {job} has no upload named {name}."""


class KeyUsedAgain(VoxmoodError):
    """The Idempotency-Key {key} came before with another request; choose a new key."""


class NoPublicStore(VoxmoodError):
    """This server's store has no public address (VOXMOOD_S3_PUBLIC_URL); PUT the upload here instead."""


class SourceRefused(VoxmoodError):
    """{url} is not in a bucket that this server may read (VOXMOOD_SOURCE_BUCKETS: {allowed})."""


class SourceEmpty(VoxmoodError):
    """{url} names no object in the store."""


class UploadReplaced(VoxmoodError):
    """{name} was sent a second time while this was on its way; the later one counts."""


class WrongCursor(VoxmoodError):
    """{cursor} is no cursor of this list; take the `next` of an earlier page."""


class UnknownParameter(VoxmoodError):
    """{name} is no parameter of this request. Available: {known}."""


class WrongFilter(VoxmoodError):
    """{value} is no {filter}. {allowed}"""


class NoSegments(VoxmoodError):
    """Job {job} has no segments: they are kept where it is submitted with sliding windows or with separate
    channels.
    """


class LabelsUnnamed(VoxmoodError):
    """Say whose labels are to be deleted: a job, or a clip_id."""


class TooManyExports(VoxmoodError):
    """{whose} has {count} exports on their way, the most at once (VOXMOOD_API_EXPORTS in all,
    VOXMOOD_KEY_MAX_EXPORTS of a key). Try again in a moment.
    """


class TooManyUploads(VoxmoodError):
    """{whose} has {count} uploads on their way, the most at once (VOXMOOD_API_UPLOADS in all,
    VOXMOOD_KEY_MAX_UPLOADS of a key). Try again in a moment.
    """


class BodyTooLarge(VoxmoodError):
    """This request's body has over {limit_bytes} bytes, the most that is read of it. Send it as several
    requests.
    """


class BodyStalled(VoxmoodError):
    """This request's body brought less than {least} bytes in {seconds:g} s (VOXMOOD_BODY_TIMEOUT_S). Send it
    again; an upload goes on where it broke off.
    """
