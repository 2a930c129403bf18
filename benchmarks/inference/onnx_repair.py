"""Puts right what Keras's ONNX export writes wrongly, so that ONNX Runtime can be compared with.

Two faults of it are known: ``Erfc``, which ONNX does not have, stays in models with an exact GELU;
and the mean and variance of a Normalization layer become inputs of the model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def repair(path: Path, model: Any) -> None:
    """Repairs a file in place, if it has one of the faults.

    Args:
        path: The ONNX file.
        model: The Keras model it was made of.
    """
    import onnx

    proto = onnx.load(path)
    if _replace_erfc(proto.graph) | _fill_in_statistics(proto.graph, model):
        onnx.save(proto, path)


def _replace_erfc(graph: Any) -> bool:
    """Writes ``Erfc(x)`` as ``1 - Erf(x)``."""
    from onnx import helper, numpy_helper

    found = [node for node in graph.node if node.op_type == "Erfc"]
    if not found:
        return False
    graph.initializer.append(numpy_helper.from_array(np.float32(1), "erfc_one"))
    nodes = []
    for node in graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        middle = f"{node.output[0]}_erf"
        nodes.append(helper.make_node("Erf", [node.input[0]], [middle]))
        nodes.append(helper.make_node("Sub", ["erfc_one", middle], [node.output[0]]))
    del graph.node[:]
    graph.node.extend(nodes)
    return True


def _fill_in_statistics(graph: Any, model: Any) -> bool:
    """Makes constants of the statistics that became inputs."""
    import keras
    from onnx import numpy_helper

    extra = list(graph.input)[len(model.inputs) :]
    if not extra:
        return False
    layers = [x for x in model._flatten_layers() if isinstance(x, keras.layers.Normalization)]
    if len(layers) != 1 or len(extra) != 2:
        names = [value.name for value in extra]
        raise ValueError(f"Expected the statistics of one Normalization. Received: inputs {names}.")
    for value in extra:
        statistic = layers[0].mean if value.name.endswith("Sub/y") else layers[0].variance
        array = np.asarray(keras.ops.convert_to_numpy(statistic), "float32")
        graph.initializer.append(numpy_helper.from_array(array, value.name))
        graph.input.remove(value)
    return True
