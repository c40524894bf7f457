"""A stream of samples, cut into the windows that a network hears; no more than one and a block are held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.audio.channels import mixed
from shared.audio.decode import SILENT_PEAK, Stream
from shared.audio.spec import FeatureSpec
from shared.audio.windows import MINIMUM_S, Windows, sliding, spread

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a recording, or of one channel of it.

    channel: 1, 2, …; 0: the mean of all; start_s, end_s: seconds of the recording; samples: float32,
    shape (n,), without padding; peak: largest absolute sample, over all channels where they are mixed;
    is_all: it is surely the only one of its recording.
    """

    channel: int
    start_s: float
    end_s: float
    samples: Floats
    peak: float
    is_all: bool = False

    @property
    def is_silent(self) -> bool:
        """Whether nobody can be heard in it."""
        return self.peak < SILENT_PEAK


def windows_of(stream: Stream, spec: FeatureSpec, windows: Windows) -> Iterator[Window]:
    """The windows of a recording, those of all channels at one time after each other.

    windows: checked for the spec. Sliding ones begin every hop_s; the last may be shorter if it has at least
    0.1 s that the one before has not. Those of a clip are the first alone, or all, evenly spread so that the
    last ends where the recording ends. There is always one. Channels are mixed after resampling, and their
    peak is taken before, so that what cancels out in the mean is not taken for silence.
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
    """Where each window begins, and its samples, (length, channels) but for a last one that is shorter.

    blocks: (n, channels) each; starts: where windows begin, at most `length` apart. What is left at the end
    makes a window if `least` samples of it were in none, or if there was no window yet: from where the next
    one would have begun, or with `ends_full` the last `length` samples, if there are so many.
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
