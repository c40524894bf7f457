"""Store, database, server and files that do not answer as they should."""

from __future__ import annotations

from shared.errors.base import VoxmoodError


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


class CannotWrite(VoxmoodError):
    """{path} cannot be written: {reason}."""


class FolderChanged(VoxmoodError):
    """{path} changed while its folder was being sent. Submit the folder again."""


class EmptyFolder(VoxmoodError):
    """{path} holds no files."""


class FileMissing(VoxmoodError):
    """{path} does not exist."""
