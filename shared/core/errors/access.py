"""Errors of authentication, authorisation and quotas."""

from __future__ import annotations

from shared.core.errors.base import VoxmoodError
from voxmood.errors import MalformedKey as MalformedKey


class KeyNeeded(VoxmoodError):
    """This server asks for an API key: send it as `Authorization: Bearer …`; the commands take it from
    VOXMOOD_API_KEY. On the server `voxmood keys create` makes one.
    """


class KeyNeededBehindProxy(VoxmoodError):
    """This request came through a proxy ({header}), so it need not be of this machine: send an API key. On
    the server `voxmood keys create` makes one.
    """


class UnknownKey(VoxmoodError):
    """This key is not known here, or it was revoked. On the server `voxmood keys list` shows those that
    are.
    """


class KeyExpired(VoxmoodError):
    """The key {prefix}… has expired. On the server `voxmood keys create` makes a new one."""


class MissingScope(VoxmoodError):
    """This takes a key with the scope {needed}; yours has {scopes}. On the server
    `voxmood keys create --scopes` makes one that has it.
    """


class ForeignHost(VoxmoodError):
    """This server is not {host}. Without an API key it answers on this machine alone, as localhost,
    127.0.0.1 or [::1].
    """


class HostNotAllowed(VoxmoodError):
    """This server is not {host}. Use a name that it answers to, or have it answer to this one
    (VOXMOOD_ALLOWED_HOSTS).
    """


class ForeignOrigin(VoxmoodError):
    """A web page of {origin} asks; without an API key only this server's own pages may."""


class TooManyJobs(VoxmoodError):
    """This key has {count} open or running jobs, the most that one may have (VOXMOOD_KEY_MAX_JOBS). Wait
    until one ends, or cancel one.
    """


class TooManyBytes(VoxmoodError):
    """With this the key would have over {limit_bytes} bytes stored, the most that one may have
    (VOXMOOD_KEY_MAX_BYTES). Delete jobs that are no longer needed, then send again.
    """


class FormWithoutSize(VoxmoodError):
    """Say in `bytes` how large the file is: a key may store so many (VOXMOOD_KEY_MAX_BYTES), and what goes
    straight to the store is counted before it comes.
    """


class WrongExpiry(VoxmoodError):
    """{value} is no time to live: give hours, days or weeks, as 12h, 90d or 4w."""


class WrongScope(VoxmoodError):
    """{scope} is no scope. Available: {known}."""


class NoSuchKey(VoxmoodError):
    """There is no valid key {key}. `voxmood keys list` shows them, with their numbers."""


class KeysNeedSchema(VoxmoodError):
    """{database} cannot hold keys yet. `voxmood up` (elsewhere `python -m shared.database.upgrade`) brings
    it up to date.
    """
