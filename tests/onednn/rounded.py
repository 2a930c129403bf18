"""What engines that round their products answer, beside Keras's own answers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import kbridge
from tests.onednn.test_networks import images
from tests.weights import calibrate, randomise


def calibrated(build: Any, shape: tuple[int, ...]) -> tuple[keras.Model, np.ndarray]:
    """A network with random weights, normalised for the images that come with it."""
    x = images(*shape)
    return calibrate(randomise(build()), x), x


def check_error(ours: kbridge.JvmModel, model: keras.Model, x: np.ndarray, most: float) -> None:
    """The answers differ from Keras's a little, and by less than `most` of the largest one."""
    expected = keras.tree.flatten(model(x, training=False))
    for samples in (x, x[:1], x):
        got = keras.tree.flatten(ours.predict_on_batch(samples))
        for actual, want in zip(got, expected, strict=True):
            want = np.asarray(want)[: len(samples)]
            error = np.abs(actual - want).max() / np.abs(want).max()
            assert 1e-6 < error < most, "it rounds, but not more than it has to"
