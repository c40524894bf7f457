"""Cut a stream of samples into the windows that a network classifies.

No more than one window and one block are held in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from shared.audio.arrays import Floats
from shared.audio.channels import mixed
from shared.audio.decode import SILENT_PEAK, Stream
from shared.audio.spec import FeatureSpec
from shared.audio.windows import MINIMUM_S, Windows, sliding, spread


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a recording, or of one of its channels.

    Attributes:
        channel: 1, 2, …; 0 for the mean of all channels.
        start_s: where it begins in the recording, in seconds.
        end_s: where it ends, in seconds.
        samples: float32, shape (n,), without padding.
        peak: the largest absolute sample, over all channels where they are mixed.
        is_all: whether it is certainly the only window of its recording.
    """

    channel: int
    start_s: float
    end_s: float
    samples: Floats
    peak: float
    is_all: bool = False

    @property
    def is_silent(self) -> bool:
        """Whether it is too quiet for a voice."""
        return self.peak < SILENT_PEAK


def windows_of(stream: Stream, spec: FeatureSpec, windows: Windows) -> Iterator[Window]:
    """The windows of a recording, with those of all channels at one time after each other.

    Sliding windows begin every hop_s; the last may be shorter, if it has at least 0.1 s that no other window
    has. Windows of a clip are the first one alone, or several that are spread evenly so that the last ends
    where the recording ends. There is always at least one. Channels are mixed after resampling and the peak
    is taken before, so that channels which cancel each other out are not taken for silence.

    Args:
        stream: the recording.
        spec: of the features; says how long a window is.
        windows: what the job asks for, checked against the spec.
    """
    rate = stream.sampling_rate
    win_s, hop_s = windows.lengths(spec)
    length, least = round(win_s * rate), round(MINIMUM_S * rate)
    is_sliding = windows.kind == "sliding"
    if is_sliding:
        starts = sliding(hop_s * rate)
    else:
        starts = spread(round(stream.claimed_s * rate) if spec.covers == "all" else length, length, least)
    for start, samples in cut(stream.blocks(), starts, length, least, ends_full=not is_sliding):
        start_s, end_s = start / rate, (start + len(samples)) / rate
        if windows.channels == "mix":
            is_all = not start and len(samples) < length
            yield Window(0, start_s, end_s, mixed(samples), float(np.abs(samples).max()), is_all)
            continue
        for number, channel in enumerate(samples.T, 1):
            # A copy: a view would keep all that was held with it.
            yield Window(number, start_s, end_s, channel.copy(), float(np.abs(channel).max()))


def cut(
    blocks: Iterable[Floats], starts: Iterator[int], length: int, least: int, *, ends_full: bool
) -> Iterator[tuple[int, Floats]]:
    """Cut blocks of samples into windows.

    What is left at the end becomes a window if at least `least` of its samples were in no window, or if there
    was no window yet.

    Args:
        blocks: samples, shape (n, channels) each.
        starts: where windows begin, at most `length` samples apart.
        length: of a window, in samples.
        least: samples that no other window has and that are worth a last window.
        ends_full: whether the last window has the last `length` samples, if there are so many, instead of
            those from where it would have begun.

    Yields:
        Where each window begins, and its samples, shape (length, channels); a last one may be shorter.
    """
    held, first, covered = np.empty((0, 0), np.float32), 0, 0
    start = next(starts, None)
    for block in blocks:
        held = np.concatenate([held, block]) if len(held) else block
        total = first + len(held)
        while start is not None and start + length <= total:
            yield start, held[start - first : start - first + length]
            covered = start + length
            start = next(starts, None)
        # The next window has not ended, so it begins in the last `length` samples or behind them.
        if total - first > length:
            held, first = held[total - length - first :], total - length
    total = first + len(held)
    if total - covered >= (least if covered else 1):
        begin = max(0, total - length) if ends_full or start is None else start
        yield begin, held[begin - first :]
