"""Models that Keras 2 cannot say are refused by name, with the reason."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from kbridge.export import keras2
from tests.export.keras2_files import (
    IMAGE,
    SERIES,
    nested_models,
    weighted,
)

L = layers


@keras.saving.register_keras_serializable("test_keras2")
class Doubled(layers.Layer):
    def call(self, x):
        return 2 * x


@keras.saving.register_keras_serializable("test_keras2")
class Summing(layers.Layer):
    """A cell of the user's that leaves it to Keras to say what it was made with."""

    def __init__(self, units):
        super().__init__()
        self.state_size = self.output_size = units

    def call(self, x, states):
        total = states[0] + keras.ops.sum(x, axis=-1, keepdims=True)
        return total, [total]


def functional(make):
    inputs = keras.Input((8, 4))
    return keras.Model(inputs, make(inputs))


def merge_masked(merge, x):
    return L.LSTM(2)(getattr(layers, merge)()([L.Masking()(x), L.Masking(1.0)(x)]))


def shared_across_models():
    dense = L.Dense(4)
    inner = keras.Sequential([keras.Input((4,)), dense], name="inner")
    inputs = keras.Input((4,))
    return keras.Model(inputs, inner(dense(inputs)))


def frozen_with_trainable_inside():
    inner, _, model = nested_models()
    inner.trainable = False
    inner.layers[1].trainable = True
    return model


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(2)

    def call(self, x):
        return self.dense(x)


def built_subclass():
    model = Subclassed()
    model.build((None, 3))
    return model


REFUSED = {
    "operation": (lambda: functional(lambda x: keras.ops.exp(x)), "keras.ops"),
    "operator": (lambda: functional(lambda x: x + 1), "keras.ops"),
    "hard_sigmoid": (lambda: weighted(activation="hard_sigmoid"), "hard_sigmoid"),
    "own_activation": (lambda: weighted(activation=lambda x: x), "not Keras's own"),
    "missing_layer": (lambda: functional(L.RMSNormalization()), "not among the layers"),
    "lambda": (lambda: functional(L.Lambda(lambda x: x)), "Lambda"),
    "identity_initializer": (lambda: weighted(kernel_initializer="identity"), "Identity"),
    "own_cell": (lambda: functional(L.RNN(Summing(3))), "Summing"),
    "own_layer": (lambda: functional(Doubled()), "Doubled"),
    "rms_scaling": (lambda: functional(L.LayerNormalization(rms_scaling=True)), "rms_scaling"),
    "several_outputs": (
        lambda: keras.Sequential([keras.Input(SERIES), L.LSTM(2, return_state=True)]),
        "several outputs",
    ),
    "spectral": (lambda: functional(L.SpectralNormalization(L.Dense(2))), "not among the layers"),
    "masked_rescaling": (lambda: functional(lambda x: L.Rescaling(2)(L.Masking()(x))), "a mask"),
    "mask_ends_in_flatten": (
        lambda: keras.Sequential([keras.Input(SERIES), L.Masking(), L.Conv1D(2, 3), L.GRU(2)]),
        "a mask",
    ),
    "masked_time_distributed": (
        lambda: functional(
            lambda x: L.TimeDistributed(L.LSTM(2))(
                L.Embedding(5, 4, mask_zero=True)(x)
            )
        ),
        "a mask",
    ),
    **{
        f"masked_{m}": (lambda m=m: functional(lambda x: merge_masked(m, x)), "a mask")
        for m in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract")
    },
    "own_mask": (
        lambda: functional(lambda x: L.LSTM(2)(x, mask=keras.ops.not_equal(x[:, :, 0], 3.0))),
        "keras.ops",
    ),
    "seed": (lambda: functional(L.LSTM(2, seed=3)), "seed=3"),
    "antialias": (lambda: keras.Sequential([keras.Input(IMAGE), L.Resizing(2, 2, antialias=True)]),
                  "antialias"),
    "initializer": (lambda: weighted(
        kernel_initializer=keras.initializers.VarianceScaling(input_axes=[0], output_axes=[1])),
        "input_axes"),
    "infinite": (lambda: functional(L.ReLU(max_value=float("inf"))), "inf"),
    "shared_across_models": (shared_across_models, "share it"),
    "frozen_with_trainable_inside": (frozen_with_trainable_inside, "frozen"),
    "subclass": (built_subclass, "Subclassed"),
    "bfloat16": (lambda: weighted(dtype="bfloat16"), "bfloat16"),
    "optional_input": (lambda: keras.Model(
        i := keras.Input((3,), optional=True), L.Dense(2)(i)), "optional"),
    "quantized": (lambda: quantized(), "Dense"),
}  # fmt: skip


def quantized():
    model = weighted()
    model.quantize("int8")
    return model


@pytest.mark.parametrize("name", REFUSED)
def test_what_keras_2_cannot_say_is_refused(name):
    make, reason = REFUSED[name]
    model = make()
    assert keras2.keras2_model_config(model) is None
    assert reason in keras2.keras2_refusal(model)


def test_layout_of_a_refused_model_has_every_weight_once():
    model = shared_across_models()
    laid = [id(v) for _, weights in keras2.keras2_weight_layout(model) for _, v in weights]
    assert sorted(laid) == sorted(id(v) for v in model.weights)
