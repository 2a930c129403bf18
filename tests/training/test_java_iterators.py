"""A Java program that trains over `DataSetIterator` and `MultiDataSetIterator`, next to Keras."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kbridge
from kbridge.jvm import jars
from kbridge.jvm.java import find_java

L = keras.layers
BATCH = 16
RTOL = 1e-4
_RNG = np.random.default_rng(12)
DATA = {
    "x": _RNG.normal(size=(40, 6, 6, 2)).astype("float32"),
    "y": _RNG.integers(0, 4, (40, 1)).astype("int32"),
    "w": _RNG.uniform(0.2, 2, 40).astype("float32"),
    "left": _RNG.normal(size=(40, 5)).astype("float32"),
    "right": _RNG.normal(size=(40, 7)).astype("float32"),
    "first": _RNG.normal(size=(40, 3)).astype("float32"),
    "second": _RNG.integers(0, 2, (40, 1)).astype("float32"),
    "v": _RNG.uniform(0.2, 2, 40).astype("float32"),
}


def one() -> keras.Model:
    """One input, one output."""
    parts = [L.Conv2D(5, 3, activation="relu"), L.BatchNormalization(momentum=0.8), L.Flatten()]
    model = keras.Sequential([keras.Input((6, 6, 2)), *parts, L.Dense(4, activation="softmax")])
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"], weighted_metrics=["acc"])
    return model


def several() -> keras.Model:
    """Two inputs, two outputs."""
    left, right = keras.Input((5,), name="left"), keras.Input((7,), name="right")
    hidden = L.Concatenate()([L.Dense(6, activation="tanh")(left), L.Dense(6)(right)])
    first = L.Dense(3, name="first")(hidden)
    second = L.Dense(1, activation="sigmoid", name="second")(hidden)
    model = keras.Model([left, right], [first, second])
    losses = ["mse", "binary_crossentropy"]
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), losses, metrics=[["mae"], []])
    return model


@pytest.fixture(scope="module")
def trained(tmp_path_factory: Any) -> tuple[dict[str, Any], keras.Model, keras.Model]:
    """What the program tells, and the models in the state it began with."""
    folder = tmp_path_factory.mktemp("fits")
    keras.utils.set_random_seed(7)
    models = one(), several()
    kbridge.export(models[0], folder / "one.h5", sample=DATA["x"][:2])
    kbridge.export(models[1], folder / "several.h5")
    for name, array in DATA.items():
        np.save(folder / f"{name}.npy", array)
    java = find_java().home / "bin" / "java"
    classpath = os.pathsep.join(map(str, jars.resolve_classpath()))
    command = [java, "-Xmx1g", "-cp", classpath, Path(__file__).with_name("Fits.java"), folder]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split(" = ", 1) for line in done.stdout.splitlines() if " = " in line]
    return {name: json.loads(value) for name, value in lines}, *models


def assert_logs(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=RTOL, err_msg=name)


def test_one_input_one_output(trained: Any) -> None:
    told, model, _ = trained
    x, y, w = DATA["x"], DATA["y"], DATA["w"]
    same = {"batch_size": BATCH, "verbose": 0}
    assert_logs(told["before"], model.evaluate(x, y, return_dict=True, **same))
    history = model.fit(x, y, epochs=2, shuffle=False, **same).history
    assert len(told["epochs"]) == 2
    for epoch, logs in enumerate(told["epochs"]):
        assert_logs(logs, {name: values[epoch] for name, values in history.items()})
    assert told["batches"] == ["0/0", "0/1", "0/2", "1/0", "1/1", "1/2"]
    history = model.fit(x, y, sample_weight=w, shuffle=False, **same).history
    assert_logs(told["weighted"], {name: values[0] for name, values in history.items()})
    expected = model.evaluate(x, y, sample_weight=w, return_dict=True, **same)
    assert_logs(told["evaluated"], expected)


def test_a_listener_ends_training_after_the_batch(trained: Any) -> None:
    assert trained[0]["stopped"] == [2, 4]


def test_what_does_not_fit_is_refused(trained: Any) -> None:
    epochs, empty, too_many = trained[0]["refused"]
    assert epochs.startswith("INVALID_INPUT Expected at least one epoch. Received: 0")
    assert empty.startswith("INVALID_INPUT Expected an iterator with batches")
    assert too_many.startswith("INVALID_INPUT Expected 1 arrays, for ")


def test_several_inputs_and_outputs(trained: Any) -> None:
    told, _, model = trained
    x, y = [DATA["left"], DATA["right"]], [DATA["first"], DATA["second"]]
    given = {"sample_weight": [DATA["w"], DATA["v"]], "batch_size": BATCH, "verbose": 0}
    history = model.fit(x, y, epochs=2, shuffle=False, **given).history
    # NB: per-output losses are weighed by samples here, and not always in Keras (docs/training.md).
    expected = {name: values[1] for name, values in history.items()}
    own = [name for name in expected if name in ("first_loss", "second_loss")]
    logs = told["several"]
    assert logs.keys() == expected.keys()
    assert_logs(
        {name: v for name, v in logs.items() if name not in own},
        {name: v for name, v in expected.items() if name not in own},
    )
    evaluated = model.evaluate(x, y, return_dict=True, **given)
    assert told["several evaluated"].keys() == evaluated.keys()
    np.testing.assert_allclose(told["several evaluated"]["loss"], evaluated["loss"], rtol=RTOL)
    found = list(told["weights"].values())
    assert len(found) == len(model.weights)
    for (name, values), weight in zip(told["weights"].items(), model.weights, strict=True):
        want = np.asarray(weight)
        np.testing.assert_allclose(
            np.reshape(values, want.shape), want, 0, RTOL * np.abs(want).max(), err_msg=name
        )
