"""Errors of the windows that a job asks for."""

from __future__ import annotations

from shared.core.errors.base import VoxmoodError


class WindowUnasked(VoxmoodError):
    """win_s and hop_s are those of sliding windows: ask for windows sliding as well, or leave them out."""


class WindowTooLong(VoxmoodError):
    """Windows of {win_s:g} s are longer than the {seconds:g} s that model version {version} hears at once;
    choose that or less.
    """


class HopTooLong(VoxmoodError):
    """A hop of {hop_s:g} s would leave gaps between windows of {win_s:g} s; choose that or less."""
