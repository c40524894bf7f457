"""Model versions on disk: one folder each, described by manifest.json. Needs no network library.

Versions are looked up in one folder or in several: those that ship, and those trained here
(`Settings.model_folders`). A name that is in two of them means the first.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from shared.audio.spec import EncodedSpec
from shared.core.errors.models import DamagedModel, ModelExists, WrongVersionName
from shared.core.errors.requests import UnknownModel
from shared.models.serving.artefacts import Folders, detector_file, encoder_file
from shared.models.serving.checksums import flaw_of
from shared.models.serving.manifest import MANIFEST, Manifest
from voxmood.wording import fault_in_words

VERSION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def versions(models: Folders) -> list[str]:
    """The names of all versions, sorted."""
    return sorted(_version_folders(models))


def folder_of(models: Folders, version: str) -> Path:
    """The folder of a version.

    Raises:
        UnknownModel: there is no such version.
    """
    known = _version_folders(models)
    if version not in known:
        raise UnknownModel(model=version, known=", ".join(sorted(known)) or "none")
    return known[version]


def _version_folders(models: Folders) -> dict[str, Path]:
    places = [models] if isinstance(models, Path) else models
    found = [manifest.parent for place in reversed(places) for manifest in place.glob(f"*/{MANIFEST}")]
    return {folder.name: folder for folder in found if VERSION_NAME.fullmatch(folder.name)}


def read_manifest(models: Folders, version: str) -> Manifest:
    """Read the manifest of a version.

    Raises:
        UnknownModel: there is no such version.
        DamagedModel: its manifest is not valid.
    """
    folder = folder_of(models, version)
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{MANIFEST}: {'.'.join(map(str, first['loc'])) or 'JSON'}: {fault_in_words(first)}"
        raise DamagedModel(version=version, reason=reason, folder=folder) from error


def verify(models: Folders, version: str) -> Manifest:
    """Read the manifest of a version and check all files, also those of its encoder and detector.

    Raises:
        UnknownModel: there is no such version.
        DamagedModel: a file of the version has changed or is missing.
        DamagedArtefact: its encoder or detector is missing or another one.
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


def check_new(models_dir: Path, version: str) -> None:
    """Check that a version of this name can be made.

    Raises:
        WrongVersionName: it cannot be a version's name.
        ModelExists: there is a version of this name.
    """
    if not VERSION_NAME.fullmatch(version):
        raise WrongVersionName(version=version)
    if (models_dir / version).exists():
        raise ModelExists(version=version, folder=models_dir)


@contextmanager
def new_version(models_dir: Path, version: str) -> Iterator[Path]:
    """A folder to write a version into; it appears under its name when all went well, or never.

    Until then it lies in a hidden folder beside the versions: on one file system, so that one rename does it.

    Args:
        models_dir: the folder of the versions.
        version: its name.

    Raises:
        ModelExists: a version of this name has appeared meanwhile.
    """
    models_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models_dir, prefix=f".{version}.") as hidden:
        folder = Path(hidden) / version
        folder.mkdir()
        yield folder
        check_new(models_dir, version)
        folder.rename(models_dir / version)
