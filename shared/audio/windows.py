"""Which windows of a recording a network hears, as a value and as bounds; the API need not decode to know."""

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
    """What a job says of windows.

    kind: `clip`, the windows that the version itself takes, or `sliding`, one every hop_s from the beginning;
    win_s, hop_s: seconds, of sliding windows only; None: as many as the version hears at once, and half of
    that; channels: `mix`, their mean, or `separate`, each by itself.
    """

    kind: Literal["clip", "sliding"] = "clip"
    win_s: float | None = None
    hop_s: float | None = None
    channels: Literal["mix", "separate"] = "mix"

    @property
    def keep_segments(self) -> bool:
        """Whether each window's outcome is a row, and not only their mean."""
        return self.kind == "sliding" or self.channels == "separate"

    def lengths(self, spec: FeatureSpec) -> tuple[float, float]:
        """win_s and hop_s, what is not said as the features have it."""
        win_s = spec.seconds if self.win_s is None else self.win_s
        return win_s, max(MINIMUM_S, win_s / 2) if self.hop_s is None else self.hop_s

    def check(self, spec: FeatureSpec, version: str) -> None:
        """Whether a model version of these features can hear them.

        Raises WindowUnasked, WindowTooLong (a network's input is fixed) or HopTooLong (gaps go unheard).
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
    """Where windows of `length` samples begin that cover `total` evenly; the last one ends at the end.

    They are at most half a window apart. Fewer than `least` samples behind the first make no further one.

    >>> list(spread(total=10, length=4, least=1)), list(spread(total=4, length=4, least=1))
    ([0, 2, 4, 6], [0])
    """
    rest = total - length
    steps = -(-2 * rest // length) if rest >= least else 0
    return (number * rest // max(steps, 1) for number in range(steps + 1))
