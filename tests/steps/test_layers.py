"""Layers as they run in training, and what they and their weights add to the loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.steps.harness import JvmSteps, check, zero_rate
from tests.weights import randomise

L = keras.layers
_RNG = np.random.default_rng(31)
_ROWS = 6


class Adds(keras.layers.Layer):
    """A layer that adds losses, one of them an integer count."""

    def call(self, x: Any) -> Any:
        """Gives what it gets."""
        self.add_loss(0.1 * keras.ops.mean(keras.ops.square(x)))
        self.add_loss(keras.ops.sum(keras.ops.cast(x > 0, "int32")))
        return x


class Counts(keras.layers.Layer):
    """A layer with a state: how often it was called, and a mean that it is moved by."""

    def build(self, shape: Any) -> None:
        """Makes the state."""
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")
        self.mean = self.add_weight(shape=shape[1:], trainable=False, name="mean")

    def call(self, x: Any, training: bool = False) -> Any:
        """Moves the mean in training."""
        if training:
            self.calls.assign_add(1.0)
            self.mean.assign(0.9 * self.mean + 0.1 * keras.ops.mean(x, axis=0))
        return x - self.mean


class DrawsAll(keras.layers.Layer):
    """A layer that draws from what there is to draw from."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds = keras.random.SeedGenerator(17)

    def call(self, x: Any, training: bool = False) -> Any:
        """Adds noise in training."""
        if not training:
            return x
        draw, shape = keras.random, keras.ops.shape(x)
        x = x + draw.uniform(shape, -0.5, 2.0, seed=self.seeds)
        x = x + draw.normal(shape, 0.3, 0.7, seed=self.seeds)
        x = x * draw.truncated_normal(shape, 1.0, 0.4, seed=self.seeds)
        whole = draw.randint(shape, -2, 9, seed=self.seeds)
        order = draw.shuffle(x, axis=1, seed=self.seeds)
        return order + keras.ops.cast(whole, x.dtype)


def halves_rows(w: Any) -> Any:
    """A regularizer as users write them."""
    return 0.05 * keras.ops.sum(keras.ops.sqrt(keras.ops.sum(keras.ops.square(w), axis=0) + 1e-6))


class Rounds(keras.constraints.Constraint):
    """A constraint as users write them."""

    def __call__(self, w: Any) -> Any:
        """Rounds to quarters."""
        return keras.ops.round(w * 4.0) / 4.0


def _dense(*layers: Any) -> keras.Model:
    return keras.Sequential([keras.Input((8,)), *layers, L.Dense(3, name="out")])


def _image(*layers: Any) -> keras.Model:
    return keras.Sequential([keras.Input((6, 6, 3)), *layers, L.Flatten(), L.Dense(3, name="out")])


def _twice_normalised() -> keras.Model:
    norm, x = L.BatchNormalization(momentum=0.8, name="bn"), keras.Input((8,))
    y = norm(L.Dense(5)(norm(L.Dense(5)(x))))
    return keras.Model(x, L.Dense(3, name="out")(y))


def _frozen() -> keras.Model:
    model = _dense(L.Dense(6), L.BatchNormalization(), L.Dense(4))
    model.layers[0].trainable = False
    model.layers[1].trainable = False
    return model


def _masked() -> keras.Model:
    x = keras.Input((5,), dtype="int32")
    y = L.Embedding(7, 4, mask_zero=True)(x)
    y = L.LSTM(6, return_sequences=True)(y)
    return keras.Model(x, L.Dense(3, name="out")(y))


def _time_distributed() -> keras.Model:
    x = keras.Input((4, 5))
    y = L.TimeDistributed(L.BatchNormalization(momentum=0.7))(x)
    return keras.Model(x, L.Dense(3, name="out")(L.TimeDistributed(L.Dense(2))(y)))


MODELS: dict[str, Callable[[], keras.Model]] = {
    "batch_norm": lambda: _dense(L.Dense(5), L.BatchNormalization(momentum=0.9)),
    "batch_norm_image": lambda: _image(L.Conv2D(4, 3), L.BatchNormalization(axis=-1)),
    "batch_norm_twice": _twice_normalised,
    "frozen": _frozen,
    "spectral_norm": lambda: _dense(L.SpectralNormalization(L.Dense(5), power_iterations=2)),
    "spectral_norm_conv": lambda: _image(L.SpectralNormalization(L.Conv2D(4, 3))),
    "group_norm": lambda: _image(L.Conv2D(4, 3), L.GroupNormalization(2), L.LayerNormalization()),
    "dropout_none": lambda: _dense(L.Dense(5), L.Dropout(0.0), L.GaussianNoise(0.0)),
    "dropout": lambda: _dense(L.Dense(16, "relu"), L.Dropout(0.4, seed=1)),
    "dropout_shape": lambda: _image(L.SpatialDropout2D(0.5, seed=3), L.Conv2D(2, 3)),
    "alpha_dropout": lambda: _dense(L.Dense(16), L.AlphaDropout(0.3, seed=2)),
    "draws": lambda: _dense(L.Dense(9), DrawsAll(), L.Dense(4)),
    "gaussian": lambda: _dense(L.GaussianNoise(0.5, seed=4), L.GaussianDropout(0.3, seed=5)),
    "activity": lambda: _dense(
        L.Dense(5, activity_regularizer="l2"), L.ActivityRegularization(0.1)
    ),
    "add_loss": lambda: _dense(L.Dense(5), Adds()),
    "state": lambda: _dense(Counts(), L.Dense(4)),
    "regularizers": lambda: _dense(
        L.Dense(5, kernel_regularizer=keras.regularizers.L1(0.02), bias_regularizer="l2"),
        L.Dense(5, kernel_regularizer=keras.regularizers.L1L2(0.01, 0.03)),
        L.Dense(5, kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.2)),
        L.Dense(5, kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.2, "columns")),
        L.Dense(5, kernel_regularizer=halves_rows),
    ),
    "recurrent": lambda: keras.Sequential(
        [
            keras.Input((5, 4)),
            L.LSTM(6, return_sequences=True, kernel_regularizer="l2", activity_regularizer="l1"),
            L.GRU(5, dropout=0.3, recurrent_dropout=0.2, seed=7),
            L.Dense(3, name="out"),
        ]
    ),
    "masked": _masked,
    "time_distributed": _time_distributed,
    "attention": lambda: keras.Sequential(
        [
            keras.Input((4, 8)),
            SelfAttention(dropout=0.2),
            L.GlobalAveragePooling1D(),
            L.Dense(3, name="out"),
        ]
    ),
}


class SelfAttention(keras.layers.Layer):
    """Attention with dropout in it."""

    def __init__(self, dropout: float):
        super().__init__()
        self.inner = L.MultiHeadAttention(2, 4, dropout=dropout, seed=11)

    def build(self, shape: Any) -> None:
        """Builds the layer in it."""
        self.inner.build(shape, shape)

    def call(self, x: Any, training: bool = False) -> Any:
        """Attends to itself."""
        return self.inner(x, x, training=training)


def _data(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    spec, output = model.inputs[0], model.outputs[0]
    shape = (_ROWS, *spec.shape[1:])
    x = _RNG.integers(0, 4, shape) if "int" in spec.dtype else _RNG.normal(size=shape)
    return x.astype(spec.dtype), _RNG.normal(size=(_ROWS, *output.shape[1:])).astype("float32")


@pytest.mark.parametrize("name", MODELS)
def test_layers(jvm: Any, tmp_path: Path, name: str) -> None:
    keras.utils.set_random_seed(5)
    model = randomise(MODELS[name]())
    model.compile(zero_rate(), "mse", metrics=["mae"])
    x, y = _data(model)
    check(model, tmp_path, [x], [y])


def test_constraints(jvm: Any, tmp_path: Path) -> None:
    c = keras.constraints
    made = [
        c.MaxNorm(0.7),
        c.MaxNorm(0.7, axis=[0, 1]),
        c.NonNeg(),
        c.UnitNorm(axis=1),
        c.MinMaxNorm(0.3, 0.8, rate=0.6, axis=[0, 1, 2]),
        Rounds(),
    ]
    layers = [L.Conv2D(3, 3, padding="same", kernel_constraint=one) for one in made]
    layers.append(L.Conv2D(2, 1, bias_constraint="non_neg"))
    model = randomise(_image(*layers))
    model.compile(zero_rate(), "mse")
    import kbridge
    from kbridge.export.metadata import weight_names

    kbridge.export(model, tmp_path / "model.h5")
    found = JvmSteps(tmp_path / "model.h5").constrained()
    names = weight_names(model)
    wanted = {names[id(v)]: v for v in model.trainable_variables if v.constraint is not None}
    assert list(found) == list(wanted)
    assert len(found) == len(made) + 1
    for name, variable in wanted.items():
        expected = keras.ops.convert_to_numpy(variable.constraint(variable))
        np.testing.assert_allclose(found[name], expected, rtol=1e-6, atol=1e-7, err_msg=name)


class OwnStep(keras.Model):
    """A model that trains in its own way."""

    def train_step(self, data: Any) -> Any:
        """Something of its own."""
        return super().train_step(data)


def test_a_training_step_of_its_own_is_refused_by_name(jvm: Any, tmp_path: Path) -> None:
    import kbridge

    x = keras.Input((3,))
    model = OwnStep(x, L.Dense(2)(x))
    model.compile("sgd", "mse")
    kbridge.export(model, tmp_path / "model.h5")
    with kbridge.bundle.read_bundle(tmp_path / "model.h5") as bundle:
        (problem,) = bundle.steps()["refusal"]
    assert problem["class_name"] == "OwnStep"
    assert "train_step" in problem["reason"]


def test_a_model_without_a_loss_has_no_steps(tmp_path: Path) -> None:
    import kbridge

    x = keras.Input((3,))
    model = keras.Model(x, L.Dense(2)(x))
    kbridge.export(model, tmp_path / "model.h5")
    with kbridge.bundle.read_bundle(tmp_path / "model.h5") as bundle:
        assert bundle.steps() is None
