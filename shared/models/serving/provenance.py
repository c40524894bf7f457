"""Whether the weights of a version are those that it is known by, and nothing but weights.

A `.keras` archive is a program: Keras builds the network from its config.json and imports what is named
there. So it is read here before Keras reads it, and only layers of Keras itself pass. An `.onnx` graph may
name other files, and operators of others: only operators of ONNX itself pass, with their weights inside. The
rest is hashes: those of the files in the manifest (`registry.verify`), and the manifest's in the database,
which a changed folder cannot reach (`version_pins.confirm`).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError, Message

from shared.core.errors.models import UnsafeModel

MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
CONFIG_BYTES = 2**24  # seed-v6's has 9 kB
# Where Keras finds what a network of layers is made of.
MODULES = {"keras", "keras.initializers", "keras.layers", "keras.constraints", "keras.regularizers",
           "keras.losses", "keras.metrics", "keras.optimizers", "keras.src.models.functional"}  # fmt: skip
WIRE = "__keras_tensor__"  # which layer's output goes where: builds nothing
# Of these modules, what runs code that the archive brings, or loads another file.
REFUSED = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "function"}

GRAPH_BYTES = 2**28  # seed-v6's has 0.5 MB
OPERATORS = {"", "ai.onnx"}  # two names of the same set


def check_archive(file: Path) -> None:
    """Check that a .keras archive names nothing but what Keras brings, and no Lambda.

    Raises:
        UnsafeModel: it names something else, or its config.json cannot be read.
    """
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
        if name == WIRE:
            continue
        if module not in MODULES or name in REFUSED or named.get("registered_name") not in (None, name):
            raise UnsafeModel(file=file, what=f"{module}.{name}")


def _named(config: Any) -> Iterator[dict[str, Any]]:
    """Every object of a config that Keras would build by the name of its class."""
    left = [config]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)


def read_graph(file: Path) -> bytes:
    """Read an .onnx file and check that it is complete in itself and uses only operators of ONNX.

    Raises:
        UnsafeModel: it names other files or operators, is too large, or cannot be read.
    """
    import onnx

    if file.stat().st_size > GRAPH_BYTES:
        raise UnsafeModel(file=file, what=f"weights of over {GRAPH_BYTES} bytes")
    content = file.read_bytes()
    try:
        graph = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise UnsafeModel(file=file, what=f"no readable graph ({error})") from error
    for part in _messages(graph):
        if isinstance(part, onnx.TensorProto) and part.data_location == onnx.TensorProto.EXTERNAL:
            raise UnsafeModel(file=file, what=f"weights in another file ({part.name})")
        if isinstance(part, onnx.NodeProto) and part.domain not in OPERATORS:
            raise UnsafeModel(file=file, what=f"{part.domain}.{part.op_type}")
    return content


def _messages(message: Message) -> Iterator[Message]:
    """A message and all messages inside it."""
    left = [message]
    while left:
        part = left.pop()
        yield part
        for field, value in part.ListFields():
            if field.message_type is not None:
                left.extend([value] if isinstance(value, Message) else value)
