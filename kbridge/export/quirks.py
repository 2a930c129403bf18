"""Where a backend of Keras departs from what Keras says an operation computes.

A bundle answers what the exported model answers where it was exported, so these are written down as
the backend computes them. Where versions differ Keras itself is asked.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kbridge.export.graph import GraphBuilder, Value
from kbridge.export.normalise import OpCall, general, normalises, operands_of, specifies
from kbridge.export.trace import UnsupportedCall

Shape = tuple[int, ...]


@normalises("Add")
def add(call: OpCall, b: GraphBuilder) -> list[Value]:
    """An addition; see `adds_vectors_last`."""
    x1, x2 = operands_of(call, b)
    axes = [axis for axis, size in enumerate(x2.shape) if size > 1]
    if len(axes) == 1 and 1 < x1.ndim >= x2.ndim and axes[0] != x2.ndim - 1:
        size = x2.shape[axes[0]]
        if x1.shape[-1] == size and adds_vectors_last():
            x2 = b.reshape(x2, (size,))
    return b.emit("Add", [x1, x2], {}, *call.specs)


@functools.cache
def adds_vectors_last() -> bool:
    """Whether the backend adds a vector to the last axis although its shape says another.

    TensorFlow's `ops.add` of Keras 3.15 takes ``x + b`` for a bias where ``b`` has one axis that is
    not 1, and puts it on the last axis if the sizes fit: ``(n, c, c) + (1, c, 1)``, which is the
    bias of a channels-first convolution whose width is its number of channels.
    """
    x, vector = np.zeros((1, 2, 2), "float32"), np.array([[[1.0], [2.0]]], "float32")
    found = keras.ops.convert_to_numpy(keras.ops.add(x, vector))
    return not np.array_equal(found, x + vector)


@specifies("BatchNorm")
def batch_norm_spec(op: Any, x: Any, *parameters: Any, **named: Any) -> keras.KerasTensor:
    """Keras's own inference fails where `scale` or `offset` is None, and takes vectors only."""
    given = [tuple(np.shape(p)) for p in (*parameters, *named.values()) if p is not None]
    shape = tuple(x.shape)
    if not _are_vectors(shape[op.axis], given):
        shape = np.broadcast_shapes(shape, *_parameter_shapes(op.axis, len(shape), given))
    return keras.KerasTensor(shape, dtype=x.dtype)


@normalises("BatchNorm")
def batch_norm(call: OpCall, b: GraphBuilder) -> list[Value]:
    """Keras wants vectors; the backends take what can be broadcast, such as one number for all."""
    arguments = call.arguments
    x, variance = (b.value_of(arguments[name]) for name in ("x", "variance"))
    axis = call.attrs["axis"]
    given = {
        name: b.value_of(arguments[name], variance.dtype)
        for name in ("mean", "variance", "offset", "scale")
        if arguments[name] is not None
    }
    shapes = [value.shape for value in given.values()]
    if _are_vectors(x.shape[axis], shapes):
        return general(call, b)
    for (name, value), shape in zip(
        given.items(), _parameter_shapes(axis, x.ndim, shapes), strict=True
    ):
        given[name] = value if value.shape == shape else b.reshape(value, shape)
    epsilon = b.value_of(float(call.attrs["epsilon"]), variance.dtype)
    shifted = _broadcast(b, "Add", given["variance"], epsilon)
    factor = b.emit("Rsqrt", [shifted], {}, (shifted.shape, shifted.dtype))[0]
    if "scale" in given:
        factor = _broadcast(b, "Multiply", factor, given["scale"])
    offset = given.get("offset", b.value_of(0.0, variance.dtype))
    offset = _broadcast(b, "Subtract", offset, _broadcast(b, "Multiply", given["mean"], factor))
    product = _broadcast(b, "Multiply", x, b.cast(factor, x.dtype))
    return [_broadcast(b, "Add", product, b.cast(offset, x.dtype))]


def _broadcast(b: GraphBuilder, op: str, x: Value, y: Value) -> Value:
    return b.emit(op, [x, y], {}, (np.broadcast_shapes(x.shape, y.shape), x.dtype))[0]


def _are_vectors(channels: int, shapes: Sequence[Shape]) -> bool:
    """Whether all parameters are what Keras wants: vectors along the axis."""
    size = shapes[0]
    # NB: a number of channels that is known at call time only is here another than it will be.
    return len(size) == 1 and len(set(shapes)) == 1 and (size[0] == 1) == (channels == 1)


def _parameter_shapes(axis: int, ndim: int, shapes: Sequence[Shape]) -> list[Shape]:
    """The shapes in which a backend takes parameters, of which the mean is the first.

    TensorFlow's leaves them as they are if the axis is -1; otherwise all are as long as the mean.
    """
    if axis == -1 and keras.backend.backend() == "tensorflow":
        return list(shapes)
    size = shapes[0][0] if shapes[0] else 1
    if any(math.prod(shape) != size for shape in shapes):
        raise UnsupportedCall(
            "mean, variance, offset and scale of keras.ops.batch_normalization have shapes "
            f"{', '.join(map(str, shapes))}, where vectors of one length are expected",
            "Broadcast them to the number of channels.",
        )
    along = [1] * ndim
    along[axis] = size
    return [tuple(along)] * len(shapes)
