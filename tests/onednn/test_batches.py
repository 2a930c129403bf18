"""Batches that are cut into samples for each core: the same numbers, and only where that is so."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from tests.weights import calibrate, randomise

PART = " samples on a core"


def apart() -> keras.Model:
    """Everything that keeps samples apart, with two inputs and two outputs."""
    x = layers.Input((24, 24, 3))
    y = layers.Conv2D(48, 3, padding="same")(layers.ZeroPadding2D(1)(x))
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.SeparableConv2D(48, 3, padding="same", activation="gelu")(y)
    y = layers.Concatenate()([layers.Conv2D(32, 3, padding="same")(y), layers.MaxPooling2D(1)(y)])
    gate = layers.Dense(80, "sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(y))
    y = layers.AveragePooling2D(2)(layers.Multiply()([y, gate]))
    z = layers.Input((10,))
    flat = layers.Concatenate()([layers.Dense(7, "tanh")(layers.Flatten()(y)), z])
    return keras.Model([x, z], [layers.Dense(5, "softmax")(flat), y])


def _images() -> tuple[keras.KerasTensor, keras.KerasTensor]:
    x = layers.Input((24, 24, 16))
    return x, layers.Conv2D(64, 5, padding="same")(x)


def centred() -> keras.Model:
    x, y = _images()
    return keras.Model(x, y - ops.mean(y, axis=0, keepdims=True))


def merged() -> keras.Model:
    x, y = _images()
    return keras.Model(x, layers.Softmax()(ops.reshape(y, (-1, 64))))


def gathered() -> keras.Model:
    x, y = _images()
    return keras.Model(x, ops.concatenate([y, y], axis=0))


def similar() -> keras.Model:
    x, y = _images()
    y = layers.GlobalAveragePooling2D()(y)
    return keras.Model(x, ops.matmul(y, ops.transpose(y)))


def reversed_samples() -> keras.Model:
    x, y = _images()
    return keras.Model(x, ops.flip(y, axis=0))


def _inputs(model: keras.Model, samples: int) -> list[np.ndarray]:
    generator = np.random.default_rng(samples)
    return [
        generator.uniform(-1, 1, (samples, *x.shape[1:])).astype("float32") for x in model.inputs
    ]


def _check(model: keras.Model, ours, samples: int) -> bool:
    """Compares with Keras; tells whether the batch was cut."""
    x = _inputs(model, samples)
    expected = keras.tree.flatten(model(x[0] if len(x) == 1 else x, training=False))
    for _ in range(2):  # NB: memory that the first run left over must not matter.
        for got, want in zip(keras.tree.flatten(ours.predict_on_batch(x)), expected, strict=True):
            want = np.asarray(want)
            atol = 1e-6 * max(1.0, float(np.abs(want).max()))
            np.testing.assert_allclose(got, want, rtol=2e-5, atol=atol)
    steps = ours.plan_steps(x)
    cut = [step for step in steps if step["implementation"].endswith(PART)]
    assert len(cut) in (0, len(steps))
    return bool(cut)


def test_samples_of_each_core(exported, dividing):
    dividing("always")
    model = calibrate(randomise(apart()), _inputs(apart(), 4))
    ours = exported(model, threads=2)
    # NB: one round and several, chunks of each size; 5 samples are no equal parts.
    cut = {samples: _check(model, ours, samples) for samples in (4, 5, 6, 10, 12, 16, 4)}
    assert cut == {4: True, 5: False, 6: True, 10: True, 12: True, 16: True}


def small() -> keras.Model:
    """What one thread computes in a few microseconds."""
    x = layers.Input((64,))
    y = layers.Dense(128, "relu")(layers.Dense(128, "relu")(x))
    return keras.Model(x, layers.Dense(10, "softmax")(y))


def test_samples_of_small_models(exported):
    model = randomise(small())
    ours = exported(model, threads=2)
    # NB: for a few samples it is not worth the while, and odd ones are no equal parts.
    cut = {samples: _check(model, ours, samples) for samples in (1, 2, 31, 32, 64)}
    assert cut == {1: False, 2: False, 31: False, 32: True, 64: True}
    assert not _check(model, exported(model, threads=1), 32)


def test_small_models_give_the_same_bits_with_and_without_help(exported):
    from concurrent.futures import ThreadPoolExecutor

    model = randomise(small())
    ours = exported(model, threads=2)
    x = _inputs(model, 32)[0]
    expected = ours.predict_on_batch(x)
    np.testing.assert_allclose(expected, np.asarray(model(x)), rtol=2e-5, atol=1e-6)
    for _ in range(2000):
        np.testing.assert_array_equal(ours.predict_on_batch(x), expected)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(ours.predict_on_batch, [x] * 2000):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("build", [centred, merged, gathered, similar, reversed_samples])
def test_samples_that_belong_together(exported, dividing, build):
    dividing("always")
    model = randomise(build())
    assert not _check(model, exported(model, threads=2), 8)


def test_the_clock_decides(exported, dividing):
    dividing("measure")
    model = calibrate(randomise(apart()), _inputs(apart(), 4))
    ours = exported(model, threads=2)
    cut = {samples: _check(model, ours, samples) for samples in (8, 4, 16, 8)}
    # NB: what pays for some samples is taken to pay for more.
    assert cut[4] <= cut[8] <= cut[16], cut
