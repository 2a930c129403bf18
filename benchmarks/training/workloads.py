"""The models whose training is timed: one entry each in `WORKLOADS`."""

from __future__ import annotations

from typing import Any

from benchmarks.inference.workloads import Workload


def _cnn() -> Any:
    from keras import Input, Sequential, layers

    parts = [
        Input((28, 28, 1)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
    return Sequential(parts)


def _dense() -> Any:
    from keras import Input, Sequential, layers

    hidden = [layers.Dense(512, activation="relu") for _ in range(2)]
    return Sequential([Input((784,)), *hidden, layers.Dense(10, activation="softmax")])


def _lstm() -> Any:
    from keras import Input, Sequential, layers

    parts = [Input((100, 64)), layers.LSTM(128), layers.Dense(10, activation="softmax")]
    return Sequential(parts)


def _resnet50() -> Any:
    from keras.applications import ResNet50

    return ResNet50(weights=None)


WORKLOADS = (
    Workload("train-dense", "Dense net", _dense, (128,), always=True),
    Workload("train-cnn", "Small CNN", _cnn, (32,), always=True),
    Workload("train-lstm", "LSTM", _lstm, (32,), always=True),
    Workload("train-resnet50", "ResNet-50", _resnet50, (8,), always=True),
)
