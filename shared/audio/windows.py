"""Which windows of a recording are classified, as a value and as bounds; the API needs no decoder for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal

from shared.audio.spec import FeatureSpec
from shared.core.errors.windows import HopTooLong, WindowTooLong, WindowUnasked

MINIMUM_S = 0.1  # of sound: less is no recording, and of a recording's end no window of its own


@dataclass(frozen=True, slots=True)
class Windows:
    """Which windows of a recording a job asks for.

    Attributes:
        kind: `clip`, the windows that the version itself takes, or `sliding`, one every hop_s from the
            beginning.
        win_s: the length of sliding windows in seconds; None: that of the version's features.
        hop_s: seconds between the beginnings of sliding windows; None: half of their length.
        channels: `mix`, their mean, or `separate`, each by itself.
    """

    kind: Literal["clip", "sliding"] = "clip"
    win_s: float | None = None
    hop_s: float | None = None
    channels: Literal["mix", "separate"] = "mix"

    @property
    def keep_segments(self) -> bool:
        """Whether the outcome of each window becomes a row, beside that of the whole recording."""
        return self.kind == "sliding" or self.channels == "separate"

    def lengths(self, spec: FeatureSpec) -> tuple[float, float]:
        """The length and hop of windows in seconds, with the defaults of the features filled in."""
        win_s = spec.seconds if self.win_s is None else self.win_s
        return win_s, max(MINIMUM_S, win_s / 2) if self.hop_s is None else self.hop_s

    def check(self, spec: FeatureSpec, version: str) -> None:
        """Check that a model version can classify these windows.

        Args:
            spec: the version's features.
            version: its name, for the errors.

        Raises:
            WindowUnasked: lengths are given without sliding windows.
            WindowTooLong: a window is longer than the input of the network.
            HopTooLong: there would be gaps between the windows.
        """
        if self.kind == "clip" and (self.win_s is not None or self.hop_s is not None):
            raise WindowUnasked
        win_s, hop_s = self.lengths(spec)
        if win_s > spec.seconds:
            raise WindowTooLong(win_s=win_s, version=version, seconds=spec.seconds)
        if hop_s > win_s:
            raise HopTooLong(hop_s=hop_s, win_s=win_s)


def sliding(hop: float) -> Iterator[int]:
    """Where windows begin that follow each other every `hop` samples, without end.

    >>> starts = sliding(1.5)
    >>> [next(starts) for _ in range(4)]
    [0, 2, 3, 4]
    """
    return (round(number * hop) for number in count())


def spread(total: int, length: int, least: int) -> Iterator[int]:
    """Where windows begin that cover a recording evenly; the last one ends where the recording ends.

    They are at most half a window apart.

    Args:
        total: length of the recording, in samples.
        length: of a window, in samples.
        least: with fewer samples than this behind the first window there is no further one.

    >>> list(spread(total=10, length=4, least=1)), list(spread(total=4, length=4, least=1))
    ([0, 2, 4, 6], [0])
    """
    rest = total - length
    steps = -(-2 * rest // length) if rest >= least else 0
    return (number * rest // max(steps, 1) for number in range(steps + 1))
