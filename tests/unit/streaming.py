"""Recordings as streams and as the windows that are asked of them."""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

from shared.audio.cutting import Window, windows_of
from shared.audio.decode import Stream
from shared.audio.spec import BASELINE_V6, FeatureSpec
from shared.audio.windows import Windows
from shared.core.settings import Settings
from shared.limits import decode_limits

LIMITS = decode_limits(Settings())
RATE = 16_000
ALL = replace(BASELINE_V6, covers="all")


def stream_of(source: bytes | BinaryIO, seconds: float | None = None, sampling_rate: int = RATE) -> Stream:
    return Stream(source, "a.wav", sampling_rate=sampling_rate, seconds=seconds, limits=LIMITS)


def windows(source: bytes | BinaryIO, wanted: Windows, spec: FeatureSpec = BASELINE_V6) -> list[Window]:
    wanted.check(spec, "v")
    return list(windows_of(stream_of(source), spec, wanted))
