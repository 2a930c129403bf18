"""Writes plain chains of layers as ONNX, where Keras's own export takes more memory than there is.

That of VGG16 needs more than 22 GB. What is written is what Keras's export writes of such a model:
the same operations in the same order, on images that are transposed once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


class _Chain:
    def __init__(self, name: str):
        self.value = name
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def add(self, op: str, *arrays: np.ndarray, **attributes: Any) -> None:
        """Applies an operation to what there is so far."""
        from onnx import helper, numpy_helper

        inputs = [self.value]
        for array in arrays:
            inputs.append(f"w{len(self.weights)}")
            self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), inputs[-1]))
        self.value = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [self.value], **attributes))


def write(model: Any, path: Path) -> None:
    """Writes a model of Conv2D, MaxPooling2D, Flatten and Dense layers.

    Args:
        model: The Keras model: one input, and each layer reads the one before.
        path: The ONNX file.
    """
    import onnx
    from onnx import TensorProto, helper

    chain = _Chain("x")
    chain.add("Transpose", perm=[0, 3, 1, 2])
    for layer in model.layers:
        _WRITERS[type(layer).__name__](chain, layer)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *model.input_shape[1:]])
    result = helper.make_tensor_value_info(
        chain.value, TensorProto.FLOAT, ["n", *model.output_shape[1:]]
    )
    graph = helper.make_graph(chain.nodes, model.name, [given], [result], chain.weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, path)


def _conv(chain: _Chain, layer: Any) -> None:
    kernel, bias = layer.get_weights()
    if layer.padding != "same" or layer.strides != (1, 1):
        raise ValueError(f"Expected stride 1 and padding 'same'. Received: {layer.get_config()}.")
    chain.add("Conv", kernel.transpose(3, 2, 0, 1), bias, auto_pad="SAME_UPPER")
    _activation(chain, layer)


def _dense(chain: _Chain, layer: Any) -> None:
    kernel, bias = layer.get_weights()
    chain.add("Gemm", kernel, bias)
    _activation(chain, layer)


def _flatten(chain: _Chain, layer: Any) -> None:
    del layer
    chain.add("Transpose", perm=[0, 2, 3, 1])
    chain.add("Flatten")


def _max_pool(chain: _Chain, layer: Any) -> None:
    chain.add("MaxPool", kernel_shape=list(layer.pool_size), strides=list(layer.strides))


def _activation(chain: _Chain, layer: Any) -> None:
    name = layer.activation.__name__
    if name != "linear":
        chain.add({"relu": "Relu", "softmax": "Softmax"}[name])


_WRITERS = {
    "InputLayer": lambda chain, layer: None,
    "Conv2D": _conv,
    "Dense": _dense,
    "Flatten": _flatten,
    "MaxPooling2D": _max_pool,
}
