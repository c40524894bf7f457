"""What is known of a clip while its windows are classified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.audio.arrays import Floats
from shared.audio.cutting import Window
from shared.audio.levels import Counts, voice_weights
from shared.audio.quality import QualityMeter
from shared.audio.voice_presence import presence_weights
from shared.core.errors.recordings import ClipError
from shared.models.serving.clip_results import Segment


@dataclass(frozen=True, slots=True)
class WindowVoice:
    """How much voice a window has.

    Attributes:
        levels: frames by level (`shared.audio.levels`).
        seconds: of voice by the detector; None without a detector, and where the window is all of its
            recording, so that there is nothing to weight.
    """

    levels: Counts
    seconds: float | None


@dataclass(slots=True)
class ClipProgress:
    """What is known of one clip so far.

    Attributes:
        path: of the clip.
        rows: the probabilities of each window with a voice, shape (labels,).
        voices: how much voice each of these windows has.
        duration_s: of the whole recording; known after its last window.
        flaw: why less was decoded than wanted.
        error: why the clip failed.
        segments: the outcomes of its windows, if they are kept.
        meter: measures the quality.
        ends_s: up to where each channel was measured, in seconds.
    """

    path: str
    rows: list[Floats] = field(default_factory=list)
    voices: list[WindowVoice] = field(default_factory=list)
    duration_s: float | None = None
    flaw: str | None = None
    error: ClipError | None = None
    segments: list[Segment] = field(default_factory=list)
    meter: QualityMeter | None = None
    ends_s: dict[int, float] = field(default_factory=dict)

    def measure(self, window: Window, samples: Floats, rate: int) -> None:
        """Measure the quality of what no earlier window had.

        Args:
            window: the window.
            samples: its samples without rumble, shape (n,).
            rate: their sampling rate, in Hz.
        """
        meter = self.meter = self.meter or QualityMeter(rate)
        new_from = round((self.ends_s.get(window.channel, window.start_s) - window.start_s) * rate)
        self.ends_s[window.channel] = window.end_s
        if new_from < len(samples):
            meter.add(samples, max(new_from, 0))

    def mean(self) -> NDArray[np.float64] | None:
        """The windows' probabilities, weighted by their voice, shape (labels,); None without a voice."""
        if not self.rows:
            return None
        return np.average(np.stack(self.rows), axis=0, weights=_weights(self.voices))


def _weights(voices: Sequence[WindowVoice]) -> NDArray[np.float64]:
    """The weights of windows with a voice, shape (n,); by the detector where there is one."""
    if any(voice.seconds is None for voice in voices):
        return voice_weights(np.stack([voice.levels for voice in voices]))
    return presence_weights(np.array([voice.seconds for voice in voices], np.float64))
