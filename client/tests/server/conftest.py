"""A job that has ended, and what it is made of; once for all tests that only read."""

from __future__ import annotations

import io
import random
import struct
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from voxmood.client import Client
from voxmood.documents import JobDocument


def recording(seed: int, seconds: float = 2.0) -> bytes:
    """A WAV file of noise that grows and fades: no voice, but a recording."""
    rate, draw = 16_000, random.Random(seed)
    count = int(rate * seconds)
    samples = [int(8000 * draw.uniform(-1, 1) * abs((i % 4000) / 2000 - 1)) for i in range(count)]
    file = io.BytesIO()
    with wave.open(file, "wb") as made:
        made.setnchannels(1)
        made.setsampwidth(2)
        made.setframerate(rate)
        made.writeframes(struct.pack(f"<{count}h", *samples))
    return file.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Three recordings of its own, and a file that is none."""
    path = tmp_path / "tapes.zip"
    with zipfile.ZipFile(path, "w") as made:
        for number in range(3):
            made.writestr(f"side a/take {number}.wav", recording(random.randrange(2**31)))
        made.writestr("side b/notes.txt", b"not a recording")
    return path


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobDocument]:
    """The job of the archive that the server's demonstration makes, with segments, ended."""
    with pytest.MonkeyPatch.context() as patch, Client() as client:
        patch.setenv("VOXMOOD_STATE", str(tmp_path_factory.mktemp("state")))
        archive = Path("recordings.zip").resolve()
        begun = client.submit(archive, name="demonstration", windows="sliding", win_s=1, hop_s=0.5)
        yield client.wait(begun.id, timeout_s=120)
