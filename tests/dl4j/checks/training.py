"""How networks train: optimizers, losses, what is frozen, what goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from dl4j_table import answers, to_nd4j

from checks.common import (
    CHECKS,
    L,
    batches,
    check,
    classifier,
    compare_weights,
    exported,
    fit,
    java,
    randomised,
    rng,
    train_both,
)

OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.02, beta_1=0.8, epsilon=1e-6),
    "adamw": lambda: keras.optimizers.AdamW(0.02, weight_decay=0.05),
    "adagrad": lambda: keras.optimizers.Adagrad(0.05),
    "clipped": lambda: keras.optimizers.SGD(0.1, clipvalue=0.05),
    "norm": lambda: keras.optimizers.SGD(0.1, clipnorm=0.1),
    "exponential": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(0.2, 2, 0.5)
    ),
    "stairs": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(0.2, 2, 0.5, staircase=True)
    ),
    "inverse": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.InverseTimeDecay(0.2, 2, 0.5)
    ),
    "piecewise": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.PiecewiseConstantDecay([1, 2], [0.3, 0.2, 0.1])
    ),
}


def _optimizer(name: str) -> None:
    def run(folder: Path) -> None:
        model = classifier(optimizer=OPTIMIZERS[name](), loss="categorical_crossentropy")
        # NB: DL4J's score has the decay of weights in it, Keras's loss has not.
        train_both(model, folder, batches(4), score=name != "adamw")

    CHECKS[f"optimizer_{name}"] = run


for _name in OPTIMIZERS:
    _optimizer(_name)


LOSSES = {
    "mse": ("linear", 3, "mse", lambda n, k: rng(3).normal(size=(n, k))),
    "mae": ("tanh", 3, "mae", lambda n, k: rng(3).normal(size=(n, k))),
    "binary": ("sigmoid", 3, "binary_crossentropy", lambda n, k: rng(3).integers(0, 2, (n, k))),
    "binary_one": ("sigmoid", 1, "binary_crossentropy", lambda n, k: rng(3).integers(0, 2, (n, k))),
    "sparse": (
        "softmax",
        4,
        keras.losses.SparseCategoricalCrossentropy(),
        lambda n, k: rng(3).integers(0, k, (n, 1)),
    ),
}


def _loss(name: str) -> None:
    def run(folder: Path) -> None:
        activation, units, loss, labels = LOSSES[name]
        x = keras.Input((6,), name="x")
        h = L.Dense(5, activation="relu")(x)
        model = randomised(keras.Model(x, L.Dense(units, activation=activation)(h)))
        model.compile(keras.optimizers.SGD(0.1), loss)
        data = [(x, labels(8, units).astype("float32")) for x, _ in batches(3)]
        train_both(model, folder, data)

    CHECKS[f"loss_{name}"] = run


for _name in LOSSES:
    _loss(_name)


@check
def cnn_trains_as_in_keras(folder: Path) -> None:
    image = keras.Input((8, 8, 2), name="image")
    x = L.Conv2D(
        4,
        3,
        padding="same",
        activation="relu",
        kernel_regularizer=keras.regularizers.L1L2(0.01, 0.02),
        kernel_constraint=keras.constraints.MaxNorm(0.7, axis=[0, 1, 2]),
        name="conv",
    )(image)
    x = L.BatchNormalization(momentum=0.7, name="bn")(x)
    x = L.MaxPooling2D()(L.LeakyReLU(negative_slope=0.2)(x))
    x = L.Flatten()(x)
    x = L.Dense(5, activation="tanh", kernel_constraint=keras.constraints.UnitNorm(), name="d")(x)
    model = randomised(keras.Model(image, L.Dense(3, activation="softmax", name="y")(x)))
    model.compile(keras.optimizers.SGD(0.05), "categorical_crossentropy")
    data = [
        (rng(i).normal(size=(6, 8, 8, 2)).astype("float32"), y)
        for i, (_, y) in enumerate(batches(3, size=6))
    ]
    network = train_both(model, folder, data)
    for batch in (1, 5):
        x = rng(batch).normal(size=(batch, 8, 8, 2)).astype("float32")
        np.testing.assert_allclose(answers(network, [x])[0], model(x), rtol=1e-4, atol=1e-5)


@check
def two_outputs_with_weights(folder: Path) -> None:
    x = keras.Input((6,), name="x")
    h = L.Dense(5, activation="tanh", name="h")(x)
    outputs = [L.Dense(3, activation="softmax", name="a")(h), L.Dense(2, name="b")(h)]
    model = randomised(keras.Model(x, outputs))
    model.compile(
        keras.optimizers.SGD(0.1), ["categorical_crossentropy", "mse"], loss_weights=[0.3, 2.0]
    )
    data = [(x, [y, rng(9).normal(size=(8, 2)).astype("float32")]) for x, y in batches(3)]
    train_both(model, folder, data)


@check
def training_goes_on(folder: Path) -> None:
    for name in ("adam", "adamw", "nesterov", "adagrad"):
        data = batches(5)
        model = classifier(optimizer=OPTIMIZERS[name](), loss="categorical_crossentropy")
        for x, y in data[:3]:
            model.train_on_batch(x, y)
        # NB: DL4J's score has the decay of weights in it, Keras's loss has not.
        train_both(model, folder, data[3:], score=name != "adamw")


@check
def frozen_layers_stay(folder: Path) -> None:
    x = keras.Input((6,), name="x")
    inner = keras.Sequential([L.Dense(8, activation="relu"), L.BatchNormalization()], name="base")
    model = randomised(keras.Model(x, L.Dense(3, activation="softmax", name="y")(inner(x))))
    inner.trainable = False
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    train_both(model, folder, batches(3))


@check
def sequential_models_become_multi_layer_networks(folder: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            L.Conv2D(3, 3, activation="relu"),
            L.Flatten(),
            L.Dense(3, activation="softmax"),
        ]
    )
    randomised(model).compile(keras.optimizers.Adam(0.01), "categorical_crossentropy")
    bundle = exported(model, folder)
    path = java("java.nio.file.Paths").get(str(bundle))
    with java("io.kbridge.KBridge").load(path) as loaded:
        network = loaded.toMultiLayerNetwork()
    for i, (_, y) in enumerate(batches(3)):
        x = rng(i).normal(size=(8, 6, 6, 1)).astype("float32")
        model.train_on_batch(x, y)
        fit(network, x, y)
    compare_weights(model, network, bundle)
    np.testing.assert_allclose(answers(network, [x])[0], model(x), rtol=1e-4, atol=1e-5)
    branching = exported(classifier(), folder, "branching.h5")
    assert branching.exists()


@check
def the_proof_of_a_step_tells_rounding_from_what_is_wrong(folder: Path) -> None:
    """NB: two samples, and normalizations of them, so that rounding moves the gradients far."""
    x = h = keras.Input((4, 4, 3), name="x")
    for i in range(6):
        h = L.Conv2D(8, 3, padding="same", use_bias=False, name=f"conv{i}")(h)
        h = L.ReLU()(L.BatchNormalization(name=f"bn{i}")(h))
    h = L.GlobalAveragePooling2D()(h)
    model = keras.Model(x, L.Dense(3, activation="softmax", name="y")(h))
    model.compile(keras.optimizers.Adam(0.01), "categorical_crossentropy")
    bundle = java("io.kbridge.bundle.Bundle").open(
        java("java.nio.file.Paths").get(str(exported(model, folder))), False
    )
    samples, labels = bundle.golden().inputs(), java("java.util.HashMap")()
    rows = int(samples.values().iterator().next().size(0))
    labels.put("y", to_nd4j(np.eye(3, dtype="float32")[np.arange(rows) % 3]))
    maker = java("java.lang.Class").forName("io.kbridge.dl4j.ExpectedStep")
    made = maker.getDeclaredConstructors()[0]
    made.setAccessible(True)
    expected = made.newInstance(bundle, samples, labels)

    def part(name: str) -> Any:
        field = maker.getDeclaredField(name)
        field.setAccessible(True)
        return field.get(expected)

    def told(found: Any) -> set[str]:
        method = maker.getDeclaredMethod("differences", java("java.util.Map"))
        method.setAccessible(True)
        return {str(name) for name in method.invoke(expected, found)}

    found = java("java.util.HashMap")(part("weights"))
    assert told(found) == set()
    for name in ("conv2/kernel", "bn3/gamma", "bn4/beta", "y/bias"):
        step = part("step").get(name)
        for factor in (-1.0, 0.0, 2.0):
            wrong = part("weights").get(name).add(step.mul(factor - 1))
            found.put(name, wrong)
            assert told(found) == {name}, (name, factor)
        found.put(name, part("weights").get(name))
    assert not part("moved").isEmpty()
    for name in part("moved"):
        change = part("moved").get(name).sub(part("step").get(name))
        found.put(name, part("weights").get(name).add(change))
    assert told(found) == set()
