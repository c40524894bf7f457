"""Graphs as ONNX Runtime runs them best: the same answers, from fewer nodes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from shared.core.settings import REPOSITORY
from shared.models.serving.graphs import with_batch_normalizations

SCALE = np.array([2.0, -0.5, 3.0], np.float32)
SHIFT = np.array([0.0, 1.0, -1.0], np.float32)
BATCH = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)


def kinds(content: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_model_from_string(content).graph.node)


def answers(content: bytes, batch: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: batch}))


def scaled_and_shifted(
    shape: tuple[int, ...] = (1, 3, 1, 1), outputs: tuple[str, ...] = ("shifted",)
) -> bytes:
    nodes = [
        helper.make_node("Relu", ["batch"], ["positive"]),
        helper.make_node("Mul", ["positive", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["shifted"]),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("batch", TensorProto.FLOAT, [None, 3, 4, 5])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 3, 4, 5]) for name in outputs],
        [
            numpy_helper.from_array(SCALE.reshape(shape), "scale"),
            numpy_helper.from_array(SHIFT.reshape(shape), "shift"),
        ],
    )
    opset = helper.make_opsetid("", 15)
    return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString())


def test_scale_and_shift_of_each_channel_become_a_batch_normalization() -> None:
    before = scaled_and_shifted()
    after = with_batch_normalizations(before)
    onnx.checker.check_model(onnx.load_model_from_string(after), full_check=True)
    assert kinds(after) == {"Relu": 1, "BatchNormalization": 1}
    assert np.allclose(answers(before, BATCH)[0], answers(after, BATCH)[0], atol=1e-6)


def test_what_has_another_shape_or_is_shown_itself_stays() -> None:
    for content in (
        scaled_and_shifted(shape=(3, 1, 1)),
        scaled_and_shifted(outputs=("scaled", "shifted")),
    ):
        assert with_batch_normalizations(content) == content


@pytest.mark.parametrize(("version", "found"), [("seed-v6", 3), ("v8-small", 0), ("v8-six", 0)])
def test_shipped_graphs_answer_alike(version: str, found: int) -> None:
    content = (REPOSITORY / "saved_models" / version / "model.onnx").read_bytes()
    after = with_batch_normalizations(content)
    assert kinds(after)["BatchNormalization"] == found
    if found:
        probe = np.load(REPOSITORY / "saved_models" / version / "probe.npz")
        difference = answers(after, probe["inputs"])[0] - answers(content, probe["inputs"])[0]
        assert np.abs(difference).max() < 1e-5
