"""Convolutions of single pixels by machine code of ours, against native Keras."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from keras import layers

from kbridge.jvm.cpu import cpu_flags
from tests.weights import calibrate, randomise

pytestmark = pytest.mark.skipif(
    "avx512bw" not in cpu_flags(), reason="this CPU has no AVX-512, for which the code is"
)


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).uniform(-1, 1, shape).astype("float32")


def pointwise() -> keras.Model:
    """Columns that panels do not divide; sums, in place or not; strides in images of all sizes."""
    x = layers.Input((19, 31, 32))
    a = layers.Conv2D(48, 1, activation="relu")(x)
    b = layers.BatchNormalization()(layers.Conv2D(48, 1, use_bias=False)(a))
    a = layers.ReLU()(layers.Add()([b, a]))
    c = layers.Add()([layers.Conv2D(80, 1)(a), layers.Conv2D(80, 1, strides=1)(x)])
    d = layers.ReLU()(layers.Conv2D(16, 1, strides=(1, 2), padding="same")(c))
    e = layers.Conv2D(112, 1, strides=2, use_bias=False)(c)
    f = layers.ReLU()(layers.Add()([layers.Conv2D(112, 1)(e), e]))
    g = layers.Conv2D(64, 1, strides=(3, 2), activation="relu")(f)
    h = layers.Conv2D(32, 1, activation="elu")(layers.ZeroPadding2D(1)(f))
    return keras.Model(x, [a, c, d, f, g, h])


def hidden() -> keras.Model:
    """The same kinds, all but the ends seen by nobody, so that they may be bfloat16."""
    x = layers.Input((10, 13, 16))
    a = layers.Conv2D(48, 1, activation="relu")(x)
    b = layers.BatchNormalization()(layers.Conv2D(48, 1, use_bias=False)(a))
    a = layers.ReLU()(layers.Add()([b, a]))
    c = layers.Conv2D(80, 1, strides=2, activation="relu")(a)
    d = layers.ReLU()(layers.Add()([layers.Conv2D(80, 1)(c), layers.Conv2D(80, 1)(c)]))
    return keras.Model(x, [layers.Conv2D(32, 1)(d), layers.Conv2D(16, 1, activation="relu")(d)])


def small() -> keras.Model:
    """Images of a few pixels, and of one."""
    x = layers.Input((7, 7, 64))
    y = layers.Rescaling(20.0)(layers.Conv2D(96, 1)(x))
    y = layers.ReLU(max_value=6)(y)
    z = layers.Conv2D(32, 1, strides=2)(y)
    y = layers.Conv2D(96, 1)(layers.AveragePooling2D(7)(y))
    return keras.Model(x, [layers.Conv2D(160, 1, activation="relu")(y), z])


def deep() -> keras.Model:
    """Rows that begin in the same place of the first cache, and more channels than fit into it."""
    x = layers.Input((9, 5, 1024))
    return keras.Model(x, layers.Conv2D(64, 1, activation="relu")(layers.Conv2D(2048, 1)(x)))


NETWORKS = [
    (pointwise, (3, 19, 31, 32), 8),
    (pointwise, (1, 19, 31, 32), 8),
    (small, (1, 7, 7, 64), 4),
    (small, (5, 7, 7, 64), 4),
    (deep, (2, 9, 5, 1024), 2),
    (hidden, (3, 10, 13, 16), 7),
    (hidden, (1, 10, 13, 16), 7),
]


def check(ours, model: keras.Model, x: np.ndarray, rtol: float, farthest: float) -> None:
    for samples in (x, x[:1], x):
        expected = keras.tree.flatten(model(samples, training=False))
        got = keras.tree.flatten(ours.predict_on_batch(samples))
        for one, want in zip(got, expected, strict=True):
            atol = farthest * max(1.0, float(np.abs(want).max()))
            np.testing.assert_allclose(one, want, rtol=rtol, atol=atol)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("layout", ["never", "always"])
@pytest.mark.parametrize(("build", "shape", "least"), NETWORKS)
def test_float32(exported, winograd, panels, build, shape, least, layout, threads):
    winograd(layout)  # NB: with "always" channels lie in blocks.
    panels("always")
    x = images(*shape)
    model = calibrate(randomise(build()), x)
    ours = exported(model, engine="onednn", threads=threads)
    check(ours, model, x, 2e-5, 1e-6)
    steps = ours.plan_steps(x)
    # NB: what somebody sees does not lie in blocks, and cannot be added then to what does.
    apart = 2 if build is pointwise and layout == "always" else 0
    assert sum("panels" in step["implementation"] for step in steps) >= least - apart, steps


@pytest.mark.skipif("avx512_bf16" not in cpu_flags(), reason="this CPU has no bfloat16")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("build", "shape", "least"),
    [
        (hidden, (3, 10, 13, 16), 6),
        (hidden, (1, 10, 13, 16), 6),
        (small, (2, 7, 7, 64), 2),
        (deep, (2, 9, 5, 1024), 1),
    ],
)
def test_bfloat16(exported, panels, build, shape, least, threads):
    panels("always")
    x = images(*shape)
    model = calibrate(randomise(build()), x)
    ours = exported(model, engine="onednn", precision="bfloat16", threads=threads)
    check(ours, model, x, 0.02, 0.02)
    steps = ours.plan_steps(x)
    assert sum("panels" in step["implementation"] for step in steps) >= least, steps
    panels("never")
    other = exported(model, engine="onednn", precision="bfloat16", threads=threads)
    same = keras.tree.flatten(other.predict_on_batch(x))
    for got, want in zip(keras.tree.flatten(ours.predict_on_batch(x)), same, strict=True):
        # NB: products are the same, added up in another order, and rounded to 8 bits on the way.
        far = np.abs(got - want).max() / np.abs(want).max()
        assert far <= 2**-7, far


def test_large_kernels_use_them(exported, winograd):
    winograd("never")
    for build, shape, count in ((deep, (1, 9, 5, 1024), 2), (small, (1, 7, 7, 64), 0)):
        steps = exported(randomise(build()), engine="onednn").plan_steps(images(*shape))
        assert sum("panels" in step["implementation"] for step in steps) == count, steps


def test_where_there_can_be_no_code_of_ours(exported, winograd, panels, machine_code):
    winograd("tiles")
    panels("always")
    machine_code("never")
    x = images(3, 19, 31, 32)
    model = calibrate(randomise(pointwise()), x)
    ours = exported(model, engine="onednn")
    check(ours, model, x, 2e-5, 1e-6)
    steps = ours.plan_steps(x)
    assert all(step["implementation"].startswith("oneDNN") for step in steps), steps


def test_threads_get_the_same_bits(exported, panels):
    panels("always")
    x = images(3, 19, 31, 32)
    model = calibrate(randomise(pointwise()), x)
    ours = exported(model, engine="onednn", threads=2)
    alone = exported(model, engine="onednn", threads=1)
    expected = keras.tree.flatten(alone.predict_on_batch(x))
    with ThreadPoolExecutor(4) as pool:
        for one in pool.map(lambda _: ours.predict_on_batch(x), range(24)):
            for got, want in zip(keras.tree.flatten(one), expected, strict=True):
                np.testing.assert_array_equal(got, want)
