"""TimeDistributed around layers, models, and layers of the user's."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from tests.layers.harness import Case, In, layer_test
from tests.layers.recurrent import SEQUENCE, check, explicit


@keras.saving.register_keras_serializable("tests")
class AcrossBatch(layers.Layer):
    """Does something across the batch, so that time steps cannot be taken for batch entries."""

    def call(self, x: Any) -> Any:
        return x - ops.mean(x, axis=0, keepdims=True)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


@keras.saving.register_keras_serializable("tests")
class MaskedAcrossBatch(layers.Layer):
    """The same, with a mask of which samples count."""

    def call(self, x: Any, mask: Any = None) -> Any:
        if mask is None:
            return x
        weight = ops.expand_dims(ops.cast(mask, x.dtype), -1)
        return x - ops.sum(x * weight, axis=0, keepdims=True)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def _distributed() -> list[Case]:
    def of(make: Any) -> Any:
        return lambda: layers.TimeDistributed(make())

    def nested() -> Any:
        return keras.Sequential([keras.Input((4,)), layers.Dense(3, "relu"), layers.Dense(2)])

    def lstm() -> Any:
        return layers.LSTM(3)

    two = (In((None, 4)), In((None,), "bool"))
    nested_sequences = (In((None, 5, 4)),)
    return [
        Case("TimeDistributed", "Dense", SEQUENCE, of(lambda: layers.Dense(3))),
        Case("TimeDistributed", "Conv2D", (In((None, 6, 5, 2)),), of(lambda: layers.Conv2D(3, 2))),
        Case("TimeDistributed", "model", SEQUENCE, of(nested)),
        Case("TimeDistributed", "LSTM", nested_sequences, of(lstm)),
        Case("TimeDistributed", "across the batch", SEQUENCE, of(AcrossBatch)),
        Case(
            "TimeDistributed",
            "across the batch, masked",
            two,
            of(MaskedAcrossBatch),
            explicit,
        ),
        Case("TimeDistributed", "fixed length", (In((6, 4)),), of(AcrossBatch)),
        Case("TimeDistributed", "before an LSTM, masked", SEQUENCE, _layers_after_masking()),
        Case("TimeDistributed", "Dropout", SEQUENCE, of(lambda: layers.Dropout(0.5))),
    ]


def _layers_after_masking() -> Any:
    return lambda: keras.Sequential(
        [layers.Masking(0.0), layers.TimeDistributed(layers.Dense(3)), layers.LSTM(4)]
    )


CASES = _distributed()

test_layer = layer_test(CASES, check)
