"""Whole models: Keras, then the JVM, then Keras again, against Keras all the time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, optimizers, regularizers

import kbridge
from kbridge.importer import import_model
from kbridge.jvm import host
from tests.optimizers import harness

TOLERANCE = 1e-4
STEPS = 50


def convolutional() -> keras.Model:
    """A small network with much that a step has to do."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3, activation="tanh", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(6, "softplus", kernel_constraint=keras.constraints.MaxNorm(1.0)),
            layers.Dense(3, "softmax", bias_regularizer=regularizers.L1(0.01)),
        ]
    )
    schedule = optimizers.schedules.CosineDecay(0.01, 150)
    optimizer = optimizers.AdamW(schedule, weight_decay=0.01, global_clipnorm=1.0)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def embedded() -> keras.Model:
    """A model of tokens that repeat, whose gradients Keras keeps in rows."""
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            layers.Embedding(7, 4),
            layers.LSTM(5),
            layers.Dense(3, "softmax"),
        ]
    )
    model.compile(optimizers.Adam(0.01, use_ema=True), "sparse_categorical_crossentropy")
    return model


def batch(model: keras.Model, step: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(step)
    shape = (8, *model.input_shape[1:])
    whole = model.inputs[0].dtype == "int32"
    x = rng.integers(0, 7, shape) if whole else rng.normal(size=shape)
    return x.astype(model.inputs[0].dtype), rng.integers(0, 3, 8).astype("int32")


def java_array(values: np.ndarray) -> Any:
    """Returns a NumPy array as a Java array of ND4J."""
    import jpype

    kind = jpype.JFloat if values.dtype == np.float32 else jpype.JInt
    factory = host.java_class("org.nd4j.linalg.factory.Nd4j")
    flat = factory.createFromArray(jpype.JArray(kind)(values.ravel().tolist()))
    return flat.reshape(jpype.JArray(jpype.JLong)(list(values.shape)))


def train_in_jvm(source: Path, target: Path, model: keras.Model, first: int) -> None:
    maps = host.java_class("java.util.HashMap")
    paths = host.java_class("java.nio.file.Paths")
    trainer = host.java_class("io.kbridge.train.Trainer").open(paths.get(str(source)), "nd4j")
    try:
        names = {str(given.role()): str(given.of()) for given in trainer.inputs()}
        for step in range(first, first + STEPS):
            x, y = batch(model, step)
            inputs, labels = maps(), maps()
            inputs.put(names["X"], java_array(x))
            labels.put(names["Y"], java_array(y))
            trainer.trainOnBatch(inputs, labels, maps())
        trainer.save(paths.get(str(target)))
    finally:
        trainer.close()


@pytest.mark.parametrize("make", [convolutional, embedded])
def test_fifty_fifty_fifty(jvm, tmp_path, make: Callable[[], keras.Model]):
    reference, first = make(), make()
    for step in range(3 * STEPS):
        reference.train_on_batch(*batch(reference, step))
    for step in range(STEPS):
        first.train_on_batch(*batch(first, step))
    kbridge.export(first, tmp_path / "first.h5")
    train_in_jvm(tmp_path / "first.h5", tmp_path / "trained.h5", first, STEPS)
    last = import_model(tmp_path / "trained.h5")
    for step in range(2 * STEPS, 3 * STEPS):
        last.train_on_batch(*batch(last, step))
    assert int(last.optimizer.iterations) == 3 * STEPS
    found = {}
    for expected, actual in zip(
        [*reference.weights, *reference.optimizer.variables],
        [*last.weights, *last.optimizer.variables],
        strict=True,
    ):
        if "float" in expected.dtype:
            found[expected.path] = harness.difference(np.asarray(actual), np.asarray(expected))
    worst = max(found, key=found.get)
    assert found[worst] <= TOLERANCE, f"{worst} differs by {found[worst]:.2g}"
