"""Encoders and voice detectors on disk, which versions name: where they lie, and whether they are whole."""

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
    """Of an encoder or a detector. sources: what it was made of, with the SHA-256 of each; files: SHA-256 of
    each file.
    """

    name: str
    origin: str
    licence: str
    sources: dict[str, str]
    files: dict[str, str]


Described = TypeVar("Described", bound=ArtefactManifest)


def verify_artefact(kind: Artefact, folder: Path, described: type[Described]) -> Described:
    """The manifest of an artefact, once every file's SHA-256 is as it says; else DamagedArtefact."""
    try:
        manifest = described.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        reason = f"{MANIFEST} cannot be read"
        raise DamagedArtefact(kind=kind, name=folder.name, reason=reason, folder=folder) from error
    if flaw := flaw_of(folder, manifest.files):
        raise DamagedArtefact(kind=kind, name=folder.name, reason=flaw, folder=folder)
    return manifest


def encoder_file(spec: EncodedSpec, models: Folders = ()) -> Path:
    """The ONNX form of the encoder that a spec names, from the first folder that has it: these, those of the
    settings, or what ships. Raises DamagedArtefact where there is none, or another one of this name.
    """
    place = Path(ENCODERS, spec.encoder, ENCODER_ONNX)
    return _artefact("encoder", place, spec.encoder_sha256, f"whose features {spec.name} has", models)


def detector_file(detector: DetectorRef, models: Folders = ()) -> Path:
    """The weights of a voice detector, looked up as `encoder_file` does; raises DamagedArtefact."""
    place = Path(DETECTORS, detector.name, DETECTOR_WEIGHTS)
    return _artefact("detector", place, detector.sha256, "which is asked for", models)


def _artefact(kind: Artefact, place: Path, expected: str, which: str, models: Folders) -> Path:
    """place: folder of its kind, name, and file; which: the words that say what is looked for."""
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
