"""Wrappers around other layers but for recurrent ones and TimeDistributed, which have modules."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from tests.layers.harness import Case, In, layer_test


class AcrossBatch(layers.Layer):
    """Does something across the batch, so that its time steps cannot be taken for batch entries."""

    def call(self, x: Any) -> Any:
        return x - keras.ops.mean(x, axis=0, keepdims=True)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def _of(make: Any, **config: Any) -> Any:
    return lambda: layers.TimeDistributed(make(), **config)


def _masked(layer: Any, x: Any) -> Any:
    return layer(layers.Embedding(7, 4, mask_zero=True)(x))


def _small_model() -> Any:
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, "relu"), layers.Dense(2)])


CASES = [
    Case("TimeDistributed", "default", (In((6, 4)),), _of(lambda: layers.Dense(3))),
    Case("TimeDistributed", "convolution", (In((3, 6, 5, 2)),), _of(lambda: layers.Conv2D(3, 2))),
    Case("TimeDistributed", "model", (In((3, 4)),), _of(_small_model)),
    Case("TimeDistributed", "free sizes", (In((None, 4)),), _of(lambda: layers.Dense(3, "tanh"))),
    Case("TimeDistributed", "batch normalization", (In((3, 4)),), _of(layers.BatchNormalization)),
    Case(
        "TimeDistributed",
        "mask",
        (In((6,), "int32", high=7),),
        _of(lambda: layers.Dense(3)),
        call=_masked,
    ),
    Case("TimeDistributed", "custom layer", (In((3, 4)),), _of(AcrossBatch)),
    Case("TimeDistributed", "flatten", (In((3, 2, 4)),), _of(layers.Flatten)),
]

test_layer = layer_test(CASES)
