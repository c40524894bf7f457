"""Several channels as one, and one as several."""

from __future__ import annotations

import numpy as np

from shared.audio.arrays import Floats

# Of the power that channels which have nothing in common would keep in their mean. Those of one voice keep
# more; a voice that is inverted in one of two, with noise 10 dB below it, keeps 0.1.
CANCELLED = 0.25


def mixed(block: Floats) -> Floats:
    """The mean of the channels, or the loudest channel alone where they cancel each other out.

    A microphone or cable that is wired the wrong way inverts one channel of a stereo recording, and the mean
    of both channels is silence.

    Args:
        block: samples, shape (n, channels).

    Returns:
        Shape (n,).

    >>> mixed(np.array([[0.5, -0.5], [0.2, -0.2]], np.float32)).tolist()
    [0.5, 0.20000000298023224]
    """
    if block.shape[1] == 1:
        return block[:, 0]
    mean: Floats = block.mean(axis=1)
    powers = np.einsum("nc,nc->c", block, block, dtype=np.float64)
    together = float(np.dot(mean.astype(np.float64), mean))
    if together >= CANCELLED * powers.sum() / block.shape[1] ** 2:
        return mean
    return block[:, int(powers.argmax())]


def spread_over(samples: Floats, channels: int) -> Floats:
    """The same samples on each of several channels.

    Args:
        samples: shape (n,).
        channels: how many there shall be.

    Returns:
        Shape (n, channels).
    """
    return np.repeat(samples[:, None], channels, axis=1)
