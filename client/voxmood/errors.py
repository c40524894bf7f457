"""What can go wrong, each as a class: its docstring is the sentence that the user reads.

The words in braces are the keyword arguments of the constructor, kept as `facts`. `code` (the class name in
snake case) goes into result rows, problem documents and logs.

>>> error = FileMissing(path="tapes.zip")
>>> str(error), error.code, error.facts
('tapes.zip does not exist.', 'file_missing', {'path': 'tapes.zip'})
"""

from __future__ import annotations

import inspect
import re
from typing import ClassVar


class VoxmoodError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "voxmood_error"

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        sentence = " ".join(inspect.cleandoc(type(self).__doc__ or "").split())
        super().__init__(sentence.format(**facts))


# --- the server --------------------------------------------------------------------------------


class ServerUnreachable(VoxmoodError):
    """No voxmood answers at {url}. Start it with `voxmood up`, or name it with --server."""


class NotRunning(VoxmoodError):
    """No stack runs on {state_dir}. Start it with `voxmood up`."""


class RequestRefused(VoxmoodError):
    """{detail}"""

    # `facts` has all members of the problem document (RFC 9457); of a proxy's answer `detail` and `status`.

    @property
    def reason(self) -> str | None:
        """The server's word for programs: unknown_job, too_many_exports, …; None: a proxy answered."""
        reason = self.facts.get("code")
        return reason if isinstance(reason, str) else None

    @property
    def http_status(self) -> int | None:
        """The status that the server, or a proxy before it, answered with."""
        status = self.facts.get("status")
        return status if isinstance(status, int) else None


class UnexpectedAnswer(VoxmoodError):
    """{url} answered what this version of the client does not understand: {fault}. Is that a voxmood server,
    and of the same version as this client ({version})?
    """


class WaitTimedOut(VoxmoodError):
    """Job {job} is still {state} after {seconds:g} s, and goes on. Wait for it again, or look at it with
    `voxmood status {job}`.
    """


class MalformedKey(VoxmoodError):
    """That is no voxmood key: one is vm_ and 49 letters and digits, the last six a checksum of the others.
    Look for one that is missing or wrong. It is sent as `Authorization: Bearer …`.
    """


class UnknownModel(VoxmoodError):
    """There is no model version {model}. Available: {known}."""


class UnknownEncoding(VoxmoodError):
    """{encoding} is no encoding of file names that is known. Give one such as cp932 (Japanese), gbk
    (Chinese), cp866 or cp1251 (Russian), cp1252 (western Europe).
    """


# --- files here --------------------------------------------------------------------------------


class FileMissing(VoxmoodError):
    """{path} does not exist."""


class FolderChanged(VoxmoodError):
    """{path} changed while its folder was being sent. Submit the folder again."""


class NotSendable(VoxmoodError):
    """{path} cannot be sent: {reason}."""


class NoSuchFolder(VoxmoodError):
    """There is no folder {folder} to write {name} into. Make it first, or name another."""


class CannotWrite(VoxmoodError):
    """{path} cannot be written: {reason}."""


class TooManyRows(VoxmoodError):
    """These are more rows than a worksheet of Excel holds ({most:,}). Choose fewer, by --outcome, --emotion,
    --confidence or --path, or take --format csv or parquet.
    """


class WrongLabels(VoxmoodError):
    """{file}, line {line}: {reason}."""


class WrongLabelLines(VoxmoodError):
    """{file}, {place}: {reason}."""


class UnjudgedExport(VoxmoodError):
    """{file} is an export of results ({columns}): its emotion is what a model guessed, and no label. Add a
    column named label with what people hear, leave it empty where nobody has listened, and import that.
    """


class NoLabelInFile(VoxmoodError):
    """{file} has no label in any of its lines. Write what people hear into the column named label."""


# --- libraries that are not installed ----------------------------------------------------------


class LibraryMissing(VoxmoodError):
    """{what} takes {library}, which is not installed. To have it: pip install {library}"""


# --- webhooks ----------------------------------------------------------------------------------


class WrongWebhookSecret(VoxmoodError):
    """This is no secret of webhooks: one is whsec_ and the base64 of 24 to 64 bytes, the server's
    VOXMOOD_WEBHOOK_SECRET.
    """


class UnverifiedWebhook(VoxmoodError):
    """This webhook is not proved to come from the server, so do nothing it says: {reason}."""
