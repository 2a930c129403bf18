"""Where a backend of Keras departs from what Keras says an operation computes.

A bundle answers what the exported model answers where it was exported, so these are written down as
the backend computes them. Each is found by asking Keras itself, and is gone where it is repaired.
"""

from __future__ import annotations

import functools

import keras
import numpy as np

from kbridge.export.graph import GraphBuilder, Value
from kbridge.export.normalise import OpCall, normalises, operands_of


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
