"""Models to check, and bundles that were tampered with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import kbridge


@pytest.fixture
def classifier() -> keras.Model:
    """Three dense layers with a softmax, a dropout among them."""
    keras.utils.set_random_seed(7)
    inputs = keras.Input((6,), name="x")
    h = keras.layers.Dense(8, activation="relu", name="first")(inputs)
    h = keras.layers.Dropout(0.5, name="drop")(h)
    h = keras.layers.Dense(8, activation="tanh", name="second")(h)
    outputs = keras.layers.Dense(4, activation="softmax", name="top")(h)
    model = keras.Model(inputs, outputs, name="classifier")
    rng = np.random.default_rng(7)
    model.set_weights([rng.normal(size=w.shape).astype("float32") for w in model.get_weights()])
    return model


@pytest.fixture
def bundle_of(tmp_path: Path) -> Callable[[keras.Model], Path]:
    """Gives a function that exports a model."""

    def make(model: keras.Model) -> Path:
        path = tmp_path / "bundle.h5"
        kbridge.export(model, path)
        return path

    return make


def change_spec(path: Path, change: Callable[[dict], None]) -> None:
    """Changes a bundle's spec, with a digest that fits."""
    with h5py.File(path, "r+") as file:
        spec = json.loads(file["kbridge/spec"][()].tobytes())
        change(spec)
        data = np.frombuffer(json.dumps(spec).encode("utf-8"), np.uint8)
        del file["kbridge/spec"]
        file.create_dataset("kbridge/spec", data=data)
        file["kbridge/spec"].attrs["sha256"] = hashlib.sha256(data.tobytes()).hexdigest()


def change_weight(path: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Changes one weight in a bundle's file, with digests that fit."""

    def changed(spec: dict) -> None:
        entry = spec["weights"][name]
        with h5py.File(path, "r+") as file:
            dataset = file[entry["path"]]
            dataset[...] = change(dataset[()]).astype(dataset.dtype)
            entry["sha256"] = hashlib.sha256(dataset[()].tobytes()).hexdigest()

    with h5py.File(path, "r") as file:
        spec = json.loads(file["kbridge/spec"][()].tobytes())
    changed(spec)
    change_spec(path, lambda old: old.update(spec))
