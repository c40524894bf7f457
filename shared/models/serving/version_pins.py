"""Versions are pinned by hash: the database remembers the weights that a version had when first used.

A folder of the same name with other weights is refused, so that results of one version stay comparable.
"""

from __future__ import annotations

from shared.core.errors.models import ModelReplaced
from shared.database import models
from shared.database.sessions import Database
from shared.models.serving.manifest import MODEL, ONNX, PROBE, Manifest


def confirm(database: Database, manifest: Manifest) -> None:
    """Have the database know this version by its weights.

    An ONNX form that was added later (`shared.models.training.export.complete`) is remembered from when it is
    first met.

    Raises:
        ModelReplaced: the database knows the version by other weights.
    """
    version, document = manifest.version, manifest.model_dump(mode="json")
    with database.read() as connection:
        before = models.known_manifest(connection, version)
    if before is None:
        with database.write() as connection:
            models.insert_model(connection, database, version, document, manifest.created.timestamp())
            before = models.known_manifest(connection, version) or document
    derived = {name: manifest.files[name] for name in (ONNX, PROBE) if name in manifest.files}
    if manifest.files.get(MODEL) != before["files"][MODEL] or any(
        before["files"].get(name, digest) != digest for name, digest in derived.items()
    ):
        raise ModelReplaced(version=version)
    if not derived.keys() <= before["files"].keys():
        grown = {**before, "files": {**before["files"], **derived}}
        with database.write() as connection:
            models.set_manifest(connection, version, grown)
