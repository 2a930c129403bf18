"""Recurrent layers, layers of each step, padded sequences."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

import kbridge
from checks.common import (
    L,
    batches,
    check,
    exported,
    java,
    randomised,
    rng,
    same_answers,
    train_both,
)


def sequences(count: int, steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Batches of six sequences of three numbers a step, in two classes."""
    labels = [y for _, y in batches(count, classes=2, size=6)]
    return [(rng(i).normal(size=(6, steps, 3)).astype("float32"), y) for i, y in enumerate(labels)]


@check
def recurrent_trains_as_in_keras(folder: Path) -> None:
    x = keras.Input((5, 3), name="x")
    h = L.LSTM(4, return_sequences=True, name="lstm")(x)
    h = L.SimpleRNN(3, name="rnn")(h)
    model = randomised(keras.Model(x, L.Dense(2, activation="softmax", name="y")(h)))
    model.compile(keras.optimizers.Adam(0.01), "categorical_crossentropy")
    data = sequences(3, steps=5)
    train_both(model, folder, data)


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
    data = sequences(3, steps=5)
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
        data = sequences(2, steps=4)
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
    data = sequences(2, steps=5)
    same_answers(model, train_both(model, folder, data), (1, 5, 3), (3, 5, 3))


@check
def sequences_are_padded_cropped_and_repeated(folder: Path) -> None:
    x = keras.Input((5, 3), name="x")
    h = L.Conv1D(4, 2, activation="tanh")(L.ZeroPadding1D((2, 1))(x))
    h = L.Cropping1D((1, 2))(L.UpSampling1D(3)(h))
    h = L.SimpleRNN(3)(L.ZeroPadding1D(1)(h))
    model = randomised(keras.Model(x, L.Dense(2, activation="softmax", name="y")(h)))
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    data = sequences(2, steps=5)
    same_answers(model, train_both(model, folder, data), (1, 5, 3), (3, 5, 3))
