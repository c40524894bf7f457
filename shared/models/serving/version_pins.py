"""Versions are pinned by hash: the database remembers the weights that a version had when first used.

A folder of the same name with other weights is refused, so that results of one version stay comparable.
"""

from __future__ import annotations

from sqlalchemy import select, update

from shared.core.errors.models import ModelReplaced
from shared.database.sessions import Database
from shared.database.tables import model
from shared.models.serving.manifest import MODEL, ONNX, PROBE, Manifest


def confirm(database: Database, manifest: Manifest) -> None:
    """Have the database know this version by its weights.

    An ONNX form that was added later (`shared.models.training.export.complete`) is remembered from when it is
    first met.

    Raises:
        ModelReplaced: the database knows the version by other weights.
    """
    known = select(model.c.manifest).where(model.c.version == manifest.version)
    with database.read() as connection:
        before = connection.execute(known).scalar_one_or_none()
    if before is None:
        values = {
            "version": manifest.version,
            "manifest": manifest.model_dump(mode="json"),
            "created_at": manifest.created.timestamp(),
        }
        with database.write() as connection:
            connection.execute(database.insert(model).values(values).on_conflict_do_nothing())
            before = connection.execute(known).scalar_one()
    derived = {name: manifest.files[name] for name in (ONNX, PROBE) if name in manifest.files}
    if manifest.files.get(MODEL) != before["files"][MODEL] or any(
        before["files"].get(name, digest) != digest for name, digest in derived.items()
    ):
        raise ModelReplaced(version=manifest.version)
    if not derived.keys() <= before["files"].keys():
        grown = {**before, "files": {**before["files"], **derived}}
        with database.write() as connection:
            statement = update(model).where(model.c.version == manifest.version)
            connection.execute(statement.values(manifest=grown))
