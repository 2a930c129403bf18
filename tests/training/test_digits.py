"""A small network learns scikit-learn's digits in the JVM as well as in Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

import kbridge

STEPS, BATCH = 200, 32
OF_THE_LOSS = 0.01


def network() -> keras.Model:
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Rescaling(1 / 16),
            layers.Conv2D(16, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Conv2D(24, 3, padding="same", activation="relu", kernel_regularizer="l2"),
            layers.Flatten(),
            layers.Dropout(0.2, seed=3),
            layers.Dense(10, activation="softmax"),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    return model


def test_digits(jvm: Any, tmp_path: Path, record_property: Any) -> None:
    """NB: dropout is on. The JVM draws TensorFlow's numbers, so the same units are left out."""
    data = load_digits()
    images = data.images[..., None].astype("float32")
    train, test = slice(0, 1500), slice(1500, None)
    order = np.random.default_rng(2).permutation(1500)
    model = network()
    kbridge.export(model, tmp_path / "digits.h5")
    with kbridge.load(tmp_path / "digits.h5") as jvm_model:
        losses = []
        for step in range(STEPS):
            rows = np.take(order, range(step * BATCH, (step + 1) * BATCH), mode="wrap")
            batch = images[train][rows], data.target[train][rows]
            losses.append([m.train_on_batch(*batch)[0] for m in (model, jvm_model)])
        native, found = (
            m.evaluate(images[test], data.target[test], verbose=0, return_dict=True)
            for m in (model, jvm_model)
        )
    native_losses, jvm_losses = np.asarray(losses).T
    worst = float(np.max(np.abs(jvm_losses / native_losses - 1)))
    record_property("largest difference of a loss", worst)
    np.testing.assert_allclose(jvm_losses, native_losses, rtol=OF_THE_LOSS)
    np.testing.assert_allclose(found["loss"], native["loss"], rtol=OF_THE_LOSS)
    assert found["accuracy"] == native["accuracy"]
    # NB: it has learned something; by chance it would be 0.1.
    assert found["accuracy"] > 0.8
