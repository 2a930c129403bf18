"""Checks of DL4J networks, run in a process of their own: its JVM has DL4J on its class path.

Prints one JSON object: for each check its name and what went wrong, or null.
"""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import dl4j_table  # noqa: E402
import jpype  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
from dl4j_table import answers, ours, to_nd4j, to_numpy  # noqa: E402

import kbridge  # noqa: E402

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
    network = train_both(model, folder, data, rtol=5e-4)
    for batch in (1, 5):
        x = rng(batch).normal(size=(batch, 8, 8, 2)).astype("float32")
        np.testing.assert_allclose(answers(network, [x])[0], model(x), rtol=1e-3, atol=1e-5)


@check
def recurrent_trains_as_in_keras(folder: Path) -> None:
    x = keras.Input((5, 3), name="x")
    h = L.LSTM(4, return_sequences=True, name="lstm")(x)
    h = L.SimpleRNN(3, name="rnn")(h)
    model = randomised(keras.Model(x, L.Dense(2, activation="softmax", name="y")(h)))
    model.compile(keras.optimizers.Adam(0.01), "categorical_crossentropy")
    data = [
        (rng(i).normal(size=(6, 5, 3)).astype("float32"), y)
        for i, (_, y) in enumerate(batches(3, classes=2, size=6))
    ]
    train_both(model, folder, data)


def same_answers(model: keras.Model, network: Any, *shapes: tuple, dtype: str = "float32") -> None:
    """Compares what a network answers with Keras's answers, for inputs of some shapes."""
    for i, shape in enumerate(shapes):
        x = rng(i).normal(size=shape).astype(dtype)
        np.testing.assert_allclose(answers(network, [x])[0], model(x), rtol=1e-4, atol=1e-5)


@check
def bidirectional_layers_train_as_in_keras(folder: Path) -> None:
    x = keras.Input((5, 3), name="x")
    h = L.Bidirectional(L.LSTM(4, return_sequences=True, use_bias=False), merge_mode="ave")(x)
    h = L.Bidirectional(L.SimpleRNN(3, return_sequences=True), merge_mode="mul")(h)
    h = L.Bidirectional(L.LSTM(2, return_sequences=True), merge_mode="sum")(h)
    h = L.Bidirectional(L.LSTM(3, return_sequences=True), name="last")(h)
    h = L.GlobalMaxPooling1D()(h)
    model = randomised(keras.Model(x, L.Dense(2, activation="softmax", name="y")(h)))
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    data = [
        (rng(i).normal(size=(6, 5, 3)).astype("float32"), y)
        for i, (_, y) in enumerate(batches(3, classes=2, size=6))
    ]
    network = train_both(model, folder, data)
    same_answers(model, network, (1, 5, 3), (4, 5, 3))
    path = java("java.nio.file.Paths").get(str(folder / "model.h5"))
    java("io.kbridge.KBridge").updateBundle(path, network)
    same_answers(kbridge.import_model(folder / "model.h5"), network, (2, 5, 3))


@check
def bidirectional_layers_of_one_answer(folder: Path) -> None:
    for mode in ("concat", "sum", "mul", "ave"):
        x = keras.Input((None, 3), name="x")
        h = L.Bidirectional(L.LSTM(4, return_sequences=True), merge_mode=mode)(x)
        h = L.Bidirectional(L.SimpleRNN(3), merge_mode=mode)(h)
        model = randomised(keras.Model(x, L.Dense(2, activation="softmax", name="y")(h)))
        model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
        data = [
            (rng(i).normal(size=(6, 4, 3)).astype("float32"), y)
            for i, (_, y) in enumerate(batches(2, classes=2, size=6))
        ]
        network = train_both(model, folder, data)
        file = java("java.io.File")(str(folder / "network.zip"))
        serializer = java("org.deeplearning4j.util.ModelSerializer")
        serializer.writeModel(network, file, True)
        again = serializer.restoreComputationGraph(file, True)
        same_answers(model, again, (1, 5, 3), (4, 7, 3), (2, 1, 3))


@check
def bidirectional_layers_in_a_chain(folder: Path) -> None:
    parts = [keras.Input((None, 3))]
    parts += [
        L.Bidirectional(L.LSTM(4, return_sequences=True), merge_mode=m) for m in ("sum", "mul")
    ]
    model = randomised(keras.Sequential([*parts, L.UpSampling1D(2), L.LSTM(3), L.Dense(2)]))
    bundle = exported(model, folder)
    with java("io.kbridge.KBridge").load(java("java.nio.file.Paths").get(str(bundle))) as loaded:
        network = loaded.toMultiLayerNetwork()
    file = java("java.io.File")(str(folder / "network.zip"))
    serializer = java("org.deeplearning4j.util.ModelSerializer")
    serializer.writeModel(network, file, False)
    again = serializer.restoreMultiLayerNetwork(file)
    same_answers(model, again, (1, 5, 3), (4, 7, 3), (2, 1, 3))


@check
def layers_of_each_step_train_as_in_keras(folder: Path) -> None:
    x = keras.Input((5, 3), name="x")
    h = L.TimeDistributed(L.Dense(4, activation="tanh"), name="steps")(x)
    h = L.TimeDistributed(L.LeakyReLU(), name="leaky")(h)
    h = L.LSTM(3, name="lstm")(h)
    model = randomised(keras.Model(x, L.Dense(2, activation="softmax", name="y")(h)))
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    data = [
        (rng(i).normal(size=(6, 5, 3)).astype("float32"), y)
        for i, (_, y) in enumerate(batches(2, classes=2, size=6))
    ]
    same_answers(model, train_both(model, folder, data), (1, 5, 3), (3, 5, 3))


@check
def sequences_are_padded_cropped_and_repeated(folder: Path) -> None:
    x = keras.Input((5, 3), name="x")
    h = L.Conv1D(4, 2, activation="tanh")(L.ZeroPadding1D((2, 1))(x))
    h = L.Cropping1D((1, 2))(L.UpSampling1D(3)(h))
    h = L.SimpleRNN(3)(L.ZeroPadding1D(1)(h))
    model = randomised(keras.Model(x, L.Dense(2, activation="softmax", name="y")(h)))
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    data = [
        (rng(i).normal(size=(6, 5, 3)).astype("float32"), y)
        for i, (_, y) in enumerate(batches(2, classes=2, size=6))
    ]
    same_answers(model, train_both(model, folder, data), (1, 5, 3), (3, 5, 3))


@check
def channels_first_train_as_in_keras(folder: Path) -> None:
    first = {"data_format": "channels_first"}
    image = keras.Input((2, 9, 8), name="image")
    h = L.Conv2D(4, 3, padding="same", activation="relu", **first)(image)
    h = L.BatchNormalization(axis=1, momentum=0.7)(h)
    h = L.MaxPooling2D(2, padding="same", **first)(L.ZeroPadding2D((1, 2), **first)(h))
    h = L.DepthwiseConv2D(2, depth_multiplier=2, **first)(h)
    h = L.UpSampling2D(2, **first)(L.AveragePooling2D(2, strides=1, **first)(h))
    h = L.Conv2DTranspose(3, 3, padding="same", **first)(L.Cropping2D(1, **first)(h))
    h = L.GlobalAveragePooling2D(**first)(h)
    model = randomised(keras.Model(image, L.Dense(3, activation="softmax", name="y")(h)))
    model.compile(keras.optimizers.SGD(0.05), "categorical_crossentropy")
    data = [
        (rng(i).normal(size=(6, 2, 9, 8)).astype("float32"), y)
        for i, (_, y) in enumerate(batches(2, size=6))
    ]
    same_answers(model, train_both(model, folder, data), (1, 2, 9, 8), (5, 2, 9, 8))
    wide = keras.Sequential([keras.Input((3, 6, 5)), L.Conv2D(5, 3, padding="same", **first)])
    try:
        ours(exported(wide, folder, "wide.h5"))
    except jpype.JException as e:
        assert "adds the bias along the width" in str(e), e
    else:
        raise AssertionError("not refused")


@check
def double_precision_answers_as_keras(folder: Path) -> None:
    with_doubles = {"dtype": "float64"}
    x = keras.Input((6, 3), name="x", dtype="float64")
    h = L.LSTM(4, return_sequences=True, **with_doubles)(x)
    h = L.Conv1D(3, 2, activation="tanh", **with_doubles)(h)
    h = L.Flatten(**with_doubles)(h)
    model = randomised(
        keras.Model(x, L.Dense(2, activation="sigmoid", name="y", **with_doubles)(h))
    )
    network = ours(exported(model, folder))
    for batch in (1, 3):
        x = rng(batch).normal(size=(batch, 6, 3))
        np.testing.assert_allclose(answers(network, [x])[0], model(x), rtol=1e-12, atol=1e-14)
    compare_weights(model, network, folder / "model.h5", rtol=1e-15)


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
    for name in ("adam", "nesterov", "adagrad"):
        data = batches(5)
        model = classifier(optimizer=OPTIMIZERS[name](), loss="categorical_crossentropy")
        for x, y in data[:3]:
            model.train_on_batch(x, y)
        train_both(model, folder, data[3:])


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
def dl4j_code_works_on_it(folder: Path) -> None:
    model = classifier(
        optimizer=keras.optimizers.Adam(0.05), loss="categorical_crossentropy", metrics=["accuracy"]
    )
    network = ours(exported(model, folder))
    data = batches(1, size=60)[0]
    dataset = java("org.nd4j.linalg.dataset.DataSet")(to_nd4j(data[0]), to_nd4j(data[1]))
    iterator = java("org.deeplearning4j.datasets.iterator.utilty.ListDataSetIterator")(
        dataset.asList(), 10
    )
    evaluation = network.evaluate(iterator)
    wanted = model.evaluate(*data, verbose=0, return_dict=True)["accuracy"]
    assert abs(float(evaluation.accuracy()) - wanted) < 1e-6
    scores = java("org.deeplearning4j.optimize.listeners.CollectScoresIterationListener")()
    network.setListeners(scores)
    before = float(network.score(dataset))
    network.fit(iterator, 20)
    assert float(network.score(dataset)) < 0.8 * before
    assert len(scores.getScoreVsIter().getEffectiveScores()) == 120
    file = java("java.io.File")(str(folder / "network.zip"))
    serializer = java("org.deeplearning4j.util.ModelSerializer")
    serializer.writeModel(network, file, True)
    again = serializer.restoreComputationGraph(file, True)
    np.testing.assert_array_equal(answers(again, [data[0]])[0], answers(network, [data[0]])[0])
    fit(again, *data)
    fit(network, *data)
    np.testing.assert_array_equal(answers(again, [data[0]])[0], answers(network, [data[0]])[0])


@check
def transfer_learning(folder: Path) -> None:
    model = classifier(optimizer=keras.optimizers.Adam(0.05), loss="categorical_crossentropy")
    network = ours(exported(model, folder))
    builder = java("org.deeplearning4j.nn.transferlearning.TransferLearning$GraphBuilder")(network)
    tune = java("org.deeplearning4j.nn.transferlearning.FineTuneConfiguration$Builder")()
    tune.updater(java("org.nd4j.linalg.learning.config.Sgd")(0.1))
    loss = java("org.nd4j.linalg.lossfunctions.impl.LossMCXENT")()
    head = java("org.deeplearning4j.nn.conf.layers.OutputLayer$Builder")(loss)
    softmax = java("org.nd4j.linalg.activations.Activation").SOFTMAX
    head = head.nIn(8).nOut(2).activation(softmax).build()
    names = jpype.JArray(jpype.JString)
    other = (
        builder.fineTuneConfiguration(tune.build())
        .setFeatureExtractor(names(["h"]))
        .removeVertexAndConnections("y")
        .addLayer("z", head, names(["h"]))
        .setOutputs(names(["z"]))
        .build()
    )
    x, y = batches(1, classes=2)[0]
    for _ in range(30):
        fit(other, x, y)
    kernel = to_numpy(other.getLayer("h").getParam("W"))
    np.testing.assert_array_equal(kernel, model.get_layer("h").kernel.numpy())
    assert answers(other, [x])[0].shape == (8, 2)
    assert float(other.score()) < 0.6


@check
def weights_go_back_to_keras(folder: Path) -> None:
    model = classifier(optimizer=keras.optimizers.SGD(0.1), loss="categorical_crossentropy")
    bundle = exported(model, folder)
    network = ours(bundle)
    data = batches(4)
    for x, y in data:
        fit(network, x, y)
    path = java("java.nio.file.Paths").get(str(bundle))
    java("io.kbridge.KBridge").updateBundle(path, network)
    wanted = answers(network, [data[0][0]])[0]
    with kbridge.load(bundle) as loaded:
        np.testing.assert_allclose(
            loaded.predict_on_batch(data[0][0]), wanted, rtol=1e-5, atol=1e-6
        )
    back = kbridge.import_model(bundle)
    np.testing.assert_allclose(back(data[0][0]), wanted, rtol=1e-5, atol=1e-6)
    again = ours(bundle)
    np.testing.assert_allclose(answers(again, [data[0][0]])[0], wanted, rtol=1e-6, atol=1e-7)
    other = ours(exported(classifier(), folder, "other.h5"))
    other.getLayer("h").getParam("W").assign(float("nan"))
    before = bundle.read_bytes()
    for wrong, told in ((other, "h/kernel"), ("no network", "ComputationGraph")):
        try:
            java("io.kbridge.KBridge").updateBundle(path, wrong)
        except jpype.JException as e:
            assert told in str(e), e
        else:
            raise AssertionError(f"{told}: not refused")
    assert bundle.read_bytes() == before


def back_to_keras(name: str, folder: Path, sequential: bool) -> None:
    """DL4J trains; Keras takes what it learnt and goes on as DL4J does."""
    model = classifier(optimizer=OPTIMIZERS[name](), loss="categorical_crossentropy")
    if sequential:
        model = keras.Sequential([keras.Input((6,)), *model.layers[1:]])
        model.compile(OPTIMIZERS[name](), "categorical_crossentropy")
    bundle = exported(model, folder, f"{name}.h5")
    path = java("java.nio.file.Paths").get(str(bundle))
    with java("io.kbridge.KBridge").load(path) as loaded:
        network = loaded.toMultiLayerNetwork() if sequential else loaded.toComputationGraph()
    data = batches(6)
    for x, y in data[:3]:
        fit(network, x, y)
    java("io.kbridge.KBridge").updateBundle(path, network)
    wanted = answers(network, [data[0][0]])[0]
    for twin in (model, kbridge.import_model(bundle)):
        kbridge.import_weights(twin, bundle)
        assert int(twin.optimizer.iterations) == 3
        np.testing.assert_allclose(twin(data[0][0]), wanted, rtol=1e-5, atol=1e-6)
    for x, y in data[3:]:
        model.train_on_batch(x, y)
        fit(network, x, y)
    compare_weights(model, network, bundle)


@check
def computation_graphs_go_back_to_keras(folder: Path) -> None:
    for name in ("adam", "nesterov", "adagrad", "exponential"):
        back_to_keras(name, folder, sequential=False)


@check
def multi_layer_networks_go_back_to_keras(folder: Path) -> None:
    for name in ("adam", "nesterov", "adagrad", "exponential"):
        back_to_keras(name, folder, sequential=True)


@check
def an_updater_of_another_kind_leaves_the_optimizer_as_it_was(folder: Path) -> None:
    model = classifier(optimizer=keras.optimizers.Adam(0.05), loss="categorical_crossentropy")
    for x, y in batches(2):
        model.train_on_batch(x, y)
    bundle = exported(model, folder)
    network = ours(bundle)
    file = java("java.io.File")(str(folder / "network.zip"))
    serializer = java("org.deeplearning4j.util.ModelSerializer")
    tune = java("org.deeplearning4j.nn.transferlearning.FineTuneConfiguration$Builder")()
    tune.updater(java("org.nd4j.linalg.learning.config.Sgd")(0.1))
    builder = java("org.deeplearning4j.nn.transferlearning.TransferLearning$GraphBuilder")(network)
    other = builder.fineTuneConfiguration(tune.build()).build()
    serializer.writeModel(network, file, False)
    without = serializer.restoreComputationGraph(file, False)
    path = java("java.nio.file.Paths").get(str(bundle))
    state = [v.numpy() for v in model.optimizer.variables]
    for one in (other, without):
        if one is other:
            fit(other, *batches(1)[0])
        java("io.kbridge.KBridge").updateBundle(path, one)
        twin = kbridge.import_model(bundle)
        wanted = answers(one, [batches(1)[0][0]])[0]
        np.testing.assert_allclose(twin(batches(1)[0][0]), wanted, rtol=1e-5, atol=1e-6)
        for found, before in zip(twin.optimizer.variables, state, strict=True):
            np.testing.assert_array_equal(found.numpy(), before)


@check
def a_changed_learning_rate_goes_back(folder: Path) -> None:
    model = classifier(optimizer=keras.optimizers.Adam(0.05), loss="categorical_crossentropy")
    bundle = exported(model, folder)
    network = ours(bundle)
    network.setLearningRate(0.01)
    fit(network, *batches(1)[0])
    java("io.kbridge.KBridge").updateBundle(java("java.nio.file.Paths").get(str(bundle)), network)
    kbridge.import_weights(model, bundle)
    assert float(model.optimizer.learning_rate) == np.float32(0.01)
    for x, y in batches(3):
        model.train_on_batch(x, y)
        fit(network, x, y)
    compare_weights(model, network, bundle)


@check
def everything_in_the_way_is_listed(folder: Path) -> None:
    x = keras.Input((4, 6), name="x")
    shared = L.Dense(6, name="shared")
    h = L.GRU(6, return_sequences=True, name="gru")(shared(shared(x)))
    h = L.LayerNormalization(name="norm")(h)
    h = L.Dense(6, activation="gelu", name="gelu")(h)
    model = keras.Model(x, h)
    try:
        ours(exported(model, folder))
    except jpype.JException as e:
        for name in ("'shared'", "'gru'", "'norm'", "'gelu'", "predict()"):
            assert name in str(e), e
    else:
        raise AssertionError("not refused")


@check
def what_cannot_be_trained_alike_is_refused(folder: Path) -> None:
    cases = {
        "momentum": {"optimizer": keras.optimizers.SGD(0.1, momentum=0.9)},
        "global_clipnorm": {"optimizer": keras.optimizers.SGD(0.1, global_clipnorm=1.0)},
        "Lion": {"optimizer": keras.optimizers.Lion()},
        "RMSprop": {"optimizer": keras.optimizers.RMSprop()},
        "Adamax": {"optimizer": keras.optimizers.Adamax()},
        "grows where Keras's falls": {
            "optimizer": keras.optimizers.SGD(
                keras.optimizers.schedules.PolynomialDecay(0.1, 10, end_learning_rate=0.0)
            )
        },
        "label smoothing": {"loss": keras.losses.CategoricalCrossentropy(label_smoothing=0.1)},
        "kl_divergence": {"loss": "kl_divergence"},
    }
    for told, options in cases.items():
        model = classifier(**{"optimizer": "sgd", "loss": "categorical_crossentropy", **options})
        try:
            ours(exported(model, folder))
        except jpype.JException as e:
            assert told in str(e), e
        else:
            raise AssertionError(f"{told}: not refused")


def main() -> None:
    dl4j_table.start_jvm("dl4j")
    told = {}
    wanted = sys.argv[1:] or list(CHECKS)
    for name in wanted:
        with tempfile.TemporaryDirectory() as folder:
            try:
                CHECKS[name](Path(folder))
                told[name] = None
            except (
                AssertionError,
                AttributeError,
                jpype.JException,
                kbridge.KBridgeError,
                ValueError,
                TypeError,
            ):
                told[name] = traceback.format_exc()
        print(name, "ok" if told[name] is None else told[name], file=sys.stderr, flush=True)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
