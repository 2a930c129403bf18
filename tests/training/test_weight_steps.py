"""Regularizers and constraints of every kind of weight: five steps, on weights of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import constraints, layers, ops, regularizers

from tests.training import parity
from tests.weights import randomise

ROWS = 6 * parity.STEPS
X = (6, 5, 2)


@keras.saving.register_keras_serializable("tests")
class Rough(regularizers.Regularizer):
    """A regularizer of a user."""

    def __call__(self, x: Any) -> Any:
        return 0.02 * ops.sum(ops.log(1.0 + ops.abs(x[1:] - x[:-1])))

    def get_config(self) -> dict[str, Any]:
        return {}


@keras.saving.register_keras_serializable("tests")
class Rounded(constraints.Constraint):
    """A constraint of a user."""

    def __call__(self, w: Any) -> Any:
        return w * ops.tanh(ops.sqrt(ops.sum(ops.square(w), axis=-1, keepdims=True)))


def dense(**options: Any) -> Callable:
    return lambda x: layers.Dense(4, **options)(layers.Flatten()(x))


def convolution(**options: Any) -> Callable:
    return lambda x: layers.GlobalAveragePooling2D()(layers.Conv2D(4, (3, 2), **options)(x))


def depthwise(**options: Any) -> Callable:
    made = layers.DepthwiseConv2D(3, depth_multiplier=2, **options)
    return lambda x: layers.GlobalMaxPooling2D()(made(x))


def recurrent(layer: Any = layers.LSTM, **options: Any) -> Callable:
    return lambda x: layer(3, **options)(layers.Reshape((6, 10))(x))


def embedding(**options: Any) -> Callable:
    def apply(x: Any) -> Any:
        tokens = ops.cast(ops.abs(layers.Flatten()(x)[:, :4] * 3), "int32")
        return layers.Flatten()(layers.Embedding(20, 3, **options)(tokens))

    return apply


def normalization(**options: Any) -> Callable:
    return lambda x: layers.Flatten()(layers.BatchNormalization(**options)(x))


def activity(layer: Callable) -> Callable:
    return lambda x: layer(layers.ActivityRegularization(l1=0.002, l2=0.01)(x * 1.0))


REGULARIZERS = {
    "L1": regularizers.L1(0.02),
    "L2": regularizers.L2(0.03),
    "L1L2": regularizers.L1L2(0.01, 0.02),
    "orthogonal rows": regularizers.OrthogonalRegularizer(0.05, mode="rows"),
    "orthogonal columns": regularizers.OrthogonalRegularizer(0.05, mode="columns"),
    "own": Rough(),
}
AXES: dict[str, list[Any]] = {"dense": [0, 1, [0, 1]], "convolution": [0, [0, 1, 2], 3, -1]}
_MADE = {"dense": dense, "convolution": convolution}


def _cases() -> dict[str, Callable]:
    found: dict[str, Callable] = {}
    for name, each in REGULARIZERS.items():
        found[f"{name} of a kernel"] = dense(kernel_regularizer=each)
        if "orthogonal" not in name:
            found[f"{name} of a bias"] = dense(bias_regularizer=each)
            found[f"{name} of filters"] = convolution(kernel_regularizer=each)
            found[f"{name} of answers"] = dense(activity_regularizer=each)
            found[f"{name} of embeddings"] = embedding(embeddings_regularizer=each)
            found[f"{name} of a recurrent layer"] = recurrent(
                kernel_regularizer=each, recurrent_regularizer=each, bias_regularizer=each
            )
    for kind, axes in AXES.items():
        for axis in axes:
            for constraint in (
                constraints.MaxNorm(0.8, axis=axis),
                constraints.UnitNorm(axis=axis),
                constraints.MinMaxNorm(0.6, 0.9, rate=1.0, axis=axis),
                constraints.MinMaxNorm(0.5, 0.7, rate=0.4, axis=axis),
            ):
                options = constraint.get_config()
                told = ", ".join(f"{k}={v}" for k, v in options.items())
                name = f"{type(constraint).__name__}({told}) of {kind}"
                found[name] = _MADE[kind](kernel_constraint=constraint)
    limit, positive = constraints.MaxNorm(0.5), constraints.NonNeg()
    return found | {
        "NonNeg of dense": dense(kernel_constraint=positive, bias_constraint=positive),
        "NonNeg of convolution": convolution(kernel_constraint=positive),
        "own constraint of dense": dense(kernel_constraint=Rounded()),
        "own constraint of convolution": convolution(kernel_constraint=Rounded()),
        "constraints of LSTM": recurrent(
            kernel_constraint=limit, recurrent_constraint=limit, bias_constraint=positive
        ),
        "constraints of GRU": recurrent(
            layers.GRU, kernel_constraint=limit, recurrent_constraint=constraints.UnitNorm()
        ),
        "constraints of embeddings": embedding(embeddings_constraint=constraints.UnitNorm(axis=1)),
        "constraints of batch norm": normalization(
            gamma_constraint=limit, beta_constraint=positive, gamma_regularizer="l2"
        ),
        "constraints of depthwise": depthwise(depthwise_constraint=limit),
        "regularizer of depthwise": depthwise(depthwise_regularizer=REGULARIZERS["L1L2"]),
        "ActivityRegularization": activity(dense()),
        "a constraint and a regularizer": dense(kernel_constraint=limit, kernel_regularizer="l2"),
    }


CASES = _cases()


@pytest.fixture(scope="module")
def trained(jvm: Any, tmp_path_factory: Any) -> dict[str, parity.Trained]:
    """Trains all cases as branches of one model; the weights by name."""
    keras.utils.set_random_seed(6)
    image = keras.Input(X)
    branches = []
    for i, branch in enumerate(CASES.values()):
        # NB: layers are named by the model around them, so that each case has a place of its own.
        inner = keras.Input(X)
        branches.append(keras.Model(inner, branch(inner), name=f"case{i}")(image))
    model = randomise(keras.Model(image, layers.Concatenate()(branches)))
    model.compile(keras.optimizers.SGD(2.0), "mse", jit_compile=False)
    draw = np.random.default_rng(12)
    x = draw.normal(size=(ROWS, *X)).astype("float32")
    y = draw.normal(size=(ROWS, *model.output_shape[1:])).astype("float32")
    return parity.follow(model, tmp_path_factory.mktemp("weights") / "m.h5", x, y)


@pytest.mark.parametrize("name", CASES)
def test_weights(trained: Any, record_property: Any, name: str) -> None:
    record_property("suite", "training steps, regularizers and constraints")
    parity.check(trained, f"case{list(CASES).index(name)}/")
