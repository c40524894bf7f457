"""Model versions on disk: one folder each, described by manifest.json. Needs no network library.

Versions are looked up in one folder or in several: those that ship, and those trained here
(`Settings.model_folders`). A name in two of them means the first.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, ValidationError, model_validator

from shared.audio import voice_activity
from shared.audio.spec import BaselineSpec, EncodedSpec, VoiceSpec
from shared.core.errors.models import DamagedArtefact, DamagedModel, ModelExists, WrongVersionName
from shared.core.errors.requests import UnknownModel
from shared.core.errors.wording import fault_in_words
from shared.core.settings import REPOSITORY, Runtime, Settings

MANIFEST = "manifest.json"
MODEL = "model.keras"
ONNX = "model.onnx"
PROBE = "probe.npz"
# Beside the versions; none of these folders is a version.
ENCODERS, DETECTORS = "encoders", "detectors"
ENCODER_ONNX = "encoder.onnx"
DETECTOR_WEIGHTS = "weights.npz"
SHIPPED = REPOSITORY / "saved_models"
Folders = Path | Sequence[Path]
Artefact = Literal["encoder", "detector"]
VERSION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# What the metrics of a training as the seed's are of, and of all manifests that do not say it.
RANDOM_FIFTH = "the test part, a stratified fifth of the clips, drawn at random"


def _kind(value: Any) -> str:
    """Manifests from before there were two kinds of features name none."""
    return str(value.get("kind", "seed") if isinstance(value, dict) else value.kind)


AnyFeatureSpec = Annotated[
    Annotated[BaselineSpec, Tag("seed")]
    | Annotated[VoiceSpec, Tag("voice")]
    | Annotated[EncodedSpec, Tag("encoded")],
    Discriminator(_kind),
]


class ThresholdRule(BaseModel):
    """Where a threshold comes from. unclipped: what the rule gave before its bounds; curve: thresholds with
    the coverage and the risk of each, on the clips that chose.
    """

    name: str
    text: str
    unknown_clips: int
    unclipped: float | None
    curve: list[tuple[float, float, float]] = []


class Metrics(BaseModel):
    """How good a version was at the end of its training; all but train_accuracy on what `judged` says.

    confusion_matrix: rows true, columns predicted, in the order of the labels. ece: of the confidence, in 15
    bins; older manifests have none. rejected and unknown_rejected: shares of test clips and of clips of
    unknown emotions below the threshold.
    """

    train_accuracy: float
    accuracy: float
    f1_weighted: float
    f1_macro: float
    f2_weighted: float
    f2_macro: float
    precision_weighted: float
    precision_macro: float
    recall_weighted: float
    recall_macro: float
    class_accuracy: dict[str, float]
    confusion_matrix: list[list[int]]
    ece: float | None = None
    rejected: float
    unknown_rejected: float | None
    epochs: int
    best_epoch: int


class Speakers(BaseModel):
    """Who was heard in training, who in the test part, and who was kept out of all of it."""

    training: list[str]
    test: list[str]
    reserve: list[str]


class Data(BaseModel):
    """What a version has seen. fingerprint: shared.models.data.datasets.fingerprint of it."""

    fingerprint: str
    clips: int
    training_clips: int
    test_clips: int
    unknown_clips: int
    left_out: int
    licence: str
    credit: str


class DetectorRef(BaseModel):
    """A voice detector: its name, and the SHA-256 of its weights."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str


class Manifest(BaseModel):
    """All that is to be known of a model version. unknown_labels: emotions left out of training.

    hears_no_voice: the network's last output, after those of the labels, is "no voice"; temperature: what its
    logits have been divided by; voice_detector: what says whether there is a voice, in place of the network;
    base: the version that it was trained to follow, if any; files: SHA-256 of each file of the version;
    judged: on what its metrics were taken; caveats: what they do not show.
    """

    version: str
    base: str | None = None
    labels: list[str]
    unknown_labels: list[str]
    hears_no_voice: bool = False
    feature_spec: AnyFeatureSpec
    voice_detector: DetectorRef | None = None
    network: str
    temperature: float = 1.0
    threshold: float
    threshold_rule: ThresholdRule
    class_weights: dict[str, float]
    judged: str = RANDOM_FIFTH
    metrics: Metrics
    speakers: Speakers
    data: Data
    seed: int
    caveats: list[str]
    commit: str | None
    created: datetime
    files: dict[str, str]

    @model_validator(mode="after")
    def _hears_what_its_detector_hears(self) -> Self:
        own, others = self.feature_spec.sampling_rate, voice_activity.SAMPLING_RATE
        if self.voice_detector is not None and own != others:
            raise ValueError(f"its features are of {own} Hz, and voice detectors hear {others}")
        return self

    @property
    def runtimes(self) -> list[Runtime]:
        """What can run it: every version has its Keras network, older ones have no model.onnx."""
        return ["onnx", "tensorflow"] if ONNX in self.files else ["tensorflow"]


def versions(models: Folders) -> list[str]:
    """The names of the versions, sorted."""
    return sorted(_version_folders(models))


def folder_of(models: Folders, version: str) -> Path:
    """Where a version lies; raises UnknownModel."""
    known = _version_folders(models)
    if version not in known:
        raise UnknownModel(model=version, known=", ".join(sorted(known)) or "none")
    return known[version]


def _version_folders(models: Folders) -> dict[str, Path]:
    places = [models] if isinstance(models, Path) else models
    found = [manifest.parent for place in reversed(places) for manifest in place.glob(f"*/{MANIFEST}")]
    return {folder.name: folder for folder in found if VERSION_NAME.fullmatch(folder.name)}


def read_manifest(models: Folders, version: str) -> Manifest:
    """The manifest of a version; raises UnknownModel or DamagedModel."""
    folder = folder_of(models, version)
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{MANIFEST}: {'.'.join(map(str, first['loc'])) or 'JSON'}: {fault_in_words(first)}"
        raise DamagedModel(version=version, reason=reason, folder=folder) from error


def verify(models: Folders, version: str) -> Manifest:
    """The manifest, once every file's SHA-256 is as it says, and its encoder's and its detector's, if it has
    them; else DamagedModel.
    """
    manifest = read_manifest(models, version)
    folder = folder_of(models, version)
    if flaw := flaw_of(folder, manifest.files):
        raise DamagedModel(version=version, reason=flaw, folder=folder)
    if isinstance(manifest.feature_spec, EncodedSpec):
        encoder_file(manifest.feature_spec, models)
    if manifest.voice_detector is not None:
        detector_file(manifest.voice_detector, models)
    return manifest


def flaw_of(folder: Path, files: Mapping[str, str]) -> str | None:
    """What is wrong with the first file that is not as its SHA-256 says, in words; files: these, by name."""
    for name, expected in files.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if sha256(folder / name) != expected:
            return f"{name} has changed"
    return None


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


def check_new(models_dir: Path, version: str) -> None:
    """Raise WrongVersionName or ModelExists unless a version of this name can be made."""
    if not VERSION_NAME.fullmatch(version):
        raise WrongVersionName(version=version)
    if (models_dir / version).exists():
        raise ModelExists(version=version, folder=models_dir)


@contextmanager
def new_version(models_dir: Path, version: str) -> Iterator[Path]:
    """A folder to write a version into; it appears under its name when all went well, or never.

    Until then it lies in a hidden folder beside the versions (one file system, so that one rename
    does it).
    """
    models_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models_dir, prefix=f".{version}.") as hidden:
        folder = Path(hidden) / version
        folder.mkdir()
        yield folder
        check_new(models_dir, version)
        folder.rename(models_dir / version)


def sha256(file: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
