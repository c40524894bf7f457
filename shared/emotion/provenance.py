"""Whether the weights of a version are those that it is known by, and nothing but weights.

A `.keras` archive is a program: Keras builds it from its config.json, importing what is named there. So it is
read before Keras reads it, and only the layers of Keras itself pass. The rest is hashes: each file's in the
manifest (`registry.verify`), and the manifest's in the database, which a changed folder cannot reach.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import select

from shared.database.sessions import Database
from shared.database.tables import model
from shared.emotion.registry import MODEL, Manifest
from shared.errors.models import ModelReplaced, UnsafeModel

MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
CONFIG_BYTES = 2**24  # seed-v6's has 9 kB
# Where Keras finds what a network of layers is made of.
MODULES = {"keras", "keras.initializers", "keras.layers", "keras.constraints", "keras.regularizers",
           "keras.losses", "keras.metrics", "keras.optimizers", "keras.src.models.functional"}  # fmt: skip
# Of these modules, what runs code that the archive brings, or loads another file.
REFUSED = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "function"}


def check_archive(file: Path) -> None:
    """Raise UnsafeModel unless this .keras archive names nothing but what Keras brings, and no Lambda."""
    try:
        with zipfile.ZipFile(file) as archive:
            if more := set(archive.namelist()) - MEMBERS:
                raise UnsafeModel(file=file, what=f"the member {min(more)}")
            if archive.getinfo("config.json").file_size > CONFIG_BYTES:
                raise UnsafeModel(file=file, what=f"a config.json of over {CONFIG_BYTES} bytes")
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError) as error:
        raise UnsafeModel(file=file, what=f"no readable config.json ({error})") from error
    for named in _named(config):
        module, name = named.get("module"), named["class_name"]
        if module not in MODULES or name in REFUSED or named.get("registered_name") is not None:
            raise UnsafeModel(file=file, what=f"{module}.{name}")


def _named(config: Any) -> Iterator[dict[str, Any]]:
    """Every object of a config that Keras would build by its class's name."""
    left = [config]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)


def confirm(database: Database, manifest: Manifest) -> None:
    """Have the database know this version by its weights; ModelReplaced where it knows it by others."""
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
    if before["files"][MODEL] != manifest.files[MODEL]:
        raise ModelReplaced(version=manifest.version)
