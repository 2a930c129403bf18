"""What all checks share: their registry, small models, and steps on both sides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jpype
import keras
import numpy as np
from dl4j_table import answers, ours, to_nd4j, to_numpy

import kbridge

CHECKS: dict[str, Callable[[Path], None]] = {}
L = keras.layers


def check(function: Callable) -> Callable:
    """Registers a check, which gets a folder of its own."""
    CHECKS[function.__name__] = function
    return function


def java(name: str) -> Any:
    return jpype.JClass(name)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def randomised(model: keras.Model) -> keras.Model:
    """Gives a model random weights, none of them 0, variances positive."""
    for i, w in enumerate(model.weights):
        if "float" in w.dtype:
            w.assign(
                rng(i).uniform(0.05, 0.6, w.shape)
                * (1 if "variance" in w.path else rng(i + 99).choice([-1, 1], w.shape))
            )
    return model


def exported(model: keras.Model, folder: Path, name: str = "model.h5") -> Path:
    kbridge.export(model, folder / name)
    return folder / name


def classifier(**compiled: Any) -> keras.Model:
    x = keras.Input((6,), name="x")
    h = L.Dense(8, activation="tanh", name="h")(x)
    model = randomised(keras.Model(x, L.Dense(3, activation="softmax", name="y")(h)))
    if compiled:
        model.compile(**compiled)
    return model


def batches(steps: int, classes: int = 3, size: int = 8, features: int = 6) -> list[tuple]:
    made = []
    for i in range(steps):
        x = rng(i).normal(size=(size, features)).astype("float32")
        y = np.eye(classes, dtype="float32")[rng(i + 50).integers(0, classes, size)]
        made.append((x, y))
    return made


def fit(network: Any, x: Any, y: Any) -> None:
    """One step of DL4J."""
    array = java("org.nd4j.linalg.api.ndarray.INDArray")
    xs = [to_nd4j(a) for a in (x if isinstance(x, list) else [x])]
    ys = [to_nd4j(a) for a in (y if isinstance(y, list) else [y])]
    if type(network).__name__.endswith("MultiLayerNetwork"):
        network.fit(xs[0], ys[0])
    else:
        network.fit(jpype.JArray(array)(xs), jpype.JArray(array)(ys))


def weights_of(network: Any, bundle: Path) -> dict[str, np.ndarray]:
    opened = java("io.kbridge.bundle.Bundle").open(
        java("java.nio.file.Paths").get(str(bundle)), False
    )
    found = java("io.kbridge.NetworkForms").find().weights(opened, network)
    return {str(e.getKey()): to_numpy(e.getValue()) for e in found.entrySet()}


def compare_weights(model: keras.Model, network: Any, bundle: Path, rtol: float = 1e-4) -> None:
    found = weights_of(network, bundle)
    checked = 0
    for weight in model.weights:
        # NB: in a sequential model, Keras's path starts with the model's name.
        path = weight.path if weight.path in found else weight.path.partition("/")[2]
        if path in found:
            np.testing.assert_allclose(
                found[path], weight.numpy(), rtol=rtol, atol=2e-6, err_msg=path
            )
            checked += 1
    assert checked == len(found) > 0


def train_both(
    model: keras.Model, folder: Path, data: list[tuple], rtol: float = 1e-4, score: bool = True
) -> Any:
    """Trains in Keras and in DL4J; compares losses and weights."""
    bundle = exported(model, folder)
    network = ours(bundle)
    for x, y in data:
        loss = model.train_on_batch(x, y)
        loss = float(loss[0] if isinstance(loss, (list, tuple)) else loss)
        fit(network, x, y)
        if score:
            np.testing.assert_allclose(float(network.score()), loss, rtol=1e-4, atol=1e-6)
        compare_weights(model, network, bundle, rtol)
        model.reset_metrics()
    return network


def same_answers(model: keras.Model, network: Any, *shapes: tuple, dtype: str = "float32") -> None:
    """Compares what a network answers with Keras's answers, for inputs of some shapes."""
    for i, shape in enumerate(shapes):
        x = rng(i).normal(size=shape).astype(dtype)
        np.testing.assert_allclose(answers(network, [x])[0], model(x), rtol=1e-4, atol=1e-5)
