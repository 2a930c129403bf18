"""Writes two bundles: ``python -m benchmarks.starting.prepare FIRST SECOND``."""

from __future__ import annotations

import sys

import keras

import kbridge
from tests.weights import randomise

if __name__ == "__main__":
    kbridge.export(randomise(keras.applications.MobileNet(weights=None)), sys.argv[1])
    kbridge.export(randomise(keras.applications.ResNet50(weights=None)), sys.argv[2])
