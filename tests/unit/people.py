"""Recordings of people that ship, and noise without any."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from shared.audio.demonstration import recordings_of_people
from shared.audio.noises import WHITE, coloured

RATE = 16_000
PEOPLE = {name: soundfile.read(io.BytesIO(body), dtype="float32")[0]
          for name, body in recordings_of_people().items()}  # fmt: skip
ANGRY = PEOPLE["people/angry.flac"]
NOISE = 0.02 * coloured(3 * RATE, RATE, WHITE, np.random.default_rng(1))
