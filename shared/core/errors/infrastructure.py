"""Errors of store, database, server and files that do not work as they should."""

from __future__ import annotations

from shared.core.errors.base import VoxmoodError
from voxmood.errors import CannotWrite as CannotWrite
from voxmood.errors import FileMissing as FileMissing


# No evidence against any recording or archive: a worker gives its work back and tries later.
class InfrastructureError(VoxmoodError):
    """Something that voxmood needs does not work at the moment. Try again later."""


class StoreFull(InfrastructureError):
    """The object store has no room left. Free disk space or delete old jobs, then send again."""


class SpoolFull(InfrastructureError):
    """What comes of uploads waits in {folder}, which cannot be written: {reason}. Make room there, or name
    another folder (VOXMOOD_SPOOL_DIR).
    """


class StoreUnavailable(InfrastructureError):
    """The object store does not answer at {endpoint}. Try again in a moment."""


class StoreBrokeOff(StoreUnavailable):
    """The object store at {endpoint} broke off in the middle of an object. Try again in a moment."""


class ObjectMissing(StoreUnavailable):
    """The object store at {endpoint} does not find an object that was written to it. If this lasts, the
    store has lost data: look at its disks.
    """


class DatabaseUnavailable(InfrastructureError):
    """The database does not answer. Try again in a moment."""


class DatabaseFull(InfrastructureError):
    """The database's disk has no room left. Free disk space, then try again."""


class EmptyFolder(VoxmoodError):
    """{path} holds no files."""
