"""The limits of archives and recordings as the settings give them.

`shared.archives` and `shared.audio` take plain values and know nothing of settings.
"""

from __future__ import annotations

from shared.archives import Limits
from shared.audio.limits import DecodeLimits
from shared.core.settings import Settings


def archive_limits(settings: Settings) -> Limits:
    """What an archive may hold, and how much time and memory it may take to unpack."""
    return Limits(
        members=settings.max_members,
        unpacked_bytes=settings.max_unpacked_bytes,
        ratio=settings.max_unpack_ratio,
        unpack_s=settings.max_unpack_s,
        directory_bytes=settings.max_directory_bytes,
        window_bytes=settings.max_window_bytes,
    )


def decode_limits(settings: Settings) -> DecodeLimits:
    """What the header of a recording may claim, and how many windows are classified of it."""
    return DecodeLimits(settings.max_sampling_rate, settings.max_channels, settings.max_windows)
