"""Encoders and voice detectors on disk, which versions name: where they lie, and whether they are intact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from shared.audio.spec import EncodedSpec
from shared.core.errors.models import DamagedArtefact
from shared.core.settings import REPOSITORY, Settings
from shared.models.serving.checksums import flaw_of, sha256
from shared.models.serving.manifest import MANIFEST, DetectorRef

# Beside the versions; none of these folders is a version.
ENCODERS, DETECTORS = "encoders", "detectors"
ENCODER_ONNX = "encoder.onnx"
DETECTOR_WEIGHTS = "weights.npz"
SHIPPED = REPOSITORY / "saved_models"
Folders = Path | Sequence[Path]
Artefact = Literal["encoder", "detector"]


class ArtefactManifest(BaseModel):
    """What manifest.json says of an encoder or a detector.

    Attributes:
        name: of the artefact.
        origin: where it comes from.
        licence: of the weights.
        sources: what it was made of, with the SHA-256 of each.
        files: the SHA-256 of each file.
    """

    name: str
    origin: str
    licence: str
    sources: dict[str, str]
    files: dict[str, str]


Described = TypeVar("Described", bound=ArtefactManifest)


def verify_artefact(kind: Artefact, folder: Path, described: type[Described]) -> Described:
    """Read the manifest of an artefact and check the SHA-256 of each file.

    Args:
        kind: of the artefact.
        folder: where it lies.
        described: the class of its manifest.

    Raises:
        DamagedArtefact: a file has changed, or the manifest cannot be read.
    """
    try:
        manifest = described.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        reason = f"{MANIFEST} cannot be read"
        raise DamagedArtefact(kind=kind, name=folder.name, reason=reason, folder=folder) from error
    if flaw := flaw_of(folder, manifest.files):
        raise DamagedArtefact(kind=kind, name=folder.name, reason=flaw, folder=folder)
    return manifest


def encoder_file(spec: EncodedSpec, models: Folders = ()) -> Path:
    """The ONNX form of the encoder that a spec names, from the first folder that has it.

    Args:
        spec: names the encoder and its SHA-256.
        models: folders in which it is looked up first, before those of the settings and what ships.

    Raises:
        DamagedArtefact: it is missing, or another one of this name is there.
    """
    place = Path(ENCODERS, spec.encoder, ENCODER_ONNX)
    return _artefact("encoder", place, spec.encoder_sha256, f"whose features {spec.name} has", models)


def detector_file(detector: DetectorRef, models: Folders = ()) -> Path:
    """The weights of a voice detector, looked up as `encoder_file` does it.

    Args:
        detector: its name and SHA-256.
        models: folders in which it is looked up first, before those of the settings and what ships.

    Raises:
        DamagedArtefact: it is missing, or another one of this name is there.
    """
    place = Path(DETECTORS, detector.name, DETECTOR_WEIGHTS)
    return _artefact("detector", place, detector.sha256, "which is asked for", models)


def _artefact(kind: Artefact, place: Path, expected: str, which: str, models: Folders) -> Path:
    """Look up a file of an artefact.

    Args:
        kind: of the artefact.
        place: folder of its kind, its name, and the file.
        expected: the file's SHA-256.
        which: says in words which one is looked for.
        models: folders that come first.
    """
    places = [models] if isinstance(models, Path) else models
    for one in (*places, *Settings().model_folders, SHIPPED):
        if not (file := one / place).is_file():
            continue
        if sha256(file) == expected:
            return file
        reason = f"{place.name} is another than that {which}"
        raise DamagedArtefact(kind=kind, name=file.parent.name, reason=reason, folder=file.parent)
    folder, reason = SHIPPED / place.parent, f"{place.name} is missing"
    raise DamagedArtefact(kind=kind, name=folder.name, reason=reason, folder=folder)
