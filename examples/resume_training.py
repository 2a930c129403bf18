"""Keras trains, the JVM goes on, Keras goes on again: the same as Keras alone.

Run it: python examples/resume_training.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import keras
import numpy as np

import kbridge

STEPS = 50
BATCH = 32


def build() -> keras.Model:
    """A small network for pictures, with what makes training hard to move: state everywhere."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.2, seed=3),
            layers.Dense(32, activation="relu", kernel_constraint="max_norm"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    rate = keras.optimizers.schedules.ExponentialDecay(1e-3, 100, 0.9)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-3, clipnorm=1.0)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def train(model: keras.Model | kbridge.JvmModel, x: np.ndarray, y: np.ndarray, first: int) -> None:
    """Does as many steps as one part has; Keras and the JVM have the same method for it."""
    for step in range(first, first + STEPS):
        rows = np.arange(step * BATCH, (step + 1) * BATCH) % len(x)
        loss, accuracy = model.train_on_batch(x[rows], y[rows])
    print(f"  after {first + STEPS} steps: loss {loss:.6f}, accuracy {accuracy:.4f}")


def main() -> None:
    """Trains in both ways and compares."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 1500)
    x = rng.random((10, 8, 8, 1))[y] + rng.normal(0, 0.4, (len(y), 8, 8, 1))
    print("Keras alone:")
    alone = build()
    for part in range(3):
        train(alone, x, y, part * STEPS)

    print("Keras, then the JVM, then Keras:")
    model = build()
    train(model, x, y, 0)
    with tempfile.TemporaryDirectory() as folder:
        kbridge.export(model, Path(folder) / "model.h5")
        with kbridge.load(Path(folder) / "model.h5") as jvm_model:
            train(jvm_model, x, y, STEPS)
            jvm_model.save(Path(folder) / "trained.h5")
        kbridge.import_weights(model, Path(folder) / "trained.h5")
    train(model, x, y, 2 * STEPS)

    worst = 0.0
    for own, other in zip(model.get_weights(), alone.get_weights(), strict=True):
        worst = max(worst, float(np.abs(own - other).max() / max(1e-12, np.abs(other).max())))
    print(f"largest relative difference of a weight: {worst:.1e}")
    if worst > 1e-4:
        raise SystemExit("the two trainings differ")


if __name__ == "__main__":
    main()
