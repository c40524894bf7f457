"""The probability of a voice every 32 ms: Silero's network, computed here.

Its own package computes chunk by chunk, in 128 ms for 3 s of sound on one core; all chunks together, with
only the recurrence step by step, take 3 ms.

Source: the network of Silero VAD 6.2 at 16 kHz, as the packages silero-vad and whisper.cpp compute it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from shared.audio.arrays import Floats
from shared.audio.filters import hann

Weights = Mapping[str, NDArray[np.floating]]

SAMPLING_RATE: Final = 16_000
CHUNK = 512  # samples that a probability is of
CHUNK_S: Final = CHUNK / SAMPLING_RATE
CONTEXT = 64  # samples before a chunk that are part of its input
N_FFT, HOP = 256, 128
STRIDES = 1, 2, 2, 1  # of the four convolutions over time
# The network was trained on recordings at usual levels; at -60 dB it finds no voice. So everything is scaled
# to the same peak.
PEAK = 0.5
FAINTEST_PEAK = 1e-4  # below it is silence, which stays what it is
CHUNKS_AT_ONCE = 4096  # two minutes; they take 40 MB


class VoiceActivity:
    """The network."""

    def __init__(self, weights: Weights) -> None:
        """Prepare the weights.

        Args:
            weights: by their names in `silero-vad-6.2/weights.npz`.
        """
        whole = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        # Its transform, "stft", is that of a Hann window, rounded to 16 bits: a fast one takes half the time.
        self._window = np.asarray(hann(N_FFT), np.float32)
        # As one product each: (kernel, in, out) to (kernel · in, out).
        self._convolutions = [
            (whole[f"conv_{n}/weight"].transpose(2, 1, 0).reshape(-1, len(whole[f"conv_{n}/bias"])),
             whole[f"conv_{n}/bias"], stride)
            for n, stride in enumerate(STRIDES)
        ]  # fmt: skip
        self._out, self._out_bias = whole["out/weight"], float(whole["out/bias"])
        # σ(x) is ½ + ½ tanh(x / 2): so all four gates (take, keep, new, show) are one tanh, which `new` is.
        self._gain = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], np.float32), len(self._out))
        self._shift = 1 - self._gain
        self._inward = np.ascontiguousarray(whole["lstm/weight_ih"].T * self._gain)
        self._onward = np.ascontiguousarray(whole["lstm/weight_hh"] * self._gain[:, np.newaxis])
        self._bias = (whole["lstm/bias_ih"] + whole["lstm/bias_hh"]) * self._gain

    def __call__(self, samples: Floats) -> Floats:
        """The probability of a voice in each whole chunk.

        The recording is one sequence: what came before a chunk counts. Its level does not.

        Args:
            samples: 16 kHz, shape (n,).

        Returns:
            Shape (n // CHUNK,).
        """
        return np.concatenate([np.empty(0, np.float32), *self.from_the_beginning(samples)])

    def from_the_beginning(self, samples: Floats, at_once: int = CHUNKS_AT_ONCE) -> Iterator[Floats]:
        """The same probabilities in blocks, each computed when it is asked for.

        Args:
            samples: 16 kHz, shape (n,).
            at_once: chunks a block.

        Yields:
            Shape (at_once,); the last one may be shorter.
        """
        chunks = len(samples) // CHUNK
        peak = float(np.abs(samples).max(initial=0.0))
        if not chunks or peak < FAINTEST_PEAK:
            yield np.zeros(chunks, np.float32)
            return
        heard = np.concatenate([np.zeros(CONTEXT, np.float32), samples[: chunks * CHUNK] * (PEAK / peak)])
        frames = np.lib.stride_tricks.sliding_window_view(heard, CONTEXT + CHUNK)[::CHUNK]
        state = np.zeros(len(self._out), np.float32), np.zeros(len(self._out), np.float32)
        for start in range(0, chunks, at_once):
            some = self._encoded(frames[start : start + at_once]) @ self._inward + self._bias
            hidden = np.empty((len(some), len(self._out)), np.float32)
            for row, gates in zip(hidden, some, strict=True):
                state = self._stepped(gates, *state)
                row[:] = state[0]
            yield _sigmoid(np.maximum(hidden, 0) @ self._out + self._out_bias)

    def _encoded(self, frames: Floats) -> Floats:
        """The input of the recurrence, shape (n, 128), for chunks with their context, shape (n, 576)."""
        padded = np.concatenate([frames, frames[:, -2 : -2 - CONTEXT : -1]], axis=1)  # mirrored at its end
        steps = np.lib.stride_tricks.sliding_window_view(padded, N_FFT, axis=1)[:, ::HOP]
        values = np.abs(scipy.fft.rfft(steps * self._window, axis=2))
        for weight, bias, stride in self._convolutions:
            length, width = values.shape[1:]
            around = np.zeros((len(frames), length + 2, width), np.float32)
            around[:, 1:-1] = values
            taps = np.concatenate([around[:, tap : tap + length : stride] for tap in range(3)], axis=2)
            # All rows in one product: of (n, length, …) it would be n small ones, of three times the time.
            products = taps.reshape(-1, 3 * width) @ weight
            values = np.maximum(products + bias, 0).reshape(len(frames), -1, len(bias))
        return np.asarray(values[:, 0], np.float32)

    def _stepped(self, gates: Floats, hidden: Floats, cell: Floats) -> tuple[Floats, Floats]:
        opened = np.tanh(gates + self._onward @ hidden) * self._gain + self._shift
        take, keep, new, show = opened.reshape(4, -1)
        cell = keep * cell + take * new
        return show * np.tanh(cell), cell


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)), np.float32)
