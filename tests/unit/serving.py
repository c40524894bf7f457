"""Clips for a classifier, what it says of them as a table, and versions whose files were changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import BinaryIO

import numpy as np

from shared.audio.decode import Recording, decode
from shared.audio.synthesis import COLOURS, speech_like, wav_bytes
from shared.core.settings import Settings
from shared.limits import decode_limits
from shared.models.serving.checksums import sha256
from shared.models.serving.clip_results import ClipResult
from shared.models.serving.manifest import MANIFEST

EMOTIONS = tuple(COLOURS)
VERSION = "seed-v6"
LIMITS = decode_limits(Settings())


def voices(count: int) -> list[tuple[str, bytes]]:
    """Clips of 1 to 4 s at several rates."""
    rates = 16000, 22050, 48000
    return [
        (
            f"{seed}.wav",
            wav_bytes(
                speech_like(EMOTIONS[seed % 8], rates[seed % 3], 1.0 + seed % 4, seed), rates[seed % 3]
            ),
        )
        for seed in range(count)
    ]


def table(verdicts: list[ClipResult]) -> np.ndarray:
    assert all(verdict.probabilities for verdict in verdicts)
    return np.array([list(verdict.probabilities.values()) for verdict in verdicts if verdict.probabilities])


def accept(models: Path, name: str) -> None:
    """Have the manifest say what this file is now, or that it is not there."""
    folder = models / VERSION
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"].pop(name, None)
    if (folder / name).exists():
        manifest["files"][name] = sha256(folder / name)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def decode_start(source: bytes | BinaryIO, path: str = "a.wav", seconds: float | None = 3.0) -> Recording:
    return decode(source, path, sampling_rate=16000, seconds=seconds, limits=LIMITS)
