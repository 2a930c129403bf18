"""Raw TensorFlow graph nodes inside Keras 2 models (`TensorFlowOpLayer`, TensorFlow 2.0 to 2.3).

A node is known by its type, its attributes and its constant inputs by position.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from kbridge.export.legacy.context import Context
from kbridge.export.legacy.registry import Config, Converted, Refused, converts

_SIMPLE: dict[str, Callable[..., Any]] = {
    "Add": ops.add,
    "AddV2": ops.add,
    "Sub": ops.subtract,
    "Mul": ops.multiply,
    "RealDiv": ops.true_divide,
    "FloorDiv": ops.floor_divide,
    "FloorMod": ops.mod,
    "Pow": ops.power,
    "Maximum": ops.maximum,
    "Minimum": ops.minimum,
    "Equal": ops.equal,
    "NotEqual": ops.not_equal,
    "Greater": ops.greater,
    "GreaterEqual": ops.greater_equal,
    "Less": ops.less,
    "LessEqual": ops.less_equal,
    "LogicalAnd": ops.logical_and,
    "LogicalOr": ops.logical_or,
    "Abs": ops.abs,
    "Neg": ops.negative,
    "Exp": ops.exp,
    "Log": ops.log,
    "Log1p": ops.log1p,
    "Sqrt": ops.sqrt,
    "Rsqrt": ops.rsqrt,
    "Square": ops.square,
    "Sin": ops.sin,
    "Cos": ops.cos,
    "Tan": ops.tan,
    "Floor": ops.floor,
    "Ceil": ops.ceil,
    "Round": ops.round,
    "Sign": ops.sign,
    "Erf": ops.erf,
    "Reciprocal": ops.reciprocal,
    "LogicalNot": ops.logical_not,
    "Relu": ops.relu,
    "Relu6": ops.relu6,
    "Elu": ops.elu,
    "Selu": ops.selu,
    "Tanh": ops.tanh,
    "Sigmoid": ops.sigmoid,
    "Softplus": ops.softplus,
    "Softsign": ops.softsign,
    "StopGradient": ops.stop_gradient,
    "ZerosLike": ops.zeros_like,
    "OnesLike": ops.ones_like,
    "Identity": lambda x: x,
    "BiasAdd": ops.add,
    "Reshape": ops.reshape,
    "Transpose": ops.transpose,
    "ExpandDims": ops.expand_dims,
    "Tile": ops.tile,
    "SelectV2": ops.where,
    "SquaredDifference": lambda x, y: ops.square(ops.subtract(x, y)),
}
_REDUCTIONS = {"Sum": ops.sum, "Mean": ops.mean, "Max": ops.max, "Min": ops.min, "Prod": ops.prod}
# Attributes that say how TensorFlow runs a node, not what it computes.
_NEUTRAL = {"T", "Tidx", "Tperm", "Tshape", "Tdim", "Tmultiples", "N", "_cloned", "_output_shapes"}


@converts("TensorFlowOpLayer")
def tensorflow_op_layer(config: Config, context: Context) -> Converted:
    """Returns a function of the node's tensors; constants go back to their positions."""
    node = config.get("node_def")
    if not isinstance(node, dict):
        raise Refused(
            "the TensorFlow node is stored as protocol buffer bytes",
            "replace it by a Keras layer or keras.ops and save again",
        )
    function = _function(str(node.get("op")), node.get("attr", {}))
    constants = {int(k): v for k, v in (config.get("constants") or {}).items()}
    context.note(
        f"{context.where()}: the TensorFlow node {node.get('op')} is written with keras.ops"
    )

    def apply(inputs: Any, **_: Any) -> Any:
        tensors = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        for index in sorted(constants):
            tensors.insert(index, constants[index])
        return function(*tensors)

    return Converted(apply=apply)


def _function(op: str, attrs: Config) -> Callable[..., Any]:
    meaningful = {k: v for k, v in attrs.items() if k not in _NEUTRAL}
    if op in _REDUCTIONS:
        keep = bool(meaningful.pop("keep_dims", {}).get("b", False))
        if not meaningful:
            return lambda x, axis: _REDUCTIONS[op](x, axis=_axes(axis), keepdims=keep)
    if op == "ConcatV2" and not meaningful:
        return lambda *tensors: ops.concatenate(tensors[:-1], int(tensors[-1]))
    if op == "MatMul" and not any(v.get("b") for v in meaningful.values()):
        return ops.matmul
    if op == "LeakyRelu":
        alpha = float(meaningful.pop("alpha", {}).get("f", 0.2))
        return lambda x: ops.leaky_relu(x, negative_slope=alpha)
    if op == "BiasAdd" and meaningful.pop("data_format", {}).get("s", "TkhXQw==") != "TkhXQw==":
        raise Refused("the TensorFlow node BiasAdd in NCHW is not supported", "use NHWC")
    if op in _SIMPLE and not any(v.get("b") for v in meaningful.values()):
        return _SIMPLE[op]
    raise Refused(
        f"the TensorFlow node '{op}' with attributes {sorted(meaningful)} has no counterpart here",
        "replace it by a Keras layer or keras.ops and save again",
    )


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, (list, tuple)) else axis
