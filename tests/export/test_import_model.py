"""A bundle gives back the Keras model it was made from: equal predictions, and training goes on."""

from __future__ import annotations

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import optimizers

from kbridge.export import metadata
from kbridge.export.exporter import export
from kbridge.importer import import_model
from tests.export.imported import (
    Mine,
    assert_same_predictions,
    assert_same_steps,
    bundle_of,
    custom_model,
    my_loss,
    randomised,
)


def mixed():
    image = keras.Input((8, 8, 3), name="image")
    words = keras.Input((5,), dtype="int32", name="words")
    x = L.Conv2D(4, 3, kernel_regularizer="l2", name="conv")(image)
    x = L.BatchNormalization(name="bn")(x)
    x = L.GlobalAveragePooling2D()(keras.ops.relu(x))
    y = L.Embedding(7, 6, mask_zero=True)(words)
    y = L.Bidirectional(L.GRU(3))(y)
    inner = keras.Sequential([keras.Input((6,)), L.Dense(4, name="same"), L.Dropout(0.3)], name="i")
    z = L.Concatenate()([L.Dense(6, name="same")(x), y])
    z = L.Dense(6, activation="gelu")(z)
    return keras.Model({"image": image, "words": words}, {"a": inner(z), "b": L.Dense(1)(inner(z))})


def inputs_of_mixed(count=6):
    rng = np.random.default_rng(2)
    return {
        "image": rng.normal(size=(count, 8, 8, 3)).astype("float32"),
        "words": rng.integers(0, 7, (count, 5)).astype("int32"),
    }


def test_architecture_and_weights(tmp_path):
    model = randomised(mixed())
    twin = import_model(bundle_of(model, tmp_path / "m.h5"))
    assert_same_predictions(model, twin, inputs_of_mixed())
    assert set(metadata.weight_names(twin).values()) == set(metadata.weight_names(model).values())
    assert not twin.compiled


def test_an_exported_bundle(tmp_path):
    model = keras.Sequential(
        [keras.Input((4,)), L.Normalization(), L.Dense(3, activation="relu"), L.Dense(2)]
    )
    model.layers[0].adapt(np.random.default_rng(0).normal(3.0, 2.0, (50, 4)))
    model.compile(optimizers.Adam(0.01), "mse")
    x, y = np.ones((4, 4), "float32"), np.zeros((4, 2), "float32")
    model.fit(x, y, verbose=0)
    export(model, tmp_path / "m.h5")
    twin = import_model(tmp_path / "m.h5")
    assert_same_predictions(model, twin, x)
    assert_same_steps(model, twin, x, y)


OPTIMIZERS = {
    "adam": lambda: optimizers.Adam(0.01, amsgrad=True, clipnorm=1.0),
    "schedule": lambda: optimizers.SGD(
        optimizers.schedules.CosineDecay(0.1, 8, warmup_steps=4, warmup_target=0.2), momentum=0.9
    ),
    "nadam": lambda: optimizers.Nadam(0.01),
    "lamb": lambda: optimizers.Lamb(0.01),
    "muon": lambda: optimizers.Muon(0.01),
    "adafactor": lambda: optimizers.Adafactor(0.01),
    "schedule_free": lambda: optimizers.ScheduleFreeAdamW(0.01),
    "averages": lambda: optimizers.RMSprop(0.01, use_ema=True, gradient_accumulation_steps=2),
    "scaled": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.01), initial_scale=32.0),
    "several": lambda: optimizers.MultiOptimizer(
        optimizers.OptimizerMap(optimizers.SGD(0.1), {".*bias": optimizers.Adam(0.01)})
    ),
    "decay": lambda: without_decay(optimizers.AdamW(0.01, weight_decay=0.2)),
}


def without_decay(optimizer):
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma"])
    return optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_exactly(name, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((4,), name="x"),
            L.Dense(6, activation="tanh", kernel_constraint="unit_norm", name="a"),
            L.BatchNormalization(name="bn"),
            L.Dropout(0.4, seed=3, name="drop"),
            L.Dense(2, kernel_regularizer="l2", name="b"),
        ],
        name="m",
    )
    model.compile(OPTIMIZERS[name](), keras.losses.Huber(0.3), metrics=["mae"])
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(8, 4)).astype("float32"), rng.random((8, 2)).astype("float32")
    model.fit(x, y, batch_size=4, epochs=2, verbose=0, shuffle=False)
    twin = import_model(bundle_of(model, tmp_path / "m.h5"))
    assert twin.loss.get_config() == model.loss.get_config()
    model.reset_metrics()
    assert_same_steps(model, twin, x, y)


def test_outputs_compiled_by_name(tmp_path):
    model = randomised(mixed())
    model.compile(
        "adam",
        loss={"a": keras.losses.MeanSquaredError(reduction="sum"), "b": "mae"},
        loss_weights={"a": 0.5, "b": 2.0},
        metrics={"a": [keras.metrics.CosineSimilarity(axis=0)]},
    )
    targets = {"a": np.ones((6, 4), "float32"), "b": np.zeros((6, 1), "float32")}
    twin = import_model(bundle_of(model, tmp_path / "m.h5"))
    expected = model.evaluate(inputs_of_mixed(), targets, verbose=0, return_dict=True)
    actual = twin.evaluate(inputs_of_mixed(), targets, verbose=0, return_dict=True)
    assert actual == expected
    assert len(expected) >= 4


class Whole(keras.Model):
    """A subclassed model without arguments, which Keras can describe."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = L.Dense(3), L.Dense(3)

    def build(self, shape):
        self.first.build(shape)
        self.second.build((None, 3))

    def call(self, x):
        return self.second(self.first(x))


def test_custom_objects(tmp_path):
    model = custom_model()
    path = bundle_of(model, tmp_path / "m.h5")
    twin = import_model(path, {"Mine": Mine, "my_loss": my_loss})
    x, y = np.ones((2, 3), "float32"), np.zeros((2, 3), "float32")
    assert_same_predictions(model, twin, x)
    assert_same_steps(model, twin, x, y)


def test_a_subclassed_model(tmp_path):
    model = Whole()
    model.build((None, 4))
    randomised(model)
    twin = import_model(bundle_of(model, tmp_path / "m.h5"), {"Whole": Whole})
    assert_same_predictions(model, twin, np.ones((2, 4), "float32"))


def test_bfloat16_and_infinite_arguments(tmp_path):
    model = randomised(
        keras.Sequential(
            [keras.Input((3,)), L.Dense(2, dtype="bfloat16"), L.ReLU(max_value=float("inf"))]
        )
    )
    twin = import_model(bundle_of(model, tmp_path / "m.h5"))
    assert twin.layers[1].max_value == float("inf")
    assert twin.layers[0].kernel.dtype == "bfloat16"
    for a, e in zip(twin.weights, model.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), e.numpy())


class OwnCompile(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = L.Dense(2)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)

    def compile(self, temperature, **kwargs):
        super().compile(**({"optimizer": "sgd", "loss": "mse"} | kwargs))
        self.temperature = temperature

    def get_compile_config(self):
        return {"temperature": self.temperature}

    def compile_from_config(self, config):
        self.compile(**config)


class NoCompileConfig(OwnCompile):
    get_compile_config = keras.Model.get_compile_config


@pytest.mark.parametrize("cls", [OwnCompile, NoCompileConfig])
def test_a_class_with_its_own_compile(cls, tmp_path):
    model = cls()
    model.build((None, 3))
    model.compile(2.5)
    path = bundle_of(model, tmp_path / "m.h5")
    if cls is OwnCompile:
        assert import_model(path, {cls.__name__: cls}).temperature == 2.5
    else:
        with pytest.warns(UserWarning, match="returned uncompiled"):
            assert not import_model(path, {cls.__name__: cls}).compiled


ACROSS = """
import sys, keras, numpy as np
from kbridge.importer import import_model
model = import_model(sys.argv[1])
x = np.load(sys.argv[2])
np.save(sys.argv[3], model.predict(x, verbose=0))
model.train_on_batch(x, np.zeros((len(x), 2), "float32"))
np.save(sys.argv[4], keras.ops.convert_to_numpy(model.layers[-1].kernel))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_continues(backend, tmp_path):
    model = keras.Sequential([keras.Input((5, 4)), L.GRU(3), L.Dense(2)])
    model.compile(optimizers.AdamW(0.01), "mse")
    x = np.random.default_rng(0).normal(size=(4, 5, 4)).astype("float32")
    model.fit(x, np.zeros((4, 2), "float32"), epochs=2, verbose=0)
    path = bundle_of(model, tmp_path / "m.h5")
    np.save(tmp_path / "x.npy", x)
    files = [str(tmp_path / name) for name in ("m.h5", "x.npy", "y.npy", "k.npy")]
    done = subprocess.run(
        [sys.executable, "-c", ACROSS, *files],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert path.exists()
    np.testing.assert_allclose(
        np.load(tmp_path / "y.npy"), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )
    model.train_on_batch(x, np.zeros((4, 2), "float32"))
    kernel = model.layers[-1].kernel.numpy()
    np.testing.assert_allclose(np.load(tmp_path / "k.npy"), kernel, rtol=1e-4, atol=1e-6)
