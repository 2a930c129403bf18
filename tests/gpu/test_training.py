"""Training steps on a GPU; and on the CPU, in a JVM whose arrays all have memory of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kbridge
from tests.gpu.test_device_memory import PLANS_OF_A_GPU, inputs, networks
from tests.training import parity
from tests.weights import randomise

L = keras.layers
ROWS = 4 * parity.STEPS
_RNG = np.random.default_rng(6)
X = _RNG.normal(size=(20, 8, 8, 2)).astype("float32")
Y = _RNG.integers(0, 4, 20)


def images() -> keras.Model:
    """Filters, statistics, numbers drawn at random, a constraint, a scalar weight."""
    image = keras.Input((8, 8, 2))
    # NB: no bias; before a normalization its gradient is 0, but for rounding.
    h = L.Conv2D(6, 3, padding="same", use_bias=False, kernel_regularizer="l2")(image)
    h = L.PReLU(shared_axes=[1, 2, 3])(L.BatchNormalization(momentum=0.8)(h))
    h = L.Add()([h, L.DepthwiseConv2D(3, padding="same")(h)])
    h = L.Dropout(0.3, seed=2)(L.GroupNormalization(2)(L.MaxPooling2D(2)(h)))
    h = L.GaussianNoise(0.1, seed=3)(L.Flatten()(h))
    h = L.Dense(7, activation="tanh", kernel_constraint=keras.constraints.MaxNorm(1.0))(h)
    return keras.Model(image, L.Dense(4, activation="softmax")(h))


def sequences() -> keras.Model:
    """Gradients in rows, loops both ways, attention."""
    words = keras.Input((6,), dtype="int32")
    h = L.Embedding(40, 5, mask_zero=True)(words)
    h = L.Bidirectional(L.LSTM(4, return_sequences=True))(h)
    # NB: no biases; the gradient of that of the keys is 0, but for rounding.
    h = L.LayerNormalization()(L.MultiHeadAttention(2, 3, use_bias=False)(h, h))
    return keras.Model(words, L.Dense(4, activation="softmax")(L.GRU(4)(h)))


def numbers() -> keras.Model:
    """Few and plain."""
    return keras.Sequential([keras.Input((6,)), L.Dense(5, "tanh"), L.Dense(4, "softmax")])


optimizers = keras.optimizers
# One for each way that values cross: slots, a moving average, whole matrices, rows, accumulated
# gradients, scaled losses.
CASES: dict[str, tuple[Any, Any]] = {
    "average": (images, lambda: optimizers.AdamW(0.01, use_ema=True, ema_overwrite_frequency=2)),
    "whole": (numbers, lambda: optimizers.Muon(0.01, global_clipnorm=0.5)),
    "rows": (sequences, lambda: optimizers.RMSprop(0.01, momentum=0.5, clipnorm=0.3)),
    "accumulated": (numbers, lambda: optimizers.SGD(0.1, gradient_accumulation_steps=2)),
    "scaled": (numbers, lambda: optimizers.LossScaleOptimizer(optimizers.Nadam(0.01), 8.0)),
}


def steps_are_keras_s(folder: Path, **load: Any) -> None:
    """Five steps and an evaluation of each case, beside Keras's."""
    draw = np.random.default_rng(8)
    data = {
        images: draw.normal(size=(ROWS, 8, 8, 2)).astype("float32"),
        sequences: draw.integers(0, 40, (ROWS, 6)).astype("int32"),
        numbers: draw.normal(size=(ROWS, 6)).astype("float32"),
    }
    y = draw.integers(0, 4, ROWS)
    for name, (make, optimizer) in CASES.items():
        keras.utils.set_random_seed(4)
        model = randomise(make())
        model.compile(optimizer(), "sparse_categorical_crossentropy", jit_compile=False)
        try:
            parity.check(parity.follow(model, folder / f"{name}.h5", data[make], y, **load))
        except AssertionError as e:
            raise AssertionError(f"{name}: {e}") from e


def training_goes_there_and_back(folder: Path, **load: Any) -> None:
    """Keras trains, then the JVM (`fit`, `evaluate`, `save`), then Keras, as Keras does alone."""
    model, alone = (randomise(images()) for _ in range(2))
    for one in (model, alone):
        one.compile(
            optimizers.Adam(0.01),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False,
        )
    options = {"epochs": 2, "batch_size": 8, "shuffle": False, "verbose": 0}
    model.train_on_batch(X, Y)
    alone.train_on_batch(X, Y)
    kbridge.export(model, folder / "model.h5")
    with kbridge.load(folder / "model.h5", **load) as loaded:
        found = loaded.fit(X, Y, **options).history
        for name, values in alone.fit(X, Y, **options).history.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-4, err_msg=name)
        np.testing.assert_allclose(
            loaded.evaluate(X, Y, verbose=0), alone.evaluate(X, Y, verbose=0), rtol=1e-4
        )
        loaded.save(folder / "trained.h5")
        np.testing.assert_allclose(loaded.predict(X), alone(X), rtol=1e-4, atol=1e-5)
    kbridge.import_weights(model, folder / "trained.h5")
    assert int(model.optimizer.iterations) == int(alone.optimizer.iterations) == 7
    for one in (model, alone):
        one.train_on_batch(X, Y)
    for one, other in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * np.abs(other).max())


@pytest.fixture(scope="module")
def jvm_with_plans_of_a_gpu() -> Iterator[kbridge.JvmProcess]:
    with kbridge.JvmProcess(jvm_args=PLANS_OF_A_GPU) as jvm:
        yield jvm


def test_training_steps_on_the_plans_of_a_gpu(
    jvm_with_plans_of_a_gpu: kbridge.JvmProcess, tmp_path: Path
) -> None:
    steps_are_keras_s(tmp_path, host=jvm_with_plans_of_a_gpu)


def test_training_there_and_back_on_the_plans_of_a_gpu(
    jvm_with_plans_of_a_gpu: kbridge.JvmProcess, tmp_path: Path
) -> None:
    training_goes_there_and_back(tmp_path, host=jvm_with_plans_of_a_gpu)


@pytest.mark.gpu
def test_training_steps_on_the_gpu(card: None, tmp_path: Path) -> None:
    steps_are_keras_s(tmp_path, host="process", device="gpu")
    training_goes_there_and_back(tmp_path, host="process", device="gpu")


@pytest.mark.gpu
def test_training_steps_beside_a_model_on_the_gpu(card: None, tmp_path: Path) -> None:
    """Steps are computed on the CPU, in a JVM of their own, while another one has the GPU."""
    model = randomise(next(networks())[0])
    kbridge.export(model, tmp_path / "served.h5")
    with kbridge.load(tmp_path / "served.h5", host="process", device="gpu") as served:
        before = served.predict_on_batch(*inputs(["image"], 2))
        training_goes_there_and_back(tmp_path, host="process")
        after = served.predict_on_batch(*inputs(["image"], 2))
    np.testing.assert_array_equal(before, after)
