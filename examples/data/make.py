"""Writes digits.h5, the bundle that examples/java and examples/scala run.

A small convolutional network for 8 x 8 grey pictures. Its weights are random but always the same:
what counts here is that the JVM gives the answers Keras gave when the bundle was written.
Usage: python examples/data/make.py
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras

import kbridge


def build() -> keras.Model:
    """Returns the network."""
    keras.utils.set_random_seed(8)
    image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="edges")(image)
    x = keras.layers.MaxPooling2D(name="shrink")(x)
    x = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="shapes")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    scores = keras.layers.Dense(10, activation="softmax", name="digit")(x)
    return keras.Model(image, scores, name="digits")


if __name__ == "__main__":
    print(kbridge.export(build(), Path(__file__).with_name("digits.h5")))
