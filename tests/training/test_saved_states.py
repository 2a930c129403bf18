"""What a saved bundle has besides weights and slots: random streams, Keras 2's learning rate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import layers

import kbridge

DRAW = np.random.default_rng(17)
X = DRAW.normal(size=(8, 5)).astype("float32")
Y = DRAW.normal(size=(8, 2)).astype("float32")


@keras.saving.register_keras_serializable("tests")
class Noisy(layers.Layer):
    """Draws from Keras's global generator, which belongs to no model."""

    def call(self, x: Any, training: bool = False) -> Any:
        return x + keras.random.normal((5,)) if training else x


def variables(model: kbridge.JvmModel) -> dict[str, np.ndarray]:
    trainer = model._trainer
    return dict(zip(trainer.names, trainer.values(trainer.names), strict=True))


def test_random_streams_go_on(jvm: Any, tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    hidden = [Noisy(), layers.Dropout(0.4), layers.Dense(2)]
    model = keras.Sequential([keras.Input((5,)), *hidden])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    kbridge.export(model, tmp_path / "m.h5")
    with kbridge.load(tmp_path / "m.h5") as whole, kbridge.load(tmp_path / "m.h5") as first:
        for _ in range(4):
            whole.train_on_batch(X, Y)
        for _ in range(2):
            first.train_on_batch(X, Y)
        first.save(tmp_path / "half.h5")
        with kbridge.load(tmp_path / "half.h5") as second:
            second.train_on_batch(X, Y)
            second.save(tmp_path / "more.h5")
        with kbridge.load(tmp_path / "more.h5") as third:
            third.train_on_batch(X, Y)
            expected, found = variables(whole), variables(third)
    assert any("random" in name for name in expected)
    for name, value in expected.items():
        if not name.startswith("metrics/"):
            np.testing.assert_array_equal(found[name], value, name)


def test_a_learning_rate_that_has_changed_is_in_both_dialects(jvm: Any, tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    kbridge.export(model, tmp_path / "m.h5")
    with kbridge.load(tmp_path / "m.h5") as loaded:
        loaded.train_on_batch(X, Y)
        loaded.save(tmp_path / "same.h5")
        loaded.optimizer.learning_rate = 0.025
        loaded.train_on_batch(X, Y)
        loaded.save(tmp_path / "changed.h5")
    configs = []
    for name in ("m.h5", "same.h5", "changed.h5"):
        with h5py.File(tmp_path / name) as file:
            configs.append(file.attrs["training_config"])
    assert configs[0] == configs[1]
    old, new = json.loads(configs[0]), json.loads(configs[2])
    assert np.float32(new["optimizer_config"]["config"].pop("learning_rate")) == np.float32(0.025)
    old_rate = old["optimizer_config"]["config"].pop("learning_rate")
    assert np.float32(old_rate) == np.float32(0.1)
    assert old == new
    assert float(kbridge.import_model(tmp_path / "changed.h5").optimizer.learning_rate) == (
        np.float32(0.025)
    )


def test_state_that_keras_2_cannot_find_is_told(jvm: Any, tmp_path: Path) -> None:
    """An optimizer that was not built at export has no names of Keras 2 in what is saved."""
    from kbridge.export.sources import open_source

    model = keras.Sequential([keras.Input((5,)), layers.Dense(2)])
    model.compile("adam", "mse")
    kbridge.export(model, tmp_path / "m.h5")
    assert not [note for note in open_source(tmp_path / "m.h5").notes if "anew" in note]
    with kbridge.load(tmp_path / "m.h5") as trained:
        trained.train_on_batch(X, Y)
        trained.save(tmp_path / "trained.h5")
    assert [n for n in open_source(tmp_path / "trained.h5").notes if "optimizer starts anew" in n]
    assert int(kbridge.import_model(tmp_path / "trained.h5").optimizer.iterations) == 1
