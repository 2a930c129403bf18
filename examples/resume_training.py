"""Keras trains, the JVM goes on, Keras goes on again: the same as Keras alone.

Run it: python examples/resume_training.py
or, with a Java program in the middle (needs a JDK): python examples/resume_training.py --java
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

import kbridge
from kbridge.jvm import jars
from kbridge.jvm.java import find_java

PROGRAM = Path(__file__).parent / "java/src/main/java/example/ResumeTraining.java"
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
        rows = rows_of(step, x)
        loss, accuracy = model.train_on_batch(x[rows], y[rows])
    print(f"  after {first + STEPS} steps: loss {loss:.6f}, accuracy {accuracy:.4f}")


def rows_of(step: int, x: np.ndarray) -> np.ndarray:
    """Says which samples a step is for."""
    return np.arange(step * BATCH, (step + 1) * BATCH) % len(x)


def train_in_python(bundle: Path, trained: Path, x: np.ndarray, y: np.ndarray) -> None:
    """Trains the middle part in the JVM, called from Python."""
    with kbridge.load(bundle) as jvm_model:
        train(jvm_model, x, y, STEPS)
        jvm_model.save(trained)


def train_in_java(bundle: Path, trained: Path, x: np.ndarray, y: np.ndarray) -> None:
    """Trains the middle part in a Java program, without Python."""
    rows = np.concatenate([rows_of(step, x) for step in range(STEPS, 2 * STEPS)])
    np.save(bundle.with_name("x.npy"), x[rows].astype("float32"))
    np.save(bundle.with_name("y.npy"), y[rows].astype("int32"))
    java = find_java().home / "bin" / "java"
    classpath = os.pathsep.join(map(str, jars.resolve_classpath()))
    data = [bundle.with_name("x.npy"), bundle.with_name("y.npy")]
    command = [java, "-cp", classpath, PROGRAM, bundle, *data, BATCH, trained]
    subprocess.run(list(map(str, command)), check=True)


def main(arguments: list[str]) -> None:
    """Trains in both ways and compares."""
    in_the_middle = train_in_java if "--java" in arguments else train_in_python
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
        bundle, trained = Path(folder) / "model.h5", Path(folder) / "trained.h5"
        kbridge.export(model, bundle)
        in_the_middle(bundle, trained, x, y)
        kbridge.import_weights(model, trained)
    train(model, x, y, 2 * STEPS)

    worst = 0.0
    for own, other in zip(model.get_weights(), alone.get_weights(), strict=True):
        worst = max(worst, float(np.abs(own - other).max() / max(1e-12, np.abs(other).max())))
    print(f"largest relative difference of a weight: {worst:.1e}")
    if worst > 1e-4:
        raise SystemExit("the two trainings differ")


if __name__ == "__main__":
    main(sys.argv[1:])
