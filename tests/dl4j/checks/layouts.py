"""Channels first, and float64."""

from __future__ import annotations

from pathlib import Path

import jpype
import keras
import numpy as np
from dl4j_table import answers, ours

from checks.common import (
    L,
    batches,
    check,
    compare_weights,
    exported,
    randomised,
    rng,
    same_answers,
    train_both,
)


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
def sequences_with_channels_first_train_as_in_keras(folder: Path) -> None:
    first = {"data_format": "channels_first"}
    x = keras.Input((3, 5), name="x")
    h = L.ZeroPadding1D((2, 1), **first)(x)
    h = L.MaxPooling1D(2, strides=1, **first)(L.Conv1D(4, 2, activation="tanh", **first)(h))
    h = L.GlobalAveragePooling1D(**first)(L.ZeroPadding1D(1, **first)(h))
    model = randomised(keras.Model(x, L.Dense(3, activation="softmax", name="y")(h)))
    model.compile(keras.optimizers.SGD(0.05), "categorical_crossentropy")
    data = [
        (rng(i).normal(size=(6, 3, 5)).astype("float32"), y)
        for i, (_, y) in enumerate(batches(2, size=6))
    ]
    same_answers(model, train_both(model, folder, data), (1, 3, 5), (5, 3, 5))


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
