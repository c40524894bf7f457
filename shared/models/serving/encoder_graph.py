"""The first layers of Whisper's encoder as an ONNX graph, from their weights; needs `onnx` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shared.audio.arrays import Floats
from shared.audio.log_mel import N_MELS

HEADS = 8
OPSET, IR_VERSION = 20, 10  # the first with Gelu
EPSILON = 1e-5
# Of the 127 that int8 has, so that every processor gives the same answer: without VNNI two products of eight
# bits are added in sixteen, which overflows.
LARGEST = 63
POOLED = "pooled"
Weights = Mapping[str, Floats]
Precision = Literal["float32", "int8"]
# Half of what eight and seven bits do to the answers came from these three of the sixteen linear maps.
SENSITIVE = {"layer_0/self_attention/linear_0", "layer_0/self_attention/linear_1", "layer_3/ffn/linear_1"}


def frames_of(layer: int) -> str:
    """The name of the output of one layer, position by position; layers count from 1."""
    return f"frames_{layer}"


def encoder_graph(weights: Weights, layers: int, precision: Precision) -> bytes:
    """The encoder's graph for one recording at a time, which is cut to its length.

    Its input is `mel`, shape (1, 80, t), from shared.audio.log_mel. Its outputs are `pooled`, shape (1,
    layers, 2 × width), with the mean and the standard deviation of each layer over its positions; and
    `frames_1`, …, shape (1, ceil(t / 2), width), which cost nothing unless they are asked for.

    Args:
        weights: by name.
        layers: how many of the encoder's first layers.
        precision: with int8, weights of a linear map have seven bits and a scale for each output; its inputs
            have eight, with one scale for the whole input, so recordings must not be batched. The SENSITIVE
            maps, convolutions, attention and normalisation stay in float32.

    Returns:
        The serialised graph.

    Source: Radford et al. 2022, arXiv:2212.04356.
    """
    return _Graph(weights, layers, precision).serialised()


class _Graph:
    """Collects the nodes of the graph; `t1`, `t2`, … are the names of their outputs."""

    def __init__(self, weights: Weights, layers: int, precision: Precision) -> None:
        from onnx import TensorProto, helper

        self._weights, self._precision, self._float = weights, precision, TensorProto.FLOAT
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._turned: dict[str, str] = {}
        self._width = weights["conv1/bias"].shape[0]
        x = self._positions(self._convolved("mel"))
        outputs, pooled = [], []
        for layer in range(layers):
            x = self._layer(x, f"layer_{layer}", frames_of(layer + 1))
            pooled.append(self._pooled(x))
            outputs.append(helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, "positions", self._width]))
        self._add("Concat", pooled, name=POOLED, axis=1)
        mel = helper.make_tensor_value_info("mel", TensorProto.FLOAT, [1, N_MELS, "frames"])
        first = helper.make_tensor_value_info(POOLED, TensorProto.FLOAT, [1, layers, 2 * self._width])
        constants = list(self._constants.values())
        self._graph = helper.make_graph(self._nodes, "encoder", [mel], [first, *outputs], constants)

    def serialised(self) -> bytes:
        """The graph as checked bytes."""
        from onnx import checker, helper

        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(self._graph, opset_imports=[opset], ir_version=IR_VERSION)
        checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))

    def _add(self, kind: str, inputs: list[str], name: str = "", **attributes: Any) -> str:
        return self._add_all(kind, inputs, [name or f"t{len(self._nodes) + 1}"], **attributes)[0]

    def _add_all(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> list[str]:
        from onnx import helper

        self._nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        return outputs

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def _numbers(self, *values: int) -> str:
        return self._constant("_".join(["n", *map(str, values)]), np.array(values, np.int64))

    def _of_file(self, key: str) -> str:
        return self._halves(key, self._weights[key])

    def _halves(self, name: str, value: Floats) -> str:
        """A constant in float32 that is stored in float16: as precise as OpenAI stored it, and half the size.

        ONNX Runtime converts it once, when it loads the graph.
        """
        half = np.asarray(value, np.float16)
        if name not in self._turned:
            self._turned[name] = self._add("Cast", [self._constant(name, half)], to=self._float)
        return self._turned[name]

    def _convolved(self, x: str) -> str:
        """Two convolutions over time, the second in steps of two: (1, positions, width)."""
        for name, stride in (("conv1", 1), ("conv2", 2)):
            inputs = [x, self._of_file(f"{name}/weight"), self._of_file(f"{name}/bias")]
            x = self._add("Gelu", [self._add("Conv", inputs, pads=[1, 1], strides=[stride])])
        return self._add("Transpose", [x], perm=[0, 2, 1])

    def _positions(self, x: str) -> str:
        steps = self._add("Slice", [self._add("Shape", [x]), self._numbers(1), self._numbers(2)])
        where = [self._of_file("positions"), self._numbers(0), steps, self._numbers(0)]
        return self._add("Add", [x, self._add("Slice", where)])

    def _norm(self, x: str, part: str) -> str:
        inputs = [x, self._of_file(f"{part}/gamma"), self._of_file(f"{part}/beta")]
        return self._add("LayerNormalization", inputs, axis=-1, epsilon=EPSILON)

    def _linear(self, x: str, part: str) -> str:
        weight = np.asarray(self._weights[f"{part}/weight"], np.float32).T
        bias = self._of_file(f"{part}/bias")
        if self._precision == "float32" or part in SENSITIVE:
            product = self._add("MatMul", [x, self._halves(f"{part}/weight", weight)])
            return self._add("Add", [product, bias])
        scales = np.abs(weight).max(axis=0) / np.float32(LARGEST)
        whole = self._constant(f"{part}/weight", np.rint(weight / scales).astype(np.int8))
        names = [f"{x}_{end}" for end in ("whole", "scale", "zero")]
        values, scale, zero = self._add_all("DynamicQuantizeLinear", [x], names)
        product = self._add("Cast", [self._add("MatMulInteger", [values, whole, zero])], to=self._float)
        unit = self._add("Mul", [scale, self._constant(f"{part}/scales", scales)])
        return self._add("Add", [self._add("Mul", [product, unit]), bias])

    def _heads(self, x: str, *, perm: tuple[int, ...]) -> str:
        shape = self._numbers(0, 0, HEADS, self._width // HEADS)
        return self._add("Transpose", [self._add("Reshape", [x, shape])], perm=perm)

    def _layer(self, x: str, name: str, output: str) -> str:
        part = f"{name}/self_attention"
        joined = self._linear(self._norm(x, f"{part}/layer_norm"), f"{part}/linear_0")
        names = [f"{name}_{which}" for which in ("queries", "keys", "values")]
        queries, keys, values = self._add_all("Split", [joined], names, axis=-1, num_outputs=3)
        scale = self._constant("scale", np.array((self._width // HEADS) ** -0.5, np.float32))
        queries = self._heads(self._add("Mul", [queries, scale]), perm=(0, 2, 1, 3))
        products = self._add("MatMul", [queries, self._heads(keys, perm=(0, 2, 3, 1))])
        shares = self._add("Softmax", [products], axis=-1)
        seen = self._add("MatMul", [shares, self._heads(values, perm=(0, 2, 1, 3))])
        seen = self._add("Transpose", [seen], perm=[0, 2, 1, 3])
        seen = self._add("Reshape", [seen, self._numbers(0, 0, self._width)])
        x = self._add("Add", [x, self._linear(seen, f"{part}/linear_1")])
        inner = self._linear(self._norm(x, f"{name}/ffn/layer_norm"), f"{name}/ffn/linear_0")
        inner = self._linear(self._add("Gelu", [inner]), f"{name}/ffn/linear_1")
        return self._add("Add", [x, inner], name=output)

    def _pooled(self, x: str) -> str:
        """Mean and standard deviation over the positions: (1, 1, 2 × width)."""
        time = self._numbers(1)
        mean = self._add("ReduceMean", [x, time], keepdims=1)
        rest = self._add("Sub", [x, mean])
        variance = self._add("ReduceMean", [self._add("Mul", [rest, rest]), time], keepdims=1)
        return self._add("Concat", [mean, self._add("Sqrt", [variance])], axis=2)
