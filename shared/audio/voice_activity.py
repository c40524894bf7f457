"""Whether there is a voice, every 32 ms: Silero's network, computed here.

Its package computes chunk by chunk, 128 ms for 3 s of sound on one core; all chunks together, with only the
recurrence step by step, take 3. Source: the network of Silero VAD 6.2 at 16 kHz, as
silero-vad's package and whisper.cpp compute it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Weights = Mapping[str, NDArray[np.floating]]

SAMPLING_RATE: Final = 16_000
CHUNK = 512  # samples that a probability is of
CHUNK_S: Final = CHUNK / SAMPLING_RATE
CONTEXT = 64  # samples before them that are looked at too
N_FFT, HOP = 256, 128
BINS = N_FFT // 2 + 1
STRIDES = 1, 2, 2, 1  # of the four convolutions over time
# The network was taught by recordings at usual levels; at -60 dB it hears nothing. Everything is brought to
# the same peak.
PEAK = 0.5
FAINTEST_PEAK = 1e-4  # below it is silence, which stays what it is
CHUNKS_AT_ONCE = 4096  # two minutes; what is held of them takes 40 MB


class VoiceActivity:
    """The network; weights: by the names of `silero-vad-6.2/weights.npz`."""

    def __init__(self, weights: Weights) -> None:
        whole = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        self._transform = np.ascontiguousarray(whole["stft"].T)  # (N_FFT, 2 BINS)
        # As one product each: (kernel, in, out) to (kernel · in, out).
        self._convolutions = [
            (whole[f"conv_{n}/weight"].transpose(2, 1, 0).reshape(-1, len(whole[f"conv_{n}/bias"])),
             whole[f"conv_{n}/bias"], stride)
            for n, stride in enumerate(STRIDES)
        ]  # fmt: skip
        self._inward = np.ascontiguousarray(whole["lstm/weight_ih"].T)
        self._onward = np.ascontiguousarray(whole["lstm/weight_hh"])
        self._bias = whole["lstm/bias_ih"] + whole["lstm/bias_hh"]
        self._out, self._out_bias = whole["out/weight"], float(whole["out/bias"])

    def __call__(self, samples: Floats) -> Floats:
        """The probability of a voice in each whole chunk of 512 of the samples (n,), 16 kHz: (n // 512,).

        From the beginning to the end as one: what was heard before counts. The level does not.
        """
        chunks = len(samples) // CHUNK
        peak = float(np.abs(samples).max(initial=0.0))
        if not chunks or peak < FAINTEST_PEAK:
            return np.zeros(chunks, np.float32)
        heard = np.concatenate([np.zeros(CONTEXT, np.float32), samples[: chunks * CHUNK] * (PEAK / peak)])
        frames = np.lib.stride_tricks.sliding_window_view(heard, CONTEXT + CHUNK)[::CHUNK]
        found = np.empty(chunks, np.float32)
        state = np.zeros(len(self._out), np.float32), np.zeros(len(self._out), np.float32)
        for start in range(0, chunks, CHUNKS_AT_ONCE):
            some = self._encoded(frames[start : start + CHUNKS_AT_ONCE]) @ self._inward + self._bias
            for place, gates in enumerate(some, start):
                state = self._stepped(gates, *state)
                found[place] = self._answer(state[0])
        return found

    def _encoded(self, frames: Floats) -> Floats:
        """Of chunks with their context (n, 576) what the recurrence is fed: (n, 128)."""
        padded = np.concatenate([frames, frames[:, -2 : -2 - CONTEXT : -1]], axis=1)  # mirrored at its end
        steps = np.lib.stride_tricks.sliding_window_view(padded, N_FFT, axis=1)[:, ::HOP]
        spectrum = steps @ self._transform
        values = np.sqrt(spectrum[..., :BINS] ** 2 + spectrum[..., BINS:] ** 2)
        for weight, bias, stride in self._convolutions:
            around = np.pad(values, ((0, 0), (1, 1), (0, 0)))
            length = values.shape[1]
            taps = np.concatenate([around[:, tap : tap + length : stride] for tap in range(3)], axis=2)
            values = np.maximum(taps @ weight + bias, 0)
        return np.asarray(values[:, 0], np.float32)

    def _stepped(self, gates: Floats, hidden: Floats, cell: Floats) -> tuple[Floats, Floats]:
        take, keep, new, show = np.split(gates + self._onward @ hidden, 4)
        cell = _sigmoid(keep) * cell + _sigmoid(take) * np.tanh(new)
        return _sigmoid(show) * np.tanh(cell), cell

    def _answer(self, hidden: Floats) -> float:
        return float(_sigmoid(np.maximum(hidden, 0) @ self._out + self._out_bias))


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)), np.float32)
