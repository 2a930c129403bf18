"""Writes the bundle of an identity model: ``python -m benchmarks.bridge.prepare COLUMNS FILE``."""

from __future__ import annotations

import sys

import keras

import kbridge

if __name__ == "__main__":
    inputs = keras.Input((int(sys.argv[1]),))
    kbridge.export(keras.Model(inputs, keras.layers.Identity()(inputs)), sys.argv[2])
