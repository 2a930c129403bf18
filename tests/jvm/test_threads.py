"""Many threads, one model: the numbers are those of one thread, to the bit, and memory stays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tests.isolated.test_memory import RSS
from tests.weights import calibrate, randomise

THREADS, CALLS = 8, 1000


def image_model() -> keras.Model:
    """Large enough for all threads of an operation; a residual, and layers that stay ND4J's."""
    x = layers.Input((24, 24, 16))
    y = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    z = layers.BatchNormalization()(layers.Conv2D(32, 3, padding="same")(y))
    y = layers.ReLU()(layers.Add()([y, z]))
    y = layers.LayerNormalization()(keras.ops.sort(layers.GlobalAveragePooling2D()(y)))
    return keras.Model(x, layers.Dense(7, activation="softmax")(y))


def row_model() -> keras.Model:
    x = layers.Input((40,))
    y = layers.Dense(300, activation="gelu")(x)
    return keras.Model(x, [layers.Dense(5)(y), keras.ops.sum(y * y, axis=-1)])


def sequence_model() -> keras.Model:
    x = layers.Input((6, 8))
    y = layers.MultiHeadAttention(2, 4)(x, x)
    return keras.Model(x, layers.GRU(9)(layers.Add()([x, y])))


@pytest.fixture(params=["nd4j", "onednn"])
def calls(exported: Callable, request: pytest.FixtureRequest) -> list[tuple[Any, Any, list]]:
    """Models and inputs of several sizes, with what one thread alone computes."""
    found = []
    for build, sizes in ((image_model, (1, 5)), (row_model, (1, 3, 64)), (sequence_model, (1, 4))):
        x = np.random.default_rng(3).uniform(-1, 1, (64, *build().inputs[0].shape[1:]))
        x = x.astype("float32")
        model = exported(calibrate(randomise(build()), x[:8]), engine=request.param)
        for size in sizes:
            alone = keras.tree.flatten(model.predict_on_batch(x[:size]))
            found.append((model, x[:size], alone))
    # NB: asked again, because the first plan of a model may not be the one that is kept.
    return [(m, x, keras.tree.flatten(m.predict_on_batch(x))) for m, x, _ in found]


def test_threads_get_the_bits_of_one_thread(calls):
    start = threading.Barrier(THREADS)

    def work(seed: int) -> int:
        chosen = np.random.default_rng(seed).integers(0, len(calls), CALLS)
        start.wait()
        for which in chosen:
            model, x, expected = calls[which]
            for got, want in zip(
                keras.tree.flatten(model.predict_on_batch(x)), expected, strict=True
            ):
                np.testing.assert_array_equal(got, want)
        return len(chosen)

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(work, range(THREADS))) == THREADS * CALLS


def test_number_of_threads(exported):
    """Each gives a right answer; a call that takes a moment has one, whatever is asked for."""
    x = np.random.default_rng(4).uniform(-1, 1, (32, 24, 24, 16)).astype("float32")
    keras_model = calibrate(randomise(image_model()), x[:4])
    expected = keras_model(x, training=False)
    for threads in (None, 1, 2, 5):
        model = exported(keras_model, engine="onednn", threads=threads)
        np.testing.assert_allclose(model.predict_on_batch(x), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["nd4j", "onednn"])
def test_a_hundred_thousand_calls_do_not_grow_the_process(run_python, tmp_path, engine):
    # NB: a heap that is in memory from the start, so that only what is leaked can grow.
    done = run_python(
        RSS
        + f"""
import keras
from kbridge.jvm import host
host.configure(heap="256m", jvm_args=["-Xms256m", "-XX:+AlwaysPreTouch"])
x = keras.Input((64,))
y = keras.layers.Dense(128, activation="relu")(x)
model = keras.Model(x, keras.layers.Dense(10, activation="softmax")(y))
kbridge.export(model, "dense.h5")
x = np.ones((2, 64), np.float32)
with kbridge.load("dense.h5", engine={engine!r}) as model:
    def run(times):
        for _ in range(times):
            model.predict_on_batch(x)
    run(60_000)  # until everything is compiled
    sizes = [rss()]
    for _ in range(2):
        run(100_000)
        sizes.append(rss())
    print(*sizes)
""",
        timeout=500,
    )
    sizes = [int(size) for size in done.stdout.split()[-3:]]
    # NB: a leak grows in every hundred thousand; code that is compiled late on a busy machine once.
    assert min(np.diff(sizes)) < 4, f"MB before, after 100 000 and 200 000 calls: {sizes}"
