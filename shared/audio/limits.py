"""The limits within which a recording is decoded, as plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What the header of no honest recording exceeds.

    Attributes:
        max_sampling_rate: in Hz.
        max_channels: of one recording.
        max_windows: classified of one recording, over all its channels.
    """

    max_sampling_rate: int
    max_channels: int
    max_windows: int
