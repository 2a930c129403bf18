"""Where a model's last activation functions are, and what feeds them.

A softmax or sigmoid that saturates gives 0 and 1 whatever the differences before it: values that
feed such a function are compared as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SATURATING = frozenset(
    ["HardSigmoid", "HardTanh", "LogSigmoid", "LogSoftmax", "Sigmoid", "Softmax", "Softsign"]
    + ["SparseSigmoid", "Sparsemax", "Tanh"]
)
# Operations that only move or convert elements, through which an output is followed back.
_MOVERS = frozenset(["Cast", "ExpandDims", "Identity", "Reshape", "Squeeze", "Transpose"])


@dataclass(frozen=True)
class Logits:
    """The input of the activation function that gives an output.

    Attributes:
        output: Name of the model's output.
        op: The activation's operation.
        value: Name of the value that feeds it.
        layer: Scope and call of the layer it belongs to.
        measured: Scope and call of the layer whose output the value is, and its place among that
            layer's outputs; None where it is inside of `layer`.
    """

    output: str
    op: str
    value: str
    layer: tuple[str, int]
    measured: tuple[tuple[str, int], int] | None


def find_logits(spec: Mapping[str, Any]) -> list[Logits]:
    """Finds the logits of every output that a saturating function gives.

    Args:
        spec: The bundle's spec.

    Returns:
        The logits, in the order of the outputs; outputs without any are left out.
    """
    makers = {
        output["name"]: node
        for node in spec["graphs"]["inference"]["nodes"]
        for output in node["outputs"]
    }
    found = []
    for output in spec["outputs"]:
        logits = _follow(spec, makers, output)
        if logits is not None:
            found.append(logits)
    return found


def _follow(
    spec: Mapping[str, Any], makers: Mapping[str, Any], output: Mapping[str, Any]
) -> Logits | None:
    value, passed = output["value"], {output["value"]}
    while value in makers and makers[value]["op"] in _MOVERS:
        value = makers[value]["inputs"][0]
        passed.add(value)
    node = makers.get(value)
    if node is None or node["op"] not in _SATURATING:
        return None
    fed_by = node["inputs"][0]
    measured = None
    layer = (node["scope"], 0)
    for entry in spec["layer_outputs"]:
        call = (entry["scope"], entry["call"])
        if fed_by in entry["values"]:
            measured = (call, entry["values"].index(fed_by))
        if entry["scope"] == node["scope"] and passed.intersection(entry["values"]):
            layer = call
    return Logits(output["name"], node["op"], fed_by, layer, measured)
